"""What the breaker keeps: what was asked of a target within the hour, and what waits for a second operator."""

from typing import ClassVar

from django.db import models
from django.db.models import Q


class Hold(models.Model):
    """Disables and deletions of one target that wait together until a second operator releases or refuses them."""

    class State(models.TextChoices):
        OPEN = "open", "open: more may join it"
        ASKED = "asked", "asked for: nothing joins it any more"
        RELEASED = "released"
        REFUSED = "refused"

    target = models.ForeignKey("outbound.Target", on_delete=models.CASCADE, related_name="holds")
    name = models.CharField(max_length=100, unique=True, help_text="as the ledger's rows carry it")
    number = models.PositiveIntegerField()
    state = models.CharField(max_length=8, choices=State.choices, default=State.OPEN)
    count = models.PositiveIntegerField(help_text="disables and deletions that were put under it")
    counted = models.PositiveIntegerField(help_text="how many had been asked for within the hour when it opened")
    accounts = models.PositiveIntegerField(help_text="accounts at the target as far as we knew then")
    opened_at = models.DateTimeField()
    asked_at = models.DateTimeField(null=True, blank=True)
    asked_by = models.CharField(max_length=254, blank=True)
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.CharField(max_length=254, blank=True)
    reason = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["target", "number"], name="outbound_hold_number"),
            models.UniqueConstraint(fields=["target"], condition=Q(state="open"), name="outbound_one_open_hold"),
        ]

    def __str__(self) -> str:
        return self.name


class Destruction(models.Model):
    """Disables and deletions that went through the breaker: what it adds up over the last hour."""

    target = models.ForeignKey("outbound.Target", on_delete=models.CASCADE, related_name="+", db_index=False)
    at = models.DateTimeField()
    count = models.PositiveIntegerField()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["target", "at"], name="outbound_destructions")]

    def __str__(self) -> str:
        return f"{self.count} at {self.at:%H:%M}"
