"""Delivery: what must reach somebody outside, and whether it did.

Owns the ledger: rows written in the transaction of their cause, their attempts, leases, order per subject, lanes with
their circuits, and the operator's queue. Does not own what is sent: each kind has a handler in the room that knows
it (settings.DELIVERY_HANDLERS). Celery messages only wake it.
Stands on broker.events; its neighbour directory says who changed, the wings say what that means elsewhere.
"""
