"""Events: what happened, in one insert-only book.

Owns the catalogue of event types, the book, its seals and their verification.
An event is written in the transaction of its cause. Seals are made afterwards, so that writers never queue.
Does not own why a sign-on failed in detail (broker.traces) nor what must reach others (a later room, delivery).
"""
