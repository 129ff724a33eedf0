"""Directory: people and groups, whoever told us of them.

Owns people, the identifiers that belong to one person at a time, groups, and linked identities keyed by
(identity provider, issuer, subject). Never links by e-mail. Does not own operators (broker.console).
"""
