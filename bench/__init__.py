"""Benches: each prints a ratio to a peer or a limit, with versions and noise, and never an absolute promise.

Owns measuring only; run one as `python -m bench.jwt`, or all with `make bench`. Product code never imports this.
"""
