"""Stored traces: a header that can be listed, and sealed hops that can be read."""

from typing import ClassVar

from django.db import models


class Trace(models.Model):
    """One attempt, under the short id that its error page shows."""

    class Outcome(models.TextChoices):
        UNDER_WAY = "under_way"
        SUCCEEDED = "succeeded"
        REFUSED = "refused"

    id = models.CharField(primary_key=True, max_length=16)
    started_at = models.DateTimeField(db_index=True)
    outcome = models.CharField(max_length=16, choices=Outcome.choices, default=Outcome.UNDER_WAY)
    code = models.CharField(max_length=64, blank=True)
    connection = models.CharField("identity provider", max_length=64, blank=True)
    application = models.CharField(max_length=64, blank=True)
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        ordering: ClassVar = ["-started_at"]
        indexes: ClassVar = [models.Index(fields=["code", "started_at"])]

    def __str__(self) -> str:
        return self.id


class Hop(models.Model):
    """One HTTP request of an attempt. `sealed` holds the collector's entries, encrypted for this row's place."""

    trace = models.ForeignKey(Trace, on_delete=models.CASCADE, related_name="hops")
    at = models.DateTimeField()
    name = models.CharField(max_length=100)
    sealed = models.TextField()

    class Meta:
        ordering: ClassVar = ["id"]

    def __str__(self) -> str:
        return f"{self.trace_id} {self.name}"
