"""Outbound: accounts in applications, written over SCIM 2.0 and read back.

Owns targets, who belongs there, the mapping, what the target can do, and one delivery of one account or group. Does
not own the ledger (broker.delivery) nor plans and comparisons of whole targets (provisioning.planning).
"""
