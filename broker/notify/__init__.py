"""Notify: events for programs outside, as signed webhooks.

Owns subscriptions, the CloudEvents envelope and the signature (Standard Webhooks). Does not own events (broker.events)
nor retries and their evidence (broker.delivery).
"""
