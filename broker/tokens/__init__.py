"""Tokens: the desk where an application asks for a token, or asks whether one is good.

Owns authorization codes, grants, access and refresh tokens and the endpoints that issue, read and revoke them.
Does not own keys (broker.keys), people (broker.directory) or what is released of them (settings.CLAIMS_RELEASER).
A token request walks views -> endpoint -> client_auth, one grant, standing -> issuing. An authorization request is
read by authorization, with authorization_checks. Access tokens that come back are read by liveness, which asks the
database once; ID tokens that come back as hints by verification.
"""
