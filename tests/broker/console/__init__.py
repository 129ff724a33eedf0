"""Tests of the console: accounts, entrance, permissions by role, pages.

They go through the real middlewares, backends and templates.
"""
