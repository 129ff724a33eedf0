"""One command per file, named as it is called.

Owns arguments and output only; replay and shadow report are in broker.access.
"""
