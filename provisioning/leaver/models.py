"""A leaver's case, and its items: the doors that were open when the account was closed."""

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q


class Case(models.Model):
    """One departure of one person. While it lives it is watched; a rehire ends it, with its history kept.

    `number` counts the events of the book that are about it, so that a missing one is noticed.
    """

    class State(models.TextChoices):
        OPEN = "open"
        LATE = "late"
        REOPENED = "reopened", "reopened: access came back"
        GREEN = "green"
        NOTHING_FOUND = "nothing_found", "nothing found"
        RETURNED = "returned", "the person returned"

    RED: ClassVar = (State.LATE, State.REOPENED)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    person = models.ForeignKey("directory.Person", on_delete=models.PROTECT, related_name="leaver_cases")
    cause_event = models.BigIntegerField(help_text="id of the event by which the account was closed")
    left_at = models.DateTimeField(help_text="when the account was closed")
    opened_at = models.DateTimeField()
    state = models.CharField(max_length=16, choices=State.choices, default=State.OPEN)
    state_since = models.DateTimeField()
    looked_at = models.JSONField(default=dict, help_text="{kind: how many were there}, zeros too")
    number = models.PositiveIntegerField(default=0)
    look_at = models.DateTimeField(null=True, blank=True, help_text="when it is looked at next; none: never again")
    closed_at = models.DateTimeField(null=True, blank=True, help_text="when the person returned")

    class Meta:
        verbose_name = "leaver"
        ordering: ClassVar = ["-opened_at"]
        indexes: ClassVar = [models.Index(fields=["look_at"]), models.Index(fields=["state", "opened_at"])]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["person"], condition=Q(closed_at=None), name="leaver_one_live_case_of_a_person"
            ),
            models.UniqueConstraint(fields=["person", "cause_event"], name="leaver_one_case_of_a_cause"),
        ]

    def __str__(self) -> str:
        return f"case {self.id}"

    @property
    def looked_at_words(self) -> str:
        """What was looked for, and how much of it was there."""
        labels = {kind.value: kind.label for kind in Item.Kind}
        return ", ".join(f"{labels.get(kind, kind).lower()}: {count}" for kind, count in self.looked_at.items())

    @property
    def is_red(self) -> bool:
        """Whether somebody has to act now."""
        return self.state in self.RED


