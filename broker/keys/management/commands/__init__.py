"""One command per file, named as it is called.

Owns arguments and output only; the life of keys is in broker.keys.services.
"""
