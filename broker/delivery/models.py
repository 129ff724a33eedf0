"""The ledger: what must reach somebody outside, in which lane, and each attempt at it."""

from typing import ClassVar

from django.db import models
from django.db.models import Q


class Priority(models.IntegerChoices):
    """What goes first within a lane."""

    URGENT = 0
    NORMAL = 5
    BULK = 9


class Lane(models.Model):
    """The way to one receiver: one carrier at a time, and a circuit that opens when nobody answers there."""

    class State(models.TextChoices):
        OPEN = "open"
        BROKEN = "broken", "not answering"
        PAUSED = "paused", "paused by an operator"
        STOPPED = "stopped", "stopped, the receiver refuses us"

    name = models.CharField(max_length=200, unique=True)
    state = models.CharField(max_length=8, choices=State.choices, default=State.OPEN)
    not_before = models.DateTimeField(null=True, blank=True)
    """No attempt before then: the receiver asked for it, or does not answer and is tried again then."""
    failures = models.PositiveIntegerField(default=0)
    """In a row without any answer."""
    pauses = models.PositiveIntegerField(default=0)
    """In a row, each longer than the last."""
    reason = models.CharField(max_length=500, blank=True)
    changed_by = models.CharField(max_length=220, blank=True)
    changed_at = models.DateTimeField(null=True, blank=True)
    lease = models.CharField(max_length=160, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    carried_at = models.DateTimeField(null=True, blank=True)
    is_slow = models.BooleanField(default=False)
    """Whether its last turn waited for the receiver for longer than a slice."""

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name


class Delivery(models.Model):
    """One effect that is wanted outside. `settled_at` is null as long as it is not decided what became of it."""

    class State(models.TextChoices):
        PENDING = "pending"
        DELIVERING = "delivering"
        RETRYING = "retrying"
        CONFIRMED = "confirmed"
        DEAD = "dead"
        SUPERSEDED = "superseded"
        SKIPPED = "skipped"

    kind = models.CharField(max_length=32)
    lane = models.CharField(max_length=200)
    subject = models.CharField(max_length=200)
    reference = models.CharField(max_length=200, blank=True, db_index=True)
    title = models.CharField(max_length=200, blank=True)
    payload = models.JSONField(default=dict)
    priority = models.PositiveSmallIntegerField(choices=Priority.choices, default=Priority.NORMAL)
    must_arrive = models.BooleanField(default=False)
    hold = models.CharField(max_length=200, blank=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.PENDING)
    reason = models.CharField(max_length=64, blank=True)
    """The code of the last outcome."""
    detail = models.CharField(max_length=500, blank=True)
    status = models.PositiveSmallIntegerField(null=True, blank=True)
    """The HTTP status of the last answer."""
    digest = models.CharField(max_length=64, blank=True)
    """Of the answer that confirmed it."""
    due_at = models.DateTimeField()
    late_at = models.DateTimeField(null=True, blank=True)
    """When operators are told that it is late; null where that is not done, or was."""
    began_at = models.DateTimeField(null=True, blank=True)
    """When the attempt under way began."""
    lease = models.CharField(max_length=160, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    failures = models.PositiveIntegerField(default=0)
    """Attempts that count towards giving up."""
    cause_event_id = models.BigIntegerField(null=True, blank=True)
    trace_id = models.CharField(max_length=16, blank=True)
    actor = models.CharField(max_length=220, blank=True)
    created_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True, blank=True)
    superseded_by = models.BigIntegerField(null=True, blank=True)
    """The id of the row that does its work."""

    class Meta:
        ordering: ClassVar = ["-id"]
        verbose_name_plural = "deliveries"
        # Conditions without a value: SQLite cannot see that a bound parameter implies one.
        indexes: ClassVar = [
            models.Index(
                name="delivery_claimable",
                fields=["lane", "hold", "priority", "due_at", "id"],
                condition=Q(settled_at=None, lease_until=None),
            ),
            models.Index(name="delivery_leased", fields=["lease"], condition=Q(lease_until__isnull=False)),
            # The subject first, and no other index by which a lane's unsettled rows could be read: right after many
            # came PostgreSQL believes that there is hardly one, and would look through all of them for each.
            models.Index(name="delivery_by_subject", fields=["subject", "lane", "settled_at"]),
            models.Index(name="delivery_late", fields=["late_at"], condition=Q(late_at__isnull=False)),
            models.Index(name="delivery_by_state", fields=["state", "settled_at"]),
            models.Index(name="delivery_by_hold", fields=["hold", "settled_at"]),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="delivery_settled_or_not",
                condition=Q(state__in=["pending", "delivering", "retrying"], settled_at=None)
                | Q(state__in=["confirmed", "dead", "superseded", "skipped"], settled_at__isnull=False),
            ),
            models.CheckConstraint(
                name="delivery_leased_or_not",
                condition=Q(state="delivering", lease_until__isnull=False) & ~Q(lease="")
                | ~Q(state="delivering") & Q(lease_until=None, lease=""),
            ),
        ]

    def __str__(self) -> str:
        return f"delivery {self.pk}"


class Attempt(models.Model):
    """One attempt at a delivery, written when it ended or was found to be lost."""

    class Outcome(models.TextChoices):
        CONFIRMED = "confirmed"
        RETRYING = "retrying", "to be tried again"
        FAILED = "failed"
        SKIPPED = "skipped"
        LOST = "lost", "lost, its worker ended"

    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="history")
    number = models.PositiveIntegerField()
    began_at = models.DateTimeField()
    ended_at = models.DateTimeField()
    outcome = models.CharField(max_length=10, choices=Outcome.choices)
    code = models.CharField(max_length=64, blank=True)
    status = models.PositiveSmallIntegerField(null=True, blank=True)
    detail = models.CharField(max_length=500, blank=True)
    digest = models.CharField(max_length=64, blank=True)

    class Meta:
        ordering: ClassVar = ["number"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["delivery", "number"], name="delivery_attempt_number"),
        ]

    def __str__(self) -> str:
        return f"attempt {self.number}"
