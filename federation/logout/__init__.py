"""Logout: ending the broker's session when an application or the person asks.

Owns RP-initiated logout: who may end a session without asking the person, and where the browser goes then.
Does not yet own the logout of other applications; the page says which ones are left.
Stands on broker.sessions and broker.tokens; its neighbour signon opens what is ended here.
"""
