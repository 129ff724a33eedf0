"""SAML: the vocabulary, and the verifier of what identity providers answer.

Owns messages, metadata, signatures, encryption and the guard (`guard.verify_response`), the only way in for
a SAML answer: size, one parse, structure, algorithms, signature, policy and subject, each an ordered tuple of
named checks, and claims only from bytes whose signature held.
Does not own one-time use and authority (federation.upstream), keys (broker.keys) or any table: everything
that it compares with is passed in.
The door to saml2 and lxml; pysaml2's own verdicts are never asked for.
"""
