"""One command per file, named as it is called.

Owns arguments and output only; runs, plans and drift are in provisioning.planning.
"""
