"""The book of events, and the seals over it."""

from typing import ClassVar

from django.db import models


class Event(models.Model):
    """One thing that happened. Insert-only: the database refuses a change (migration 0002)."""

    class Severity(models.TextChoices):
        NOTICE = "notice"
        WARNING = "warning"
        ALERT = "alert"

    at = models.DateTimeField()
    type = models.CharField(max_length=64)
    severity = models.CharField(max_length=8, choices=Severity.choices)
    actor_kind = models.CharField(max_length=16)
    actor_id = models.CharField(max_length=200, blank=True)
    address = models.CharField(max_length=64, blank=True)
    trace_id = models.CharField(max_length=16, blank=True)
    subject_kind = models.CharField(max_length=32, blank=True)
    subject_id = models.CharField(max_length=200, blank=True)
    connection = models.CharField("identity provider", max_length=64, blank=True)
    application = models.CharField(max_length=64, blank=True)
    code = models.CharField(max_length=64, blank=True)
    details = models.JSONField(default=dict)

    class Meta:
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [
            models.Index(fields=["at"]),
            models.Index(fields=["type", "id"]),
            models.Index(fields=["trace_id"]),
            models.Index(fields=["subject_kind", "subject_id"]),
        ]

    def __str__(self) -> str:
        return f"{self.id} {self.type}"


class Seal(models.Model):
    """A hash over a set of events, chained to the seal before it and signed (`sealing` says how it is computed).

    `ids` is the set of sealed event ids as inclusive ranges, since ids are given out before their transactions
    commit and a late one must not look like a forgery. The database lets only `pruned_at` and `row_marks` change.
    """

    at = models.DateTimeField()
    ids = models.JSONField(help_text="inclusive ranges in ascending order: [[first, last], ...]")
    count = models.PositiveIntegerField()
    until_id = models.BigIntegerField(help_text="the highest id that this seal or any before it holds")
    rows_digest = models.CharField(max_length=64)
    row_marks = models.TextField(
        blank=True, help_text="the first 8 hex digits of each row's digest: they show which row was changed"
    )
    previous_digest = models.CharField(max_length=64, unique=True)
    """Unique: of two sealers that continue the same seal only one can commit, so the chain never forks."""
    digest = models.CharField(max_length=64, unique=True)
    signature = models.TextField()
    pruned_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"seal {self.id} over {self.count} events"


class PrunePermit(models.Model):
    """The one row that lets the database delete events up to an id: set only while sealed segments are pruned."""

    until_id = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"until {self.until_id}"


class Notice(models.Model):
    """That one reader has yet to read one event. Written in the event's transaction, deleted in that of the reading."""

    # The book is pruned by ranges, which a constraint would hold up.
    event = models.ForeignKey(Event, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+")
    reader = models.CharField(max_length=200)
    created_at = models.DateTimeField()
    due_at = models.DateTimeField()
    attempts = models.PositiveIntegerField(default=0)
    error = models.CharField(max_length=200, blank=True)
    """The kind of exception with which the reader failed last."""

    class Meta:
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["reader", "event"], name="events_notice_once")]

    def __str__(self) -> str:
        return f"{self.reader} of {self.event_id}"


class ReaderTurn(models.Model):
    """Whose turn it is to read for a reader: one at a time, so that it reads in order."""

    reader = models.CharField(max_length=200, unique=True)
    lease = models.CharField(max_length=160, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.reader
