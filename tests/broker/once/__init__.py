"""Tests of broker/once."""
