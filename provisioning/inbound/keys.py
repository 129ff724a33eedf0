"""Text that is found, ordered and kept unique alike by every database: by code points."""

from typing import Any

from django.db import models


class KeyField(models.CharField):
    """A CharField that PostgreSQL compares by its "C" collation, as SQLite and Python compare anyway.

    An index of it serves equality, ranges, prefixes and orders. What is stored is made comparable before.
    """

    def db_parameters(self, connection: Any) -> Any:
        """With the collation where the database has one of that name."""
        parameters = super().db_parameters(connection)
        return {**parameters, "collation": "C"} if connection.vendor == "postgresql" else parameters
