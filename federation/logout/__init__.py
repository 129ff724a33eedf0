"""Logout: ending the broker's session when an application or the person asks.

Owns RP-initiated logout: who may end a session without asking the person, and where the browser goes then. When a
session ended, for whatever reason, it tells each application that took part, through the ledger: by a logout token,
or by a LogoutRequest over SOAP; what cannot be told is named to the person. Sessions that run out are not told.
Does not own why sessions end (broker.sessions and who calls it) nor how deliveries are carried (broker.delivery).
Stands on those, on broker.tokens and federation.downstream; its neighbour signon opens what is ended here.
"""
