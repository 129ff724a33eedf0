"""The version that caches of parties follow."""

from django.db import models


class RegistryVersion(models.Model):
    """One row, raised in the transaction of every change of a party."""

    number = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return str(self.number)
