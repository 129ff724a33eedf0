"""Leaving: who may end a session, and where the browser goes then."""
