"""Our keys: signing keys for tokens and for SAML, and SAML decryption keys."""

import uuid
from typing import ClassVar

from django.db import models


class SigningKey(models.Model):
    """A private key of ours, sealed at rest, and its public side.

    announced: published, not used yet; active: used; retired: no longer used, still published until `gone_at`.
    After that the private side is empty; the public one stays, since old seals are verified with it.
    """

    class Use(models.TextChoices):
        TOKEN = "token"
        SAML_SIGNING = "saml_signing"
        SAML_ENCRYPTION = "saml_encryption"

    class Algorithm(models.TextChoices):
        RS256 = "RS256"
        ES256 = "ES256"

    class State(models.TextChoices):
        ANNOUNCED = "announced"
        ACTIVE = "active"
        RETIRED = "retired"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kid = models.CharField(max_length=64, unique=True)
    use = models.CharField(max_length=16, choices=Use.choices)
    algorithm = models.CharField(max_length=8, choices=Algorithm.choices)
    state = models.CharField(max_length=16, choices=State.choices)
    private_key_sealed = models.TextField(blank=True)
    public_key = models.TextField(help_text="SubjectPublicKeyInfo, PEM")
    certificate = models.TextField(blank=True, help_text="self-signed X.509, base64 of DER (SAML uses only)")
    created_at = models.DateTimeField()
    activates_at = models.DateTimeField()
    retired_at = models.DateTimeField(null=True, blank=True)
    gone_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["use", "algorithm", "-created_at"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["use", "algorithm"], condition=models.Q(state="active"), name="keys_one_active"
            ),
            models.UniqueConstraint(
                fields=["use", "algorithm"], condition=models.Q(state="announced"), name="keys_one_announced"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.use} {self.algorithm} {self.kid}"
