"""Fakes at the network's edge: parties that speak the real protocols and really sign.

Owns no expectations: a fake says what it was told to say, and a test judges the answer.
"""
