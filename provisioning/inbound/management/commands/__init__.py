"""One command per file, named as it is called.

Owns arguments and output only; what is done stands in provisioning.inbound.
"""
