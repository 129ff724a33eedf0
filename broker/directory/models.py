"""People, their identifiers, groups and linked identities."""

import uuid
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

from django.db import models

from broker.statements import Parameter, Read


class Person(models.Model):
    """A human being of an organisation. The id is the `sub` that applications see."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organisation = models.ForeignKey("registry.Organisation", on_delete=models.PROTECT, related_name="people")
    external_id = models.CharField(max_length=200, null=True, blank=True, help_text="the HR system's own key")
    name = models.CharField(max_length=300, blank=True)
    given_name = models.CharField(max_length=200, blank=True)
    family_name = models.CharField(max_length=200, blank=True)
    claims = models.JSONField(default=dict, blank=True, help_text="further claims, each a list of strings")
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "people"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["organisation", "external_id"], name="directory_external_id")
        ]

    def __str__(self) -> str:
        return self.name or str(self.id)

    @cached_property
    def held_identifiers(self) -> dict[str, str]:
        """{kind: value}, read once; who writes some calls `forget_held`."""
        return dict(_IDENTIFIERS.rows(person=self.pk))

    @cached_property
    def held_memberships(self) -> list["HeldMembership"]:
        """The groups, whoever tells of them, read once; who writes some calls `forget_held`."""
        return [
            HeldMembership(number, group, identity_provider, is_told=is_enabled and retired_at is None)
            for number, group, identity_provider, is_enabled, retired_at in _MEMBERSHIPS.rows(person=self.pk)
        ]

    def forget_held(self) -> None:
        """Read the identifiers and the groups anew at the next use."""
        self.__dict__.pop("held_identifiers", None)
        self.__dict__.pop("held_memberships", None)


class HeldMembership(NamedTuple):
    """A membership as it is read with its person, and whether its identity provider is in use."""

    id: int
    group: str
    identity_provider_id: uuid.UUID
    is_told: bool


class Identifier(models.Model):
    """A name by which applications may know a person (e-mail address, principal name): one person's at a time."""

    class Kind(models.TextChoices):
        EMAIL = "email"
        EPPN = "eppn"

    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="identifiers")
    kind = models.CharField(max_length=16, choices=Kind.choices)
    value = models.CharField(max_length=320, help_text="as it is released")
    comparable = models.CharField(max_length=320, help_text="NFKC, case-folded: what must be unique")
    since = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["kind", "comparable"], name="directory_one_identifier"),
            models.UniqueConstraint(fields=["person", "kind"], name="directory_one_of_a_kind"),
        ]

    def __str__(self) -> str:
        return self.value


class Group(models.Model):
    """A group as one identity provider names it."""

    identity_provider = models.ForeignKey("registry.IdentityProvider", on_delete=models.PROTECT, related_name="groups")
    name = models.CharField(max_length=256)
    members = models.ManyToManyField(Person, through="Membership", related_name="groups")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["identity_provider", "name"], name="directory_one_group")
        ]

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """A person's place in a group, as last asserted."""

    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="memberships")
    group = models.ForeignKey(Group, on_delete=models.CASCADE, related_name="memberships")
    since = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["person", "group"], name="directory_one_membership")]

    def __str__(self) -> str:
        return f"{self.person_id} in {self.group_id}"


class LinkedIdentity(models.Model):
    """A person as one identity provider knows them: (identity provider, issuer, subject), and nothing else."""

    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="linked_identities")
    identity_provider = models.ForeignKey(
        "registry.IdentityProvider", on_delete=models.PROTECT, related_name="linked_identities"
    )
    issuer = models.CharField(max_length=1024)
    subject = models.CharField(max_length=1024)
    linked_at = models.DateTimeField()
    linked_by = models.CharField(max_length=200, help_text="actor")
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "linked identities"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["identity_provider", "issuer", "subject"], name="directory_linked_identity")
        ]

    def __str__(self) -> str:
        return f"{self.subject[:40]} at {self.identity_provider}"


_IDENTIFIERS = Read[tuple[str, str]](
    lambda: Identifier.objects.filter(person=Parameter(Identifier, "person")).order_by().values_list("kind", "value")
)
_MEMBERSHIPS = Read[tuple[Any, ...]](
    lambda: (
        Membership.objects.filter(person=Parameter(Membership, "person"))
        .order_by()
        .values_list(
            "id",
            "group__name",
            "group__identity_provider_id",
            "group__identity_provider__enabled",
            "group__identity_provider__retired_at",
        )
    )
)
