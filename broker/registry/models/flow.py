"""The register of approved integration flows, and what was asked outside of it."""

from datetime import UTC, datetime, time, timedelta
from typing import ClassVar

from django.db import models
from django.db.models import Q

from broker.registry.models.client import Client
from broker.registry.models.resource import Resource


class Flow(models.Model):
    """Who may get which token for what, who owns and approved it, and until when.

    A draft stands beside the registered flow of its client, grant and resource until it is approved: what a request
    asked for, which has no owner, purpose and end until an operator completes it, or what shall replace the flow.
    """

    class SubjectClass(models.TextChoices):
        CLIENT = "client"
        PERSON = "person"

    class Grant(models.TextChoices):
        CLIENT_CREDENTIALS = "client_credentials"
        AUTHORIZATION_CODE = "authorization_code"
        TOKEN_EXCHANGE = "token_exchange"
        JWT_BEARER = "jwt_bearer", "JWT bearer"

    class State(models.TextChoices):
        PROPOSED = "proposed"
        APPROVED = "approved"
        REFUSED = "refused"

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="flows")
    grant = models.CharField(max_length=64)
    resource = models.ForeignKey(Resource, on_delete=models.PROTECT, related_name="flows")
    scopes = models.JSONField(default=list)
    subject_class = models.CharField(max_length=8, choices=SubjectClass.choices, default=SubjectClass.CLIENT)
    impersonation = models.BooleanField(default=False)
    purpose = models.CharField(max_length=300, blank=True)
    data_classes = models.JSONField(default=list)
    owner = models.EmailField(blank=True)
    state = models.CharField(max_length=16, choices=State.choices, default=State.PROPOSED)
    approved_by = models.EmailField(blank=True)
    expires = models.DateField(null=True, blank=True, help_text="its last day, in UTC")
    is_draft = models.BooleanField(default=False, db_default=False)
    proposed_by = models.CharField(max_length=254, blank=True, default="", db_default="")
    ended_at = models.DateTimeField(null=True, blank=True, help_text="when an operator ended it")
    ended_by = models.CharField(max_length=254, blank=True, default="", db_default="")
    last_used_at = models.DateTimeField(null=True, blank=True)
    told_days = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="days before the end at which its owner was told last"
    )

    class Meta:
        ordering: ClassVar = ["client", "resource", "grant"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["client", "grant", "resource"],
                condition=Q(is_draft=False),
                name="registry_one_registered_flow",
            ),
            models.CheckConstraint(
                condition=~Q(state="approved")
                | (Q(is_draft=False, expires__isnull=False) & ~Q(owner="") & ~Q(purpose="") & ~Q(approved_by="")),
                name="registry_approved_flow_is_complete",
            ),
        ]

    def __str__(self) -> str:
        return f"flow {self.pk}"

    @property
    def ends_at(self) -> datetime | None:
        """The end of its last day, or the moment at which an operator ended it; None while no end is named."""
        planned = datetime.combine(self.expires + timedelta(days=1), time.min, UTC) if self.expires else None
        return min(planned, self.ended_at) if planned and self.ended_at else self.ended_at or planned


class FlowEvidence(models.Model):
    """One kind of request outside the approved flows: the first and last time, how often, and from where.

    `digest` names the kind: client, grant, resource, scopes, subject class, impersonation. `flow` is the proposal
    that it made, or the registered flow that does not allow it.
    """

    flow = models.ForeignKey(Flow, on_delete=models.CASCADE, related_name="evidence")
    digest = models.CharField(max_length=64, unique=True)
    code = models.CharField(max_length=64, help_text="why it was outside, when it was seen first")
    enforcement = models.CharField(max_length=8, choices=Client.Enforcement.choices)
    scopes = models.JSONField(default=list)
    subject_class = models.CharField(max_length=8, choices=Flow.SubjectClass.choices)
    impersonation = models.BooleanField(default=False)
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    count = models.PositiveBigIntegerField(default=1, help_text="counted up at most once a minute in each process")
    address = models.CharField(max_length=64, blank=True, help_text="of the first request")
    trace_id = models.CharField(max_length=16, blank=True, help_text="of the first request")

    class Meta:
        ordering: ClassVar = ["-last_seen_at"]

    def __str__(self) -> str:
        return f"evidence {self.pk} for flow {self.flow_id}"
