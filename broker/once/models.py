"""Values that may be used once."""

from typing import ClassVar

from django.db import models


class UsedValue(models.Model):
    """A value that was used, as a digest, remembered until nobody could present it any more."""

    kind = models.CharField(max_length=32)
    digest = models.CharField(max_length=64)
    until = models.DateTimeField(db_index=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["kind", "digest"], name="once_used_value")]

    def __str__(self) -> str:
        return f"{self.kind} {self.digest[:8]}"
