"""Tests of the door to identity providers."""
