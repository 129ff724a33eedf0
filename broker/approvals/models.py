"""Questions to a second operator, and their answers."""

from typing import ClassVar

from django.db import models
from django.db.models import Q


class Approval(models.Model):
    """One thing that an operator wants in force. `digest` is of exactly what was shown when it was asked for."""

    class State(models.TextChoices):
        PENDING = "pending"
        APPROVED = "approved"
        REFUSED = "refused"
        WITHDRAWN = "withdrawn"
        EXPIRED = "expired"

    kind = models.CharField(max_length=32, help_text="a key of settings.APPROVAL_HANDLERS")
    subject_kind = models.CharField(max_length=32)
    subject_id = models.CharField(max_length=200)
    title = models.CharField(max_length=200)
    before = models.JSONField(default=dict, blank=True, help_text="{what: how it stands}, for people")
    after = models.JSONField(default=dict, blank=True, help_text="{what: how it will stand}, for people")
    digest = models.CharField(max_length=64, help_text="SHA-256 in hex of what is approved")
    requested_by = models.ForeignKey("console.Operator", on_delete=models.PROTECT, related_name="+")
    requested_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    decided_by = models.ForeignKey(
        "console.Operator", on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    decided_at = models.DateTimeField(null=True, blank=True)
    state = models.CharField(max_length=16, choices=State.choices, default=State.PENDING)
    reason = models.CharField(max_length=300, blank=True)
    trace_id = models.CharField(max_length=16, blank=True, help_text="of the request that asked for it")

    class Meta:
        ordering: ClassVar = ["-requested_at"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["kind", "subject_id"], condition=Q(state="pending"), name="approvals_one_pending"
            ),
            models.CheckConstraint(
                condition=~Q(state="approved")
                | (Q(decided_at__isnull=False, decided_by__isnull=False) & ~Q(decided_by=models.F("requested_by"))),
                name="approvals_decided_by_another",
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["state", "expires_at"], name="approvals_by_state")]

    def __str__(self) -> str:
        return self.title
