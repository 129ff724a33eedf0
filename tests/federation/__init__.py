"""Tests of the wing that signs browsers on; the tree mirrors federation/."""
