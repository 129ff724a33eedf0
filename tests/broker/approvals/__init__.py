"""Registered parties: finding, changing, describing them."""
