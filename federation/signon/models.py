"""One sign-on under way."""

import uuid
from typing import ClassVar

from django.db import models


class LoginRequest(models.Model):
    """An application asked, and we have not answered yet. Every expectation of the answer is stored here."""

    class State(models.TextChoices):
        CHOOSING = "choosing"
        WAITING = "waiting"
        ANSWERED = "answered"
        DONE = "done"
        REFUSED = "refused"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    trace_id = models.CharField(max_length=16)
    relay_state = models.CharField(max_length=64, unique=True)
    browser_hash = models.CharField(max_length=100, help_text="keyed hash of the flow cookie")
    state = models.CharField(max_length=16, choices=State.choices)
    application = models.ForeignKey("registry.Application", on_delete=models.CASCADE, related_name="+")
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

    def __str__(self) -> str:
        return self.trace_id
