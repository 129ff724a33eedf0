"""Answers that were given under an Idempotency-Key."""

from typing import ClassVar

from django.db import models


class StoredAnswer(models.Model):
    """The answer to one request under a caller's key. Written in the transaction of its effect; forgotten in a day."""

    caller = models.CharField(max_length=200, help_text="client_id")
    key_hash = models.CharField(max_length=64, help_text="SHA-256 of the Idempotency-Key, in hex")
    request_digest = models.CharField(max_length=64, help_text="SHA-256 of method, path and body, in hex")
    status = models.PositiveSmallIntegerField(default=0)
    body = models.JSONField(default=dict, help_text="without what is shown only once")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["caller", "key_hash"], name="api_one_answer_per_key")]

    def __str__(self) -> str:
        return f"answer {self.pk} to {self.caller}"
