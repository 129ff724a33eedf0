"""People as django-scim2's documentation has them: a model of the project's own with its mixin."""

from typing import Any

from django.contrib.auth.models import AbstractUser
from django_scim.models import AbstractSCIMUserMixin


class User(AbstractSCIMUserMixin, AbstractUser):
    """A person."""

    @property
    def scim_groups(self) -> Any:
        """Which groups the answer names."""
        return self.groups
