"""Codes, grants, refresh tokens and pairwise subjects. Values of tokens are stored as keyed hashes only."""

import uuid
from typing import ClassVar

from django.db import models


class Grant(models.Model):
    """What was given to whom: one row per issuance family. Access tokens are JWTs that name it (`gid`)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    client = models.ForeignKey("registry.Client", on_delete=models.PROTECT, related_name="grants")
    person = models.ForeignKey("directory.Person", on_delete=models.CASCADE, related_name="grants")
    session = models.ForeignKey("sso_sessions.Session", on_delete=models.CASCADE, related_name="grants")
    participant = models.ForeignKey("sso_sessions.Participant", on_delete=models.CASCADE, related_name="+")
    scopes = models.JSONField(default=list)
    # The authentication that this grant came from. A renewed session has another; a refreshed ID token tells this one.
    authenticated_at = models.DateTimeField()
    context = models.CharField(max_length=300, blank=True, help_text="acr")
    methods = models.JSONField(default=list, help_text="amr")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoke_reason = models.CharField(max_length=64, blank=True)

    def __str__(self) -> str:
        return str(self.id)


class AuthorizationCode(models.Model):
    """A code that was handed to a browser (RFC 6749 section 4.1.2): once, 60 seconds, one client, one redirect URI."""

    code_hash = models.CharField(max_length=100, unique=True)
    client = models.ForeignKey("registry.Client", on_delete=models.PROTECT, related_name="+")
    session = models.ForeignKey("sso_sessions.Session", on_delete=models.CASCADE, related_name="+")
    participant = models.ForeignKey("sso_sessions.Participant", on_delete=models.CASCADE, related_name="+")
    redirect_uri = models.CharField(max_length=2048)
    scopes = models.JSONField(default=list)
    nonce = models.CharField(max_length=512, blank=True)
    code_challenge = models.CharField(max_length=128, blank=True)
    context = models.CharField(
        max_length=300, blank=True, default="", db_default="", help_text="acr as the application is told"
    )
    trace_id = models.CharField(max_length=16, blank=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    redeemed_at = models.DateTimeField(null=True, blank=True)
    grant = models.ForeignKey(Grant, on_delete=models.CASCADE, null=True, related_name="+")

    def __str__(self) -> str:
        return f"code {self.pk}"


class RefreshToken(models.Model):
    """One generation of a grant's refresh tokens. The next one's value follows from this one's."""

    token_hash = models.CharField(max_length=100, unique=True)
    grant = models.ForeignKey(Grant, on_delete=models.CASCADE, related_name="refresh_tokens")
    generation = models.PositiveIntegerField()
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["grant", "generation"], name="tokens_one_of_a_generation")
        ]

    def __str__(self) -> str:
        return f"refresh token {self.pk}"


class PairwiseSubject(models.Model):
    """The `sub` of a person for one client (OpenID Connect Core 8.1), drawn once: no key's rotation changes it."""

    client = models.ForeignKey("registry.Client", on_delete=models.CASCADE, related_name="+")
    person = models.ForeignKey("directory.Person", on_delete=models.CASCADE, related_name="+")
    value = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["client", "person"], name="tokens_pairwise_subject")]

    def __str__(self) -> str:
        return str(self.value)
