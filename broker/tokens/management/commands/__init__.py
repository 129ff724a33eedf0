"""One command per file, named as it is called.

Owns arguments and output only; what is done is in broker.tokens.explaining and broker.tokens.holdings.
"""
