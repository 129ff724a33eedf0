"""Who is told of events, and of which."""

from typing import ClassVar

from django.db import models


class Subscription(models.Model):
    """One address that events are sent to. Ended rather than deleted: its deliveries stay explainable."""

    slug = models.SlugField(max_length=64)
    name = models.CharField(max_length=200)
    owner = models.EmailField(help_text="who answers for the receiving end")
    url = models.CharField(max_length=1000, help_text="https; where the events are posted")
    types = models.JSONField(help_text="event types: person.created, person.*, or * for every one")
    secret_sealed = models.TextField()
    previous_secret_sealed = models.TextField(blank=True, default="", db_default="")
    previous_until = models.DateTimeField(null=True, blank=True, help_text="until then both secrets sign")
    enabled = models.BooleanField(default=True)
    disabled_reason = models.CharField(max_length=200, blank=True, default="", db_default="")
    created_at = models.DateTimeField()
    retired_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["slug"]
        verbose_name = "webhook"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["slug"], condition=models.Q(retired_at=None), name="notify_slug")
        ]

    def __str__(self) -> str:
        return self.name or self.slug
