"""A corporate identity provider, upstream of us."""

import uuid
from typing import ClassVar

from django.core.validators import MaxValueValidator
from django.db import models

from broker import limits
from broker.registry.models.organisation import Organisation
from broker.registry.models.party import Party, unique_while_live


class IdentityProvider(Party):
    """An identity provider of one organisation. The UUID, never the slug, is part of a linked identity's key."""

    class Protocol(models.TextChoices):
        SAML = "saml", "SAML"
        OIDC = "oidc", "OpenID Connect"

    class UnknownPerson(models.TextChoices):
        CREATE = "create"
        REFUSE = "refuse"

    class OutsideAuthority(models.TextChoices):
        """What happens to a scoped value outside the organisation's domains."""

        DROP = "drop"
        REFUSE = "refuse"

    class Authentication(models.TextChoices):
        """How we prove to an OpenID provider who we are (OpenID Connect Core 9)."""

        CLIENT_SECRET_BASIC = "client_secret_basic", "client_secret_basic"
        CLIENT_SECRET_POST = "client_secret_post", "client_secret_post"
        PRIVATE_KEY_JWT = "private_key_jwt", "private_key_jwt"

    class AssertionAudience(models.TextChoices):
        """Whom our client assertion names as its audience."""

        ISSUER = "issuer"
        TOKEN_ENDPOINT = "token_endpoint"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="identity_providers")
    protocol = models.CharField(max_length=8, choices=Protocol.choices)
    issuer = models.CharField(max_length=1024, help_text="entityID, or the OpenID issuer")
    subject = models.CharField(
        max_length=200, default="name_id", help_text='"name_id" (SAML), "sub" (OpenID), or "attribute: " and its name'
    )
    unknown_person = models.CharField(max_length=8, choices=UnknownPerson.choices, default=UnknownPerson.CREATE)
    match_claim = models.CharField(max_length=64, blank=True)
    match_person = models.CharField(max_length=64, blank=True)
    outside_authority = models.CharField(max_length=8, choices=OutsideAuthority.choices, default=OutsideAuthority.DROP)

    # SAML, as read from the metadata
    metadata = models.TextField(blank=True)
    metadata_url = models.URLField(max_length=1024, blank=True)
    sso_url = models.URLField(max_length=1024, blank=True)
    sso_binding = models.CharField(max_length=8, blank=True, choices=[("redirect", "redirect"), ("post", "post")])
    certificates = models.JSONField(
        default=list, blank=True, help_text="signing certificates: {der, subject, fingerprint, not_after}"
    )
    asserted_scopes = models.JSONField(
        default=list, blank=True, help_text="shibmd:Scope of the metadata; empty: none given"
    )
    # SAML, as the operators decide
    entity_id_override = models.CharField(
        max_length=1024, blank=True, help_text="our entityID towards it, to take over an existing trust"
    )
    name_id_format = models.CharField(max_length=200, blank=True, help_text="asked for; empty: any")
    sign_requests = models.BooleanField(default=True)
    idp_initiated = models.BooleanField(
        default=False, help_text="whether answers that nobody asked for are taken; they cannot be tied to a browser"
    )
    idp_initiated_application = models.ForeignKey(
        "registry.Application",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="where such an answer leads when its RelayState names no application",
    )
    skew_seconds = models.PositiveSmallIntegerField(
        default=int(limits.SAML_SKEW.total_seconds()),
        validators=[MaxValueValidator(int(limits.SAML_SKEW_MAX.total_seconds()))],
    )
    sha1_accepted_until = models.DateField(null=True, blank=True, help_text="a dated legacy exception")

    # OpenID Connect, as we are registered there
    client_id = models.CharField(max_length=200, blank=True, default="", db_default="")
    authentication = models.CharField(
        max_length=24, blank=True, choices=Authentication.choices, default="", db_default=""
    )
    client_secret_sealed = models.TextField(blank=True, default="", db_default="", editable=False)
    assertion_audience = models.CharField(
        max_length=16,
        choices=AssertionAudience.choices,
        default=AssertionAudience.ISSUER,
        db_default=AssertionAudience.ISSUER,
        help_text="of private_key_jwt; many providers know only the token endpoint",
    )
    scopes = models.JSONField(default=list, db_default=[], blank=True, help_text="what we ask for, openid among it")
    # OpenID Connect, as its discovery document says
    discovery = models.JSONField(
        default=dict, db_default={}, blank=True, help_text="what we use of it; see broker.registry.openid"
    )
    discovered_at = models.DateTimeField(null=True, blank=True, help_text="when the document was last read and good")
    discovery_tried_at = models.DateTimeField(null=True, blank=True)
    discovery_problem = models.CharField(
        max_length=500, blank=True, default="", db_default="", help_text="why the last try gave no good document"
    )

    class Meta(Party.Meta):
        constraints: ClassVar = [unique_while_live("slug", "registry_identity_provider_slug")]
        indexes: ClassVar = [models.Index(fields=["enabled", "retired_at"])]

    @property
    def is_in_use(self) -> bool:
        """Whether neither it nor its organisation is switched off or retired."""
        return self.enabled and self.retired_at is None and self.organisation.enabled


class HomeRealmDomain(models.Model):
    """An e-mail domain that leads to an identity provider."""

    identity_provider = models.ForeignKey(IdentityProvider, on_delete=models.CASCADE, related_name="home_realm_domains")
    name = models.CharField(max_length=253, unique=True)

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name