class Item(models.Model):
    """One door, and how it ended: read back, acknowledged, or not verifiable until a time.

    What is told of a door counts only when it happened after `since`. `digest` is that of the answer which settled
    it: of a ledger row's answer, or of `evidence`, what we read back in our own tables.
    """

    class Kind(models.TextChoices):
        SESSION = "session"
        GRANT = "grant"
        ACCESS_TOKEN = "access_token", "access token"
        APPLICATION = "application"
        TARGET = "target"
        OPERATOR = "operator", "console account"
        OWNERSHIP = "ownership"

    class State(models.TextChoices):
        OPEN = "open"
        READ_BACK = "read_back", "read back"
        ACKNOWLEDGED = "acknowledged"
        NOT_VERIFIABLE = "not_verifiable", "not verifiable"

    class Code(models.TextChoices):
        """Why the state is what it is, in words of our own that do not change."""

        WAITING = "waiting", "waits to be closed"
        ENDED = "ended", "ended"
        REVOKED = "revoked", "revoked"
        OFFLINE = "offline", "whoever checks tokens by itself takes it until it expires"
        TOLD = "told", "the application acknowledged that the session is over"
        NO_WAY_TO_TELL = "no_way_to_tell", "the application offers no way to be told"
        TELLING_FAILED = "telling_failed", "the application was asked and did not acknowledge"
        INACTIVE = "inactive", "the account reads as inactive"
        ABSENT = "absent", "the account reads as absent"
        NO_ACCOUNT = "no_account", "no account (read back)"
        STILL_ACTIVE = "still_active", "the account reads as active"
        LIED = "target.lied", "the target said that it closed the account, and it reads as active"
        RETURNED = "access_returned", "the account was closed and reads as active again"
        REFUSED = "refused", "an operator refused what the breaker held"
        WRITTEN_OFF = "written_off", "an operator gave up what was to be delivered"
        HELD = "held", "the breaker holds it until a second operator releases it"
        SWITCHED_OFF = "switched_off", "the target is switched off here: nothing can be closed or read there"
        KEPT = "kept", "the target keeps the accounts of leavers by its policy"
        CLOSED = "closed", "closed"
        OWNER_NEEDED = "owner_needed", "needs a new owner"
        OWNER_CHANGED = "owner_changed", "has another owner"
        RETIRED = "retired", "retired"
        ACCEPTED = "accepted", "an operator takes the responsibility"

    case = models.ForeignKey(Case, on_delete=models.CASCADE, related_name="items")
    kind = models.CharField(max_length=16, choices=Kind.choices)
    reference = models.CharField(max_length=255, help_text="what it is, by the name that the book and the ledger use")
    title = models.CharField(max_length=300)
    state = models.CharField(max_length=16, choices=State.choices, default=State.OPEN)
    code = models.CharField(max_length=32, choices=Code.choices, default=Code.WAITING)
    since = models.DateTimeField(help_text="evidence counts from here")
    deadline = models.DateTimeField()
    until = models.DateTimeField(null=True, blank=True, help_text="the end of what cannot be verified")
    settled_at = models.DateTimeField(null=True, blank=True)
    evidence = models.JSONField(default=dict, blank=True, help_text="what was read back in our own tables")
    digest = models.CharField(max_length=64, blank=True, help_text="SHA-256 of the answer")
    delivery = models.BigIntegerField(null=True, blank=True, help_text="the ledger row that it relies on")
    event = models.BigIntegerField(null=True, blank=True, help_text="the event of the book that it relies on")
    read_again_at = models.DateTimeField(null=True, blank=True, help_text="when it was last read again")
    read_again_delivery = models.BigIntegerField(null=True, blank=True, help_text="the ledger row of that reading")
    late_at = models.DateTimeField(null=True, blank=True, help_text="when it was found late; it stays so")
    lied_at = models.DateTimeField(null=True, blank=True, help_text="when the target was found lying")
    returned_at = models.DateTimeField(null=True, blank=True, help_text="when access was last seen to be back")
    acknowledged_by = models.CharField(max_length=254, blank=True)
    note = models.CharField(
        max_length=500, blank=True, help_text="why an operator acknowledged it, or who gave it up and why"
    )
    # Not under the item's digest: copies of ledger rows, whose own digests the book has, and when to read again.
    proof = models.JSONField(
        default=dict, blank=True, help_text="{id: the ledger row with its attempts}, for when the ledger was pruned"
    )
    reading = models.BigIntegerField(null=True, blank=True, help_text="the ledger row of a reading under way")
    reread = models.PositiveSmallIntegerField(default=0, help_text="how many of limits.LEAVER_REREADS are done")
    read_next_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["kind", "title", "id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["case", "kind", "reference"], name="leaver_one_item_of_a_thing"),
            models.CheckConstraint(
                condition=Q(state="open") | Q(settled_at__isnull=False), name="leaver_settled_has_its_time"
            ),
            models.CheckConstraint(
                condition=~Q(state="not_verifiable") | Q(until__isnull=False), name="leaver_not_verifiable_until"
            ),
            models.CheckConstraint(
                condition=~Q(state__in=("read_back",)) | ~Q(digest=""), name="leaver_read_back_has_a_digest"
            ),
        ]

    def __str__(self) -> str:
        return self.key

    @property
    def key(self) -> str:
        """By which the book names it within its case."""
        return f"{self.kind}:{self.reference}"

    @property
    def is_open(self) -> bool:
        """Whether it is still to be closed."""
        return self.state == self.State.OPEN
