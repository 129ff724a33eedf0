"""OAuth clients: an application's OpenID face, or an integration's own."""

from typing import ClassVar

from django.db import models

from broker.registry.models.application import Application


class Client(models.Model):
    """A client as OAuth knows it. Secrets are rows of their own, so that two can live side by side."""

    class Kind(models.TextChoices):
        SIGN_ON = "sign_on", "Sign-on"
        SERVICE = "service"

    class Authentication(models.TextChoices):
        CLIENT_SECRET_BASIC = "client_secret_basic", "client_secret_basic"
        CLIENT_SECRET_POST = "client_secret_post", "client_secret_post"
        PRIVATE_KEY_JWT = "private_key_jwt", "private_key_jwt"
        TLS_CLIENT_AUTH = "tls_client_auth", "tls_client_auth"
        SELF_SIGNED_TLS_CLIENT_AUTH = "self_signed_tls_client_auth", "self_signed_tls_client_auth"

    class PKCE(models.TextChoices):
        REQUIRED = "required"
        EXEMPT = "exempt"

    class SubjectType(models.TextChoices):
        PUBLIC = "public"
        PAIRWISE = "pairwise"

    class Algorithm(models.TextChoices):
        RS256 = "RS256", "RS256"
        ES256 = "ES256", "ES256"

    class Enforcement(models.TextChoices):
        OBSERVE = "observe"
        WARN = "warn"
        ENFORCE = "enforce"

    client_id = models.CharField(max_length=200)
    kind = models.CharField(max_length=8, choices=Kind.choices)
    application = models.ForeignKey(
        Application, on_delete=models.CASCADE, related_name="clients", null=True, blank=True
    )
    owner = models.EmailField(blank=True)
    enabled = models.BooleanField(default=True)
    authentication = models.CharField(
        max_length=32, choices=Authentication.choices, default=Authentication.CLIENT_SECRET_BASIC
    )
    redirect_uris = models.JSONField(default=list, blank=True)
    post_logout_redirect_uris = models.JSONField(default=list, blank=True)
    initiate_login_uri = models.URLField(
        max_length=1024,
        blank=True,
        default="",
        db_default="",
        help_text="where a sign-on begins that the application did not ask for (OpenID Connect Core 4)",
    )
    # By their names in OpenID Connect Back-Channel Logout 1.0 section 2.2.
    backchannel_logout_uri = models.URLField(
        max_length=1024, blank=True, default="", db_default="", help_text="where it is told of the end of a session"
    )
    backchannel_logout_session_required = models.BooleanField(
        default=False, db_default=False, help_text="a logout token names the session alone, not the person beside it"
    )
    pkce = models.CharField(max_length=8, choices=PKCE.choices, default=PKCE.REQUIRED)
    subject_type = models.CharField(max_length=8, choices=SubjectType.choices, default=SubjectType.PUBLIC)
    id_token_algorithm = models.CharField(max_length=8, choices=Algorithm.choices, default=Algorithm.RS256)
    jwks = models.JSONField(default=dict, blank=True, help_text="its public keys, where the registration holds them")
    jwks_url = models.URLField(max_length=1024, blank=True, help_text="where its public keys are published")
    workload = models.JSONField(
        default=dict,
        blank=True,
        help_text="the foreign token that stands for it: {issuer, subject, audience, jwks_url, is_discovered, "
        "long_lived_until}",
    )
    tls = models.JSONField(
        default=dict,
        db_default=models.Value({}, models.JSONField()),
        blank=True,
        help_text="the one name in its certificate (RFC 8705 section 2.1.2): {subject_dn | san_dns | san_uri | san_ip "
        "| san_email}",
    )
    certificates = models.JSONField(
        default=list,
        db_default=models.Value([], models.JSONField()),
        blank=True,
        help_text="its self-signed certificates: [{certificate: base64 of DER, fingerprint, thumbprint, subject, "
        "not_after}]",
    )
    token_endpoint_audience_until = models.DateField(
        null=True, blank=True, help_text="the last day on which its assertions may name the token endpoint's address"
    )
    credential_dates = models.JSONField(
        default=dict,
        db_default=models.Value({}, models.JSONField()),
        blank=True,
        help_text="when each key, certificate and workload was registered: {kind:name: time}",
    )
    # By their names in RFC 9449 section 5.2, RFC 8705 section 3.4 and RFC 9126 section 6.
    dpop_bound_access_tokens = models.BooleanField(default=False, db_default=False)
    tls_client_certificate_bound_access_tokens = models.BooleanField(default=False, db_default=False)
    require_pushed_authorization_requests = models.BooleanField(default=False, db_default=False)
    enforcement = models.CharField(max_length=8, choices=Enforcement.choices, default=Enforcement.ENFORCE)
    created_at = models.DateTimeField()
    retired_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["client_id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["client_id"], condition=models.Q(retired_at=None), name="registry_client_id"
            ),
            models.UniqueConstraint(
                fields=["application"],
                condition=models.Q(retired_at=None, kind="sign_on"),
                name="registry_one_sign_on_client",
            ),
        ]

    def __str__(self) -> str:
        return self.client_id


class ClientSecret(models.Model):
    """A secret of a client, as a hash: keyed for our own 256-bit ones, Argon2 for imported ones."""

    class Scheme(models.TextChoices):
        KEYED = "keyed"
        ARGON2 = "argon2"

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="secrets")
    scheme = models.CharField(max_length=8, choices=Scheme.choices)
    secret_hash = models.CharField(max_length=200)
    created_at = models.DateTimeField()
    rotate_by = models.DateField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-created_at"]

    def __str__(self) -> str:
        return f"secret {self.pk} of {self.client_id}"
