"""One command per file, named as it is called.

Owns arguments and output only; verification itself is broker.events.verification.
"""
