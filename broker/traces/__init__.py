"""Traces: why a sign-on went as it did.

Owns the collector of hops, checks and redacted messages, their encrypted storage and expiry, and the console's page.
Does not own what happened (broker.events) nor the meaning of codes (broker.refusals).
A trace is saved in a commit of its own, after the rollback of what was refused.
"""
