"""Once: single use of codes, assertion ids and nonces, atomic across workers.

Owns the table of used values (hashed) and its expiry. Refuses when the database is away.
"""
