"""Logout: ending the broker's session when an application or the person asks.

Does not yet own the logout of other applications.
"""
