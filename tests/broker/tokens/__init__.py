"""Codes, tokens and the endpoints that issue and read them."""
