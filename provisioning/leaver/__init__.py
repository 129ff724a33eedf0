"""Leaver: from a closed account to the proof that every door was closed, item by item.

Owns cases, their items with deadlines and evidence, and the signed certificate that verifies offline. Does not own the
closing itself: sessions, tokens, logout messages and targets have their own rooms.
"""
