"""Runs over whole targets, what they found, plans made of it, and drift, which stays until a read shows it gone."""

from typing import ClassVar

from django.db import models
from django.db.models import Q


class Run(models.Model):
    """One look at a whole target: every account and group is read, then compared. At most one is under way."""

    class Purpose(models.TextChoices):
        PLAN = "plan"
        RECONCILE = "reconcile", "reconciliation"

    class Stage(models.TextChoices):
        WANTED = "wanted", "working out what should be there"
        ACCOUNTS = "accounts", "reading accounts"
        GROUPS = "groups", "reading groups"
        COMPARING = "comparing"
        ENDED = "ended"

    class Outcome(models.TextChoices):
        OK = "ok", "nothing differs"
        DRIFT = "drift", "differences found"
        NOTHING_CHECKED = "nothing_checked", "nothing was checked"
        INCOMPLETE = "incomplete"

    target = models.ForeignKey("outbound.Target", on_delete=models.CASCADE, related_name="runs")
    purpose = models.CharField(max_length=16, choices=Purpose.choices)
    stage = models.CharField(max_length=16, choices=Stage.choices, default=Stage.WANTED)
    outcome = models.CharField(max_length=16, choices=Outcome.choices, blank=True)
    code = models.CharField(max_length=64, blank=True, help_text="why it did not come to its end")
    detail = models.CharField(max_length=500, blank=True)
    started_by = models.CharField(max_length=200, help_text="actor")
    trace_id = models.CharField(max_length=16, blank=True)
    began_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    lease = models.CharField(max_length=32, blank=True, help_text="of the process that works on it")
    lease_until = models.DateTimeField()
    resume_at = models.DateTimeField(null=True, blank=True, help_text="the target asked us to wait until then")
    position = models.TextField(blank=True, help_text="where the next page begins, in the target's own words")
    pages = models.PositiveIntegerField(default=0)
    restarts = models.PositiveSmallIntegerField(default=0)
    known = models.PositiveIntegerField(default=0, help_text="accounts that stood there as far as we knew before")
    accounts = models.PositiveIntegerField(default=0, help_text="accounts read")
    accounts_told = models.PositiveIntegerField(null=True, help_text="how many the target says it has")
    groups = models.PositiveIntegerField(default=0, help_text="groups read")
    groups_told = models.PositiveIntegerField(null=True)
    checked = models.PositiveIntegerField(default=0, help_text="accounts and groups compared")
    counts = models.JSONField(default=dict, help_text="{what: how many}")
    rejected = models.JSONField(
        default=list, help_text="[[id at the target, reason]]: the first records not understood"
    )
    rejected_count = models.PositiveIntegerField(default=0)

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["target"], condition=Q(ended_at=None), name="planning_one_run")
        ]
        indexes: ClassVar = [models.Index(fields=["target", "-id"], name="planning_runs_of")]

    def __str__(self) -> str:
        return f"run {self.pk} ({self.get_purpose_display()})"


