"""What every registered party has in common."""

from typing import ClassVar

from django.db import models


class Party(models.Model):
    """A party under a stable slug. It is retired rather than deleted: what it did stays explainable.

    A retired party frees its slug; one that is registered again under it is another party, and no link, session
    or grant of the old one is valid for it.
    """

    slug = models.SlugField(max_length=64)
    name = models.CharField(max_length=200)
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField()
    retired_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True
        ordering: ClassVar = ["slug"]

    def __str__(self) -> str:
        return self.name or self.slug


def unique_while_live(field: str, name: str) -> models.UniqueConstraint:
    """`field` is unique among the parties that are not retired."""
    return models.UniqueConstraint(fields=[field], condition=models.Q(retired_at=None), name=name)
