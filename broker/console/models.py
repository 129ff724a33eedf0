"""Operators: the people of the security team, as console accounts."""

from collections.abc import Iterable
from typing import ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager
from django.db import models
from django.db.models.functions import Lower


class OperatorManager(BaseUserManager["Operator"]):
    """Finds operators by their natural key; accounts are made by `console.services`."""


class Operator(AbstractBaseUser):
    """A console account. Never a Person, but may be tied to one.

    The role is the only source of permissions: there are no superusers, and no permissions of a single account.
    """

    class Role(models.TextChoices):
        VIEWER = "viewer"
        OPERATOR = "operator"

    email = models.EmailField(unique=True)
    name = models.CharField(max_length=200)
    role = models.CharField(max_length=16, choices=Role.choices, default=Role.VIEWER)
    person = models.ForeignKey(
        "directory.Person", on_delete=models.PROTECT, null=True, blank=True, related_name="operators"
    )
    is_active = models.BooleanField(default=True)
    must_change_password = models.BooleanField(default=True)
    created_at = models.DateTimeField()

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar = ["name"]
    objects: ClassVar[OperatorManager] = OperatorManager()

    class Meta:
        ordering: ClassVar = ["email"]
        constraints: ClassVar = [
            # One spelling per address: the lockout counts by it.
            models.CheckConstraint(condition=models.Q(email=Lower("email")), name="console_email_in_lower_case")
        ]

    def __str__(self) -> str:
        return self.email

    def get_full_name(self) -> str:
        """What the console shows beside the address."""
        return self.name

    @property
    def is_staff(self) -> bool:
        """Every operator may enter the admin site; the role says what for."""
        return True

    @property
    def may_enter(self) -> bool:
        """Open, and not tied to a person whose account is closed."""
        return self.is_active and (self.person is None or self.person.is_active)

    @property
    def may_change_things(self) -> bool:
        """Open, and more than a viewer."""
        return self.may_enter and self.role == self.Role.OPERATOR

    def has_perm(self, perm: str, obj: object = None) -> bool:  # noqa: ARG002 - Django's signature
        """Viewers may view everything, operators may do everything (`perm` is `app.action_model`)."""
        return self.may_change_things or (self.may_enter and perm.partition(".")[2].startswith("view_"))

    def has_perms(self, perm_list: Iterable[str], obj: object = None) -> bool:
        """Whether each of `perm_list` is given."""
        return all(self.has_perm(perm, obj) for perm in perm_list)

    def has_module_perms(self, app_label: str) -> bool:  # noqa: ARG002 - Django's signature
        """Whether anything of an app may be seen."""
        return self.may_enter
