"""SAML: the vocabulary, and the verifiers of what identity providers answer and applications ask.

Owns messages, metadata, signatures, encryption, the guard (`guard.verify_response`), the only way in for a SAML
answer, and `requests.verify_request`, the only one for a request: size, one parse, structure, algorithms, signature
and policy, each an ordered tuple of named checks, and values only from bytes whose signature held. Writes our own
answers (`responses`), which it never judges.
Does not own one-time use and authority (federation.upstream), keys (broker.keys) or any table: everything
that it compares with is passed in.
The door to saml2 and lxml; pysaml2's own verdicts are never asked for.
"""
