"""Inbound: HR systems and identity providers write people and groups to us (SCIM 2.0, /scim/v2).

Owns sources, their tokens, their records, and the journal of every request with its effect. Does not own which value
wins (broker.directory.authority) nor what applications are told (provisioning.outbound).
"""
