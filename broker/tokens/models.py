"""Codes, grants, pushed requests, refresh and revoked tokens. Values of tokens are stored as keyed hashes only."""

import uuid
from typing import ClassVar

from django.db import models

from broker.registry.models import Flow
from broker.tokens.scopes import OFFLINE


class Grant(models.Model):
    """What was given to whom: one row per issuance family. Access tokens are JWTs that name it (`gid`).

    The subject is a person, or where there is none a client: the client itself for client_credentials, of which all
    tokens for one resource are one family, and another client where its token was exchanged.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    client = models.ForeignKey("registry.Client", on_delete=models.PROTECT, related_name="grants")
    grant_type = models.CharField(
        max_length=64,
        default="authorization_code",
        db_default="authorization_code",
        help_text="by which it was first given, as the flow register names it",
    )
    resource = models.ForeignKey(
        "registry.Resource",
        on_delete=models.CASCADE,
        null=True,
        related_name="grants",
        help_text="the audience of its access tokens; none: our own userinfo endpoint",
    )
    person = models.ForeignKey("directory.Person", on_delete=models.CASCADE, null=True, related_name="grants")
    subject_client = models.ForeignKey("registry.Client", on_delete=models.CASCADE, null=True, related_name="+")
    session = models.ForeignKey("sso_sessions.Session", on_delete=models.CASCADE, null=True, related_name="grants")
    participant = models.ForeignKey("sso_sessions.Participant", on_delete=models.CASCADE, null=True, related_name="+")
    identity_provider = models.ForeignKey(
        "registry.IdentityProvider",
        on_delete=models.PROTECT,
        null=True,
        related_name="+",
        help_text="who vouched for a person that has no session behind this",
    )
    parent = models.ForeignKey(
        "self", on_delete=models.CASCADE, null=True, related_name="children", help_text="whose token was exchanged"
    )
    parent_token = models.CharField(
        max_length=64, blank=True, default="", db_default="", db_index=True, help_text="the jti of that token"
    )
    actor_parent = models.ForeignKey(
        "self", on_delete=models.CASCADE, null=True, related_name="+", help_text="whose token proved the actor"
    )
    actor_token = models.CharField(
        max_length=64, blank=True, default="", db_default="", db_index=True, help_text="the jti of that token"
    )
    lineage = models.JSONField(
        default=list,
        db_default=[],
        help_text="{client, resource, scopes} of each token that was exchanged on the way here, the first one last",
    )
    actors = models.JSONField(
        default=list, db_default=[], help_text="who acts for the subject, the present actor first; RFC 8693 section 4.1"
    )
    impersonation = models.BooleanField(default=False, db_default=False)
    scopes = models.JSONField(default=list)
    # The authentication that this grant came from. A renewed session has another; a refreshed ID token tells this one.
    authenticated_at = models.DateTimeField(null=True)
    context = models.CharField(max_length=300, blank=True, help_text="acr")
    methods = models.JSONField(default=list, help_text="amr")
    confirmation = models.JSONField(
        default=dict, db_default={}, help_text="the key to which its refresh tokens are bound; RFC 7800"
    )
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoke_reason = models.CharField(max_length=64, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["client", "resource"],
                condition=models.Q(grant_type="client_credentials", revoked_at=None),
                name="tokens_one_service_grant",
            ),
            models.CheckConstraint(
                condition=models.Q(person=None) ^ models.Q(subject_client=None), name="tokens_grant_has_one_subject"
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)

    @property
    def outlives_session(self) -> bool:
        """Whether a sign-on was given access beyond its session (OpenID Connect Core 11); no exchange hands that on."""
        return self.grant_type == Flow.Grant.AUTHORIZATION_CODE and OFFLINE in self.scopes


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
    resource = models.ForeignKey("registry.Resource", on_delete=models.CASCADE, null=True, related_name="+")
    dpop_thumbprint = models.CharField(
        max_length=64, blank=True, default="", db_default="", help_text="the key that redeems it; RFC 9449 section 10"
    )
    trace_id = models.CharField(max_length=16, blank=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    redeemed_at = models.DateTimeField(null=True, blank=True)
    grant = models.ForeignKey(Grant, on_delete=models.CASCADE, null=True, related_name="+")

    def __str__(self) -> str:
        return f"code {self.pk}"


class PushedRequest(models.Model):
    """An authorization request that a client sent us itself (RFC 9126): once, by that client, within its lifetime."""

    reference_hash = models.CharField(max_length=100, unique=True, help_text="keyed hash of its request_uri")
    client = models.ForeignKey("registry.Client", on_delete=models.CASCADE, related_name="+")
    parameters_sealed = models.TextField(help_text="what the client asks; it may name a person")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"pushed request {self.pk}"


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


class RevokedToken(models.Model):
    """One access token that was revoked while its family goes on (RFC 7009); forgotten once it has expired."""

    jti = models.CharField(max_length=64, unique=True)
    revoked_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.jti


class PairwiseSubject(models.Model):
    """The `sub` of a person for one client (OpenID Connect Core 8.1), drawn once: no key's rotation changes it."""

    client = models.ForeignKey("registry.Client", on_delete=models.CASCADE, related_name="+")
    person = models.ForeignKey("directory.Person", on_delete=models.CASCADE, related_name="+")
    value = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["client", "person"], name="tokens_pairwise_subject")]

    def __str__(self) -> str:
        return str(self.value)
