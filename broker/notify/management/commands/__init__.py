"""One command per file, named as it is called.

Owns arguments and output only; sending anew is in broker.notify.services.
"""
