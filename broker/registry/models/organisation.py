"""A company of the group: its domains, its identity providers, its people."""

from typing import ClassVar

from django.db import models

from broker.registry.models.party import Party, unique_while_live


class Organisation(Party):
    """A company. Owns domains (proved), identity providers and people."""

    owner = models.EmailField(blank=True)

    class Meta(Party.Meta):
        constraints: ClassVar = [unique_while_live("slug", "registry_organisation_slug")]


class Domain(models.Model):
    """A domain for which an organisation's identity providers may speak, once it is proved."""

    class Proof(models.TextChoices):
        DNS = "dns", "DNS"
        OPERATOR = "operator"

    organisation = models.ForeignKey(Organisation, on_delete=models.CASCADE, related_name="domains")
    name = models.CharField(max_length=253, unique=True, help_text="lower case, without a leading dot")
    proof = models.CharField(max_length=16, choices=Proof.choices, blank=True)
    proved_at = models.DateTimeField(null=True, blank=True)
    proved_by = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name
