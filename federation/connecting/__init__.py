"""Connecting: how an operator takes up an identity provider from the console, step by step.

Owns reading what the other side publishes, its preview, the form behind it, and switching the connection on.
Does not own the parties (broker.registry), their mapping (federation.claims) or the test in between
(federation.signon): everything is saved by their services.
"""
