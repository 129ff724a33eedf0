"""An API for which access tokens are issued."""

from typing import ClassVar

from django.db import models

from broker.registry.models.client import Client


class Resource(models.Model):
    """A protected API (RFC 8707 resource) with its scopes."""

    class Algorithm(models.TextChoices):
        RS256 = "RS256", "RS256"
        ES256 = "ES256", "ES256"

    identifier = models.CharField(max_length=512, unique=True)
    scopes = models.JSONField(default=dict, help_text="{scope: what it allows}")
    token_algorithm = models.CharField(max_length=8, choices=Algorithm.choices, default=Algorithm.RS256)
    token_lifetime = models.PositiveIntegerField(default=600, help_text="seconds")
    introspectors = models.ManyToManyField(Client, blank=True, related_name="introspects")

    class Meta:
        ordering: ClassVar = ["identifier"]

    def __str__(self) -> str:
        return self.identifier
