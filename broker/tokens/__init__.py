"""Tokens: the desk where an application asks for a token, or asks whether one is good.

Owns authorization codes, grants, access and refresh tokens and the endpoints that issue and read them.
Does not own keys (broker.keys), people (broker.directory) or what is released of them (settings.CLAIMS_RELEASER).
A token request walks views -> endpoint -> one grant -> services.
"""
