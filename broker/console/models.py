"""Operators: the people of the security team, as console accounts."""

from typing import ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.db import models


class OperatorManager(BaseUserManager["Operator"]):
    """Finds operators by their natural key; accounts are made by `console.services`."""


class Operator(AbstractBaseUser, PermissionsMixin):
    """A console account. Never a Person, but may be tied to one."""

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

    def __str__(self) -> str:
        return self.email

    @property
    def is_staff(self) -> bool:
        """Every operator may enter the admin site; the role says what for."""
        return True
