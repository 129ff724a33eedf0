"""Tests of broker/traces."""
