"""Methods of client authentication, one file each: what is read from a request, and how it is verified.

`base` says what they share. Which are offered, and that a request uses exactly one, stands in
broker.tokens.client_auth. Does not own the registered keys and names (broker.registry).
"""
