"""Doors: one module for each kind of thing by which a person has access.

Each finds what is there when a person leaves, closes what can be closed here, and says how it stands by what it reads.
"""
