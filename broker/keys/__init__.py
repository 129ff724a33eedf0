"""Keys: our signing keys and certificates, and the one verifier of JWTs.

Owns key material (sealed at rest), its life announced, active, retired, and the JWKS.
`jose.py` is the only door to python-jose. Does not own tokens (broker.tokens).
"""
