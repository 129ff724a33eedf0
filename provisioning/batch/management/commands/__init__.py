"""One command per file, named as it is called.

Owns arguments, progress and the file of rejects; reading and applying are in provisioning.batch.
"""
