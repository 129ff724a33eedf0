"""What clients prove themselves with, and when and from where each was used."""

from typing import ClassVar

from django.db import models

from broker.registry.models.client import Client


class CredentialKind(models.TextChoices):
    """A secret is named by its row, a key by its kid, a certificate by its SHA-256, a workload by its subject."""

    SECRET = "secret"
    KEY = "key"
    CERTIFICATE = "certificate"
    WORKLOAD = "workload"


class CredentialUse(models.Model):
    """The use of one credential on one day (UTC). Counts are written once a minute in each process, and so lag."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="credential_uses")
    kind = models.CharField(max_length=16, choices=CredentialKind.choices)
    name = models.CharField(max_length=255)
    day = models.DateField()
    count = models.PositiveBigIntegerField(default=0)
    superseded_count = models.PositiveBigIntegerField(
        default=0, help_text="of them, after a newer secret of the client had been used"
    )
    last_used_at = models.DateTimeField()
    last_used_from = models.CharField(max_length=64, blank=True, help_text="the caller's address")

    class Meta:
        ordering: ClassVar = ["-day", "client", "kind", "name"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["client", "kind", "name", "day"], name="registry_one_use_a_day")
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.name} on {self.day}"
