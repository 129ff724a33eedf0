"""The register of approved integration flows."""

from typing import ClassVar

from django.db import models

from broker.registry.models.client import Client
from broker.registry.models.resource import Resource


class Flow(models.Model):
    """Who may get which token for what, who owns and approved it, and until when."""

    class SubjectClass(models.TextChoices):
        CLIENT = "client"
        PERSON = "person"

    class State(models.TextChoices):
        PROPOSED = "proposed"
        APPROVED = "approved"

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="flows")
    grant = models.CharField(max_length=64)
    resource = models.ForeignKey(Resource, on_delete=models.PROTECT, related_name="flows")
    scopes = models.JSONField(default=list)
    subject_class = models.CharField(max_length=8, choices=SubjectClass.choices, default=SubjectClass.CLIENT)
    impersonation = models.BooleanField(default=False)
    purpose = models.CharField(max_length=300)
    data_classes = models.JSONField(default=list)
    owner = models.EmailField()
    state = models.CharField(max_length=16, choices=State.choices, default=State.PROPOSED)
    approved_by = models.EmailField(blank=True)
    expires = models.DateField()

    class Meta:
        ordering: ClassVar = ["client", "resource", "grant"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["client", "grant", "resource"], name="registry_one_flow")
        ]

    def __str__(self) -> str:
        return f"{self.grant} for {self.resource_id}"
