"""SCIM's vocabulary (RFC 7643, RFC 7644): resources, and people and groups as resources, in both directions.

Owns the mapping between a person's attributes and a User, and what the large identity providers write differently.
Does not own HTTP, storage or targets: inbound and outbound are its neighbours above.
"""
