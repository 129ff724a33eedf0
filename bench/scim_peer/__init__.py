"""A Django project with django-scim2 as its documentation sets it up: its settings, model, addresses and rows.

It runs in the peer's own environment and imports nothing of ours.
"""
