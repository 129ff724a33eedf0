"""Catching up: what changed while a target was switched off, or was lost when it was emptied."""

from django.db import models


class CatchUp(models.Model):
    """The last time that a target was switched on or taken for empty, and how far its people were looked at since."""

    class Stage(models.TextChoices):
        KNOWN = "known", "looking at accounts that we know"
        NEW = "new", "looking for people who came meanwhile"
        GROUPS = "groups", "looking at groups"
        ENDED = "ended"

    target = models.OneToOneField("outbound.Target", on_delete=models.CASCADE, related_name="catch_up")
    asked_at = models.DateTimeField()
    asked_by = models.CharField(max_length=220, help_text="actor")
    trace_id = models.CharField(max_length=16, blank=True)
    stage = models.CharField(max_length=8, choices=Stage.choices, default=Stage.KNOWN)
    position = models.UUIDField(null=True, help_text="the last person of this stage who was looked at")
    people = models.PositiveIntegerField(
        default=0, help_text="people whose account was not as wanted, or not sure to be"
    )
    enqueued = models.PositiveIntegerField(default=0, help_text="rows of the ledger, groups' too")
    ended_at = models.DateTimeField(null=True)
    code = models.CharField(max_length=64, blank=True, help_text="why it ended early")

    def __str__(self) -> str:
        return f"catching up of {self.target}"

    @property
    def reference(self) -> str:
        """Of its rows in the ledger."""
        return f"catch-up:{self.target_id}:{self.asked_at:%Y%m%dT%H%M%S.%f}"
