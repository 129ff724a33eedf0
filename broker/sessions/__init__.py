"""Sessions: single-sign-on sessions and which applications take part in them.

Owns the session behind the browser's cookie, its idle and absolute end, and its participants.
Does not own how a person signed on (federation.signon) nor tokens (broker.tokens).
"""
