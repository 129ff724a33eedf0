"""Offline: the program that is handed out with an export, one file that imports nothing of ours.

It runs wherever Python and the library cryptography are.
"""
