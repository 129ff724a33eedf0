"""Single-sign-on sessions and their participants."""

import uuid
from datetime import datetime
from typing import ClassVar

from django.db import models


class Session(models.Model):
    """One person in one browser, signed on through one identity provider."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    handle_hash = models.CharField(max_length=100, unique=True, help_text="keyed hash of the cookie's value")
    person = models.ForeignKey("directory.Person", on_delete=models.CASCADE, related_name="sso_sessions")
    identity_provider = models.ForeignKey(
        "registry.IdentityProvider", on_delete=models.PROTECT, related_name="sso_sessions"
    )
    authenticated_at = models.DateTimeField()
    context = models.CharField(max_length=300, blank=True, help_text="acr, or AuthnContextClassRef")
    methods = models.JSONField(default=list, help_text="amr")
    upstream = models.JSONField(
        default=dict, help_text="NameID and SessionIndex of the identity provider, for its logout"
    )
    started_at = models.DateTimeField()
    last_used_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    end_reason = models.CharField(max_length=64, blank=True)

    class Meta:
        verbose_name = "single sign-on session"
        indexes: ClassVar = [models.Index(fields=["person", "ended_at"])]

    def __str__(self) -> str:
        return str(self.id)

    def is_live(self, *, now: datetime, idle_since: datetime) -> bool:
        """Not ended, not past its absolute end, and used since `idle_since`."""
        return self.ended_at is None and now < self.expires_at and self.last_used_at > idle_since


class Participant(models.Model):
    """An application that takes part in a session. The id is the `sid` that this application sees."""

    PERSISTENT: ClassVar = {"format": "persistent"}
    """A `name_id` that stands for the persistent one, where the application speaks OpenID Connect besides."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="participants")
    application = models.ForeignKey("registry.Application", on_delete=models.PROTECT, related_name="+")
    client = models.ForeignKey("registry.Client", on_delete=models.PROTECT, null=True, related_name="+")
    joined_at = models.DateTimeField()
    last_used_at = models.DateTimeField()
    transient_name = models.CharField(
        max_length=64,
        blank=True,
        default="",
        db_default="",
        help_text="transient NameID, by which the application knows the person here",
    )
    name_id = models.JSONField(
        default=dict,
        db_default=models.Value({}, models.JSONField()),
        blank=True,
        help_text="NameID as it was told to the application: {value, format, name_qualifier, sp_name_qualifier}; empty "
        "for the persistent one of an application that speaks SAML alone, which does not change",
    )

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["session", "application"], name="sessions_participant")
        ]

    def __str__(self) -> str:
        return f"{self.application_id} in {self.session_id}"

    @property
    def reference(self) -> str:
        """How the ledger's rows name it, by which its application is told of the session's end."""
        return f"participant:{self.pk}"
