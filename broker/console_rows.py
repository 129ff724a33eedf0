"""What many of the console's pages have in common: rows that programs write and no hand makes or removes."""

from typing import Any

from django.http import HttpRequest


class MadeByPrograms:
    """For an admin class: no row is added or deleted by hand. What may be changed, the class says."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 - Django's signature
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 - Django's signature
        return False


class ReadOnly(MadeByPrograms):
    """For an admin class: rows to be looked at, never changed."""

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 - Django's signature
        return False
