"""Policies with their versions, the sets in which they came into force, and the decisions that were made by them."""

import uuid
from typing import ClassVar

from django.db import models


class PolicySchema(models.Model):
    """What policies may speak of, beside what is built in: further types and actions, and what callers send.

    A row is never changed; the one with the highest number counts.
    """

    number = models.PositiveIntegerField(unique=True)
    source = models.TextField(blank=True, help_text="declarations of types and actions, as Cedar writes a schema")
    person_properties = models.TextField(
        blank=True, help_text="what callers send of a user, such as role?: String, one after the other with commas"
    )
    client_properties = models.TextField(blank=True, help_text="likewise of a client")
    created_by = models.CharField(max_length=200)
    created_at = models.DateTimeField()

    class Meta:
        ordering: ClassVar = ["-number"]

    def __str__(self) -> str:
        return f"schema {self.number}"


class Policy(models.Model):
    """Rules under one name and one owner. What they say stands in the versions."""

    slug = models.SlugField(max_length=64, unique=True)
    name = models.CharField(max_length=200)
    owner = models.EmailField(blank=True)
    description = models.TextField(blank=True)
    resource_types = models.JSONField(
        default=list, blank=True, help_text="types of resource to which it is confined; none: to no type"
    )
    applications = models.JSONField(
        default=list, blank=True, help_text="slugs of the applications to which its sign-on rules are confined"
    )
    created_at = models.DateTimeField()

    class Meta:
        ordering: ClassVar = ["slug"]
        verbose_name_plural = "policies"

    def __str__(self) -> str:
        return self.name or self.slug


class PolicyVersion(models.Model):
    """One text of a policy. It is never changed, and kept for as long as a decision may be replayed by it."""

    class State(models.TextChoices):
        DRAFT = "draft"
        CANDIDATE = "candidate"
        ACTIVE = "active"
        RETIRED = "retired"

    policy = models.ForeignKey(Policy, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    source = models.TextField()
    digest = models.CharField(max_length=64, help_text="SHA-256 of the policy's slug and the text, in hex")
    schema = models.PositiveIntegerField(help_text="number of the schema with which it last agreed; 0: built in only")
    state = models.CharField(max_length=16, choices=State.choices, default=State.DRAFT)
    created_by = models.CharField(max_length=200)
    created_at = models.DateTimeField()
    tried_since = models.DateTimeField(null=True, blank=True, help_text="when it became a candidate")
    activated_at = models.DateTimeField(null=True, blank=True)
    approved_by = models.CharField(max_length=200, blank=True)
    retired_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["policy", "-number"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["policy", "number"], name="access_one_version_number"),
            models.UniqueConstraint(
                fields=["policy"], condition=models.Q(state="active"), name="access_one_active_version"
            ),
            models.UniqueConstraint(
                fields=["policy"], condition=models.Q(state="candidate"), name="access_one_candidate"
            ),
            models.CheckConstraint(
                condition=~models.Q(state="active")
                | (models.Q(activated_at__isnull=False) & ~models.Q(approved_by="")),
                name="access_active_is_approved",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.policy} {self.number}"


class PolicySet(models.Model):
    """All that was in force from one change to the next. Insert-only: a decision names it, and is replayed by it."""

    number = models.PositiveIntegerField(primary_key=True)
    members = models.JSONField(default=dict, help_text="{id of an active version: its digest}")
    candidates = models.JSONField(default=list, help_text="ids of the versions that are tried beside them")
    builtin = models.TextField(help_text="the rules that every set has")
    cause = models.CharField(max_length=300)
    created_by = models.CharField(max_length=200)
    created_at = models.DateTimeField()

    class Meta:
        ordering: ClassVar = ["-number"]

    def __str__(self) -> str:
        return f"set {self.number}"


class Decision(models.Model):
    """One question and its answer. `sealed` holds all that the engine looked at, encrypted for this row's place."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    at = models.DateTimeField(db_index=True)
    policy_set = models.PositiveIntegerField(db_index=True, help_text="number of the set by which it was judged")
    caller = models.CharField(max_length=200, blank=True, help_text="client_id; empty: the broker itself")
    trace_id = models.CharField(max_length=16, blank=True)
    subject_type = models.CharField(max_length=64)
    subject_id = models.CharField(max_length=200, blank=True, help_text="of those who are ours; of others only a hash")
    subject_hash = models.CharField(max_length=100, help_text="keyed hash of type and id")
    action = models.CharField(max_length=100)
    resource_type = models.CharField(max_length=64)
    resource_hash = models.CharField(max_length=100, help_text="keyed hash of type and id")
    decision = models.BooleanField()
    reasons = models.JSONField(default=list, help_text="ids of the determining rules")
    has_failed = models.BooleanField(default=False, help_text="whether a rule or the engine failed")
    sealed = models.TextField()

    class Meta:
        ordering: ClassVar = ["-at"]
        indexes: ClassVar = [
            models.Index(fields=["subject_hash", "at"], name="access_decision_subject"),
            models.Index(fields=["resource_hash", "at"], name="access_decision_resource"),
        ]

    def __str__(self) -> str:
        return str(self.id)


class Flip(models.Model):
    """A decision that a candidate would have made otherwise, or could not have made."""

    decision = models.ForeignKey(Decision, on_delete=models.CASCADE, related_name="flips")
    version = models.ForeignKey(PolicyVersion, on_delete=models.PROTECT, related_name="flips")
    would_be = models.BooleanField()
    has_failed = models.BooleanField(default=False)
    reasons = models.JSONField(default=list)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["decision", "version"], name="access_one_flip")]

    def __str__(self) -> str:
        return f"{self.decision_id} by {self.version_id}"


class EnforcementPoint(models.Model):
    """A client that asks for decisions, and the resources about which it may ask."""

    client = models.OneToOneField("registry.Client", on_delete=models.CASCADE, related_name="enforcement_point")
    resource_types = models.JSONField(default=dict, help_text="{type of resource: [actions on it]}")
    created_at = models.DateTimeField()

    class Meta:
        ordering: ClassVar = ["client__client_id"]

    def __str__(self) -> str:
        return self.client.client_id


class DeclaredEntity(models.Model):
    """A subject or resource of which an enforcement point let us know, with its properties: searches find it."""

    class Side(models.TextChoices):
        SUBJECT = "subject"
        RESOURCE = "resource"

    point = models.ForeignKey(EnforcementPoint, on_delete=models.CASCADE, related_name="declared")
    side = models.CharField(max_length=8, choices=Side.choices)
    type = models.CharField(max_length=128)
    entity_id = models.CharField(max_length=256)
    properties = models.JSONField(default=dict)

    class Meta:
        verbose_name_plural = "declared entities"
        ordering: ClassVar = ["pk"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["point", "side", "type", "entity_id"], name="access_one_declared_entity")
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.entity_id}"
