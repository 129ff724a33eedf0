"""Talking to a target: reading and writing accounts and groups there, and finding out what it can do.

base holds the values and the protocol, scim speaks SCIM 2.0, wire sends with our credential and names what went wrong.
Knows nothing of people, of the ledger or of what should be there.
"""
