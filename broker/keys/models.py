"""Our keys, for tokens and for SAML; and the public keys of foreign issuers, as they were last fetched."""

import uuid
from typing import ClassVar

from django.db import models


class SigningKey(models.Model):
    """A private key of ours, sealed at rest, and its public side.

    announced: published, not used yet; active: used; retired: no longer used, still published until `gone_at`.
    After that the private side is empty; the public one stays, since old seals are verified with it.
    """

    class Use(models.TextChoices):
        TOKEN = "token", "Tokens"
        SAML_SIGNING = "saml_signing", "SAML signing"
        SAML_ENCRYPTION = "saml_encryption", "SAML encryption"

    class Algorithm(models.TextChoices):
        RS256 = "RS256", "RS256"
        ES256 = "ES256", "ES256"

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


class RemoteKeySet(models.Model):
    """The public keys of one foreign issuer, as the address of its key set last showed them."""

    owner = models.CharField(max_length=64, unique=True, help_text="the id of the party whose keys they are")
    url = models.CharField(max_length=1024)
    keys = models.JSONField(default=list, help_text="the usable ones, each a JWK of public members")
    fetched_at = models.DateTimeField(null=True, help_text="when the address last gave a usable set")
    asked_at = models.DateTimeField(null=True, help_text="when a worker last set out to ask")
    answered_at = models.DateTimeField(null=True, help_text="when that worker was back, with or without keys")
    problem = models.CharField(max_length=500, blank=True, help_text="why the last answer was not usable")

    class Meta:
        ordering: ClassVar = ["owner"]

    def __str__(self) -> str:
        return f"{self.owner} {self.url}"
