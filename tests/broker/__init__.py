"""Tests of the ground floor; the tree mirrors broker/."""
