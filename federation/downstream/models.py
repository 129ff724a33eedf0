"""The names by which applications know people over SAML."""

import uuid
from typing import ClassVar

from django.db import models


class PairwiseNameID(models.Model):
    """The persistent NameID of a person for one application (SAML core 8.3.7), drawn once.

    It belongs to the application rather than to its SAML face: an application that registers new metadata, or a new
    entityID, knows its people again.
    """

    application = models.ForeignKey("registry.Application", on_delete=models.CASCADE, related_name="+")
    person = models.ForeignKey("directory.Person", on_delete=models.CASCADE, related_name="+")
    value = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)

    class Meta:
        verbose_name = "pairwise NameID"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["application", "person"], name="downstream_pairwise_name_id")
        ]

    def __str__(self) -> str:
        return str(self.value)
