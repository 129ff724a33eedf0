"""One sign-on under way."""

import uuid
from typing import ClassVar

from django.db import models


class LoginRequest(models.Model):
    """An answer of an identity provider that we wait for or hold. Every expectation of it is stored here."""

    class Purpose(models.TextChoices):
        """What becomes of the answer once it is judged."""

        SIGN_ON = "sign_on"
        TEST = "test"
        ARRIVAL = "arrival"
        """It came without a request, and the application has still to ask."""

    class State(models.TextChoices):
        CHOOSING = "choosing"
        WAITING = "waiting"
        ANSWERED = "answered"
        DONE = "done"
        REFUSED = "refused"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    trace_id = models.CharField(max_length=16)
    purpose = models.CharField(
        max_length=16, choices=Purpose.choices, default=Purpose.SIGN_ON, db_default=Purpose.SIGN_ON
    )
    started_by = models.CharField(max_length=300, blank=True, default="", db_default="", help_text="actor of a test")
    relay_state = models.CharField(max_length=64, unique=True)
    browser_hash = models.CharField(max_length=100, blank=True, help_text="keyed hash of the flow cookie")
    state = models.CharField(max_length=16, choices=State.choices)
    application = models.ForeignKey(
        "registry.Application", on_delete=models.CASCADE, null=True, related_name="+", help_text="none for a test"
    )
    client = models.ForeignKey("registry.Client", on_delete=models.CASCADE, null=True, related_name="+")
    asked = models.JSONField(help_text="the application's request, as validated")
    identity_provider = models.ForeignKey(
        "registry.IdentityProvider", on_delete=models.CASCADE, null=True, related_name="+"
    )
    upstream_request_id = models.CharField(max_length=64, blank=True)
    force = models.BooleanField(default=False, help_text="a fresh authentication is wanted")
    authenticated_after = models.DateTimeField(null=True, blank=True)
    contexts = models.JSONField(
        default=list, db_default=[], help_text="authentication contexts that the application asked for"
    )
    must_reach_context = models.BooleanField(default=False, db_default=False)
    raw_answer = models.TextField(blank=True, help_text="sealed; unverified; emptied once judged")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        ordering: ClassVar = ["-created_at"]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(purpose="test") | models.Q(application__isnull=False),
                name="signon_for_an_application",
            )
        ]

    def __str__(self) -> str:
        return self.trace_id
