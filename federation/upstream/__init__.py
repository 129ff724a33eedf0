"""Upstream: the door to corporate identity providers.

Owns the connector per protocol and authority: an identity provider speaks only for its organisation's domains.
Only this room makes a VerifiedAssertion.
"""
