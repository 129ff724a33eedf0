"""Grants: what entitles a client to tokens, one file per grant_type.

Each finds what was given, checks it and uses it up; client authentication, live checks and issuing are the
endpoint's, so that no grant can forget them.
"""
