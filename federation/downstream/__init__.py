"""Downstream: the door to business applications.

Owns how an application's request is read and answered, per protocol.
"""
