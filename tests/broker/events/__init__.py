"""Tests of broker/events."""