class Found(models.Model):
    """An account as a run read it. Rows live as long as their run needs them; `document` may hold personal values."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="found", db_index=False, db_constraint=False)
    remote_id = models.CharField(max_length=512)
    external_id = models.CharField(max_length=512, blank=True)
    user_name = models.CharField(max_length=512, blank=True, help_text="comparable: NFKC, case-folded")
    active = models.BooleanField(null=True)
    digest = models.CharField(max_length=64, blank=True, help_text="of what our mapping writes; empty: not understood")
    document = models.TextField(blank=True, help_text="JSON: what our mapping writes, as the target shows it")
    person = models.UUIDField(null=True, help_text="whose it is, where the account was not linked yet")
    free_name = models.CharField(max_length=512, null=True, help_text="its name, where nobody was known to have it")
    read_at = models.DateTimeField()

    class Meta:
        # Not unique: a second row of one id is what a run has to notice.
        indexes: ClassVar = [
            models.Index(fields=["run", "remote_id"], name="planning_found_id"),
            # Few rows, so that they cost nothing where accounts are linked.
            models.Index(fields=["run", "free_name"], name="planning_found_name", condition=Q(free_name__isnull=False)),
            models.Index(fields=["run", "person"], name="planning_found_owner", condition=Q(person__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.remote_id


class FoundGroup(models.Model):
    """A group as a run read it, and how its members differ from ours."""

    run = models.ForeignKey(
        Run, on_delete=models.CASCADE, related_name="found_groups", db_index=False, db_constraint=False
    )
    remote_id = models.CharField(max_length=512)
    external_id = models.CharField(max_length=512, blank=True)
    name = models.CharField(max_length=512, blank=True)
    members = models.TextField(blank=True, help_text="JSON: the ids of its members at the target")
    read_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["run", "remote_id"], name="planning_found_group")]

    def __str__(self) -> str:
        return self.name or self.remote_id


class Plan(models.Model):
    """What a run found to be done at a target, before anything of it is sent."""

    class State(models.TextChoices):
        READY = "ready"
        INCOMPLETE = "incomplete", "incomplete: cannot be applied"
        APPLYING = "applying"
        APPLIED = "applied"
        REPLACED = "replaced", "replaced by a newer plan"

    run = models.OneToOneField(Run, on_delete=models.CASCADE, related_name="plan")
    target = models.ForeignKey("outbound.Target", on_delete=models.CASCADE, related_name="plans")
    state = models.CharField(max_length=16, choices=State.choices)
    counts = models.JSONField(default=dict, help_text="{action: how many}")
    made_at = models.DateTimeField()
    made_by = models.CharField(max_length=200)
    applied_at = models.DateTimeField(null=True, blank=True)
    applied_by = models.CharField(max_length=200, blank=True)
    lease = models.CharField(max_length=32, blank=True, help_text="of the process that applies it")
    lease_until = models.DateTimeField(null=True, blank=True)
    hold = models.CharField(max_length=100, blank=True, help_text="under which its destructive part waits")

    class Meta:
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [models.Index(fields=["target", "-id"], name="planning_plans_of")]

    def __str__(self) -> str:
        return f"plan {self.pk}"


class Operation(models.Model):
    """One thing to be done at the target, with what differs."""

    class Action(models.TextChoices):
        CREATE = "create"
        ADOPT = "adopt", "adopt: link what is there already"
        UPDATE = "update"
        DISABLE = "disable"
        DELETE = "delete"
        NONE = "none", "leave alone"

    class State(models.TextChoices):
        PLANNED = "planned"
        ENQUEUED = "enqueued", "handed to the ledger"
        HELD = "held", "waits for a second operator"
        SKIPPED = "skipped"

    plan = models.ForeignKey(Plan, on_delete=models.CASCADE, related_name="operations", db_index=False)
    action = models.CharField(max_length=8, choices=Action.choices)
    person = models.ForeignKey("directory.Person", on_delete=models.CASCADE, null=True, related_name="+")
    group_uid = models.UUIDField(null=True, help_text="of a group, which outlives its row")
    remote_id = models.CharField(max_length=512, blank=True)
    title = models.CharField(max_length=512, help_text="the name under which the target knows it, or would")
    differences = models.JSONField(default=dict, help_text="{attribute: [as it is there, as it shall be]}")
    weight = models.PositiveIntegerField(default=0, help_text="accounts that lose something by it")
    state = models.CharField(max_length=8, choices=State.choices, default=State.PLANNED)
    reason = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering: ClassVar = ["id"]
        indexes: ClassVar = [models.Index(fields=["plan", "state", "action", "id"], name="planning_operations_of")]

    def __str__(self) -> str:
        return f"{self.action} {self.title}"


class Drift(models.Model):
    """A difference that a reconciliation saw. It ends only when a later one no longer sees it."""

    class Kind(models.TextChoices):
        MISSING = "missing", "missing: should be there and is not"
        ORPHAN = "orphan", "orphan: its person does not belong there any more"
        SHADOW = "shadow", "shadow: nobody of ours explains it"
        CHANGED = "changed", "changed: other values than ours"
        ACTIVE = "active", "active: open although it should be closed"
        MEMBER = "member", "member: a group has other members than ours"

    class Repair(models.TextChoices):
        SENT = "sent", "sent again by us"
        REFUSED = "refused", "refused by a second operator"
        HELD = "held", "waits for a second operator"
        NONE = "none", "not by us"

    target = models.ForeignKey("outbound.Target", on_delete=models.CASCADE, related_name="drifts", db_index=False)
    kind = models.CharField(max_length=8, choices=Kind.choices)
    key = models.CharField(max_length=600, help_text="person:<uuid>, group:<uuid> or remote:<id at the target>")
    person = models.ForeignKey("directory.Person", on_delete=models.CASCADE, null=True, related_name="+")
    group_uid = models.UUIDField(null=True)
    remote_id = models.CharField(max_length=512, blank=True)
    title = models.CharField(max_length=512, help_text="the name under which the target knows it, or should")
    touches = models.BooleanField(default=True, help_text="whether a repair would change anything there")
    differences = models.JSONField(default=dict)
    weight = models.PositiveIntegerField(default=0, help_text="accounts that lose something by its repair")
    first_seen = models.DateTimeField()
    last_seen = models.DateTimeField()
    last_run = models.ForeignKey(Run, on_delete=models.SET_NULL, null=True, related_name="+")
    repair = models.CharField(max_length=8, choices=Repair.choices, default=Repair.NONE)
    hold = models.CharField(max_length=100, blank=True, help_text="under which its repair waits, or waited")
    repair_asked_at = models.DateTimeField(null=True, blank=True)
    repaired_at = models.DateTimeField(null=True, blank=True, help_text="when a later read no longer showed it")

    class Meta:
        ordering: ClassVar = ["-first_seen", "id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["target", "kind", "key"], condition=Q(repaired_at=None), name="planning_one_drift"
            )
        ]
        indexes: ClassVar = [models.Index(fields=["repaired_at", "kind"], name="planning_drifts_by_kind")]

    def __str__(self) -> str:
        return f"{self.kind} {self.title}"


class Watch(models.Model):
    """How often a target is reconciled, and what may be done about what differs. Without a row: see broker.limits."""

    class Policy(models.TextChoices):
        REPORT = "report", "report only"
        REPAIR = "repair", "repair what is ours"

    target = models.OneToOneField("outbound.Target", on_delete=models.CASCADE, related_name="watch")
    interval = models.DurationField(help_text="from the beginning of one reconciliation to the next")
    policy = models.CharField(max_length=8, choices=Policy.choices)
    changed_by = models.CharField(max_length=200)
    changed_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "watches"

    def __str__(self) -> str:
        return f"{self.target} every {self.interval}"
