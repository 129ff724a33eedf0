"""Claims: what we believe of an identity provider's words, and what we tell applications.

Owns the mapping per identity provider and the release rule per application.
Does not own the people to whom the claims belong (broker.directory).
"""
