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
    version = models.PositiveIntegerField(default=1, db_default=1, help_text="one more at each change")
    provenance = models.JSONField(
        default=dict,
        db_default={},
        blank=True,
        help_text="what every source says: {attribute: {source: {values, at, evidence}}}; the winners stand above",
    )
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    is_unseen = False
    """Whether this object's transaction made the row, so that nobody else sees it yet, or could change it."""

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
            HeldMembership(
                number, group, identity_provider, source, is_told=is_enabled is not False and retired_at is None
            )
            for number, group, identity_provider, source, is_enabled, retired_at in _MEMBERSHIPS.rows(person=self.pk)
        ]

    def hold_nothing(self) -> None:
        """Whoever was just made has neither identifiers nor groups: there is nothing to read."""
        self.__dict__.update(held_identifiers={}, held_memberships=[])

    def forget_held(self) -> None:
        """Read the identifiers and the groups anew at the next use."""
        self.__dict__.pop("held_identifiers", None)
        self.__dict__.pop("held_memberships", None)


class HeldMembership(NamedTuple):
    """A membership as it is read with its person, and whether who tells of the group is in use."""

    id: int
    group: str
    identity_provider_id: uuid.UUID | None
    source: str
    is_told: bool


class Identifier(models.Model):
    """A name by which applications may know a person (e-mail address, principal name): one person's at a time."""

    class Kind(models.TextChoices):
        EMAIL = "email"
        EPPN = "eppn"
        USER_NAME = "user_name"

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
    """A group as one source names it: an identity provider at logins, or a feed of people and groups."""

    uid = models.UUIDField(
        null=True, unique=True, default=uuid.uuid4, editable=False, help_text="by which others know the group"
    )
    identity_provider = models.ForeignKey(
        "registry.IdentityProvider", on_delete=models.PROTECT, related_name="groups", null=True, blank=True
    )
    source = models.CharField(max_length=200, blank=True, default="", db_default="", help_text="kind:slug")
    name = models.CharField(max_length=256)
    external_id = models.CharField(max_length=256, blank=True, default="", db_default="")
    version = models.PositiveIntegerField(default=1, db_default=1, help_text="one more at each change")
    created_at = models.DateTimeField(null=True, blank=True)
    updated_at = models.DateTimeField(null=True, blank=True)
    renamed_at = models.DateTimeField(null=True, blank=True)
    members = models.ManyToManyField(Person, through="Membership", related_name="groups")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["identity_provider", "name"], name="directory_one_group"),
            models.UniqueConstraint(
                fields=["source", "name"],
                condition=models.Q(identity_provider=None),
                name="directory_one_group_of_a_source",
            ),
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


class AuthorityRule(models.Model):
    """Which sources speak for an attribute from a moment on, the best first. One that is not named has no authority."""

    class State(models.TextChoices):
        SCHEDULED = "scheduled"
        APPLYING = "applying"
        APPLIED = "applied"
        WITHDRAWN = "withdrawn"

    attribute = models.CharField(max_length=128)
    sources = models.JSONField(default=list, help_text="kind:slug, or kind:* for all of a kind; empty: the usual order")
    valid_from = models.DateTimeField()
    state = models.CharField(max_length=16, choices=State.choices, default=State.SCHEDULED)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=200, help_text="actor")
    note = models.CharField(max_length=500, blank=True)
    cursor = models.UUIDField(null=True, blank=True, help_text="the person up to whom it was applied")
    checked = models.PositiveIntegerField(default=0)
    changed = models.PositiveIntegerField(default=0)
    applied_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["attribute", "-valid_from"], name="directory_rules"),
            models.Index(fields=["state", "valid_from"], name="directory_rules_due"),
        ]

    def __str__(self) -> str:
        return f"{self.attribute} from {self.valid_from:%Y-%m-%d %H:%M}"


class Conflict(models.Model):
    """What a source says of a person without the authority to say so. The value is kept, and not in force."""

    class State(models.TextChoices):
        OPEN = "open"
        KEPT = "kept"
        SCHEDULED = "scheduled"
        ENDED = "ended"

    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="conflicts")
    attribute = models.CharField(max_length=128)
    source = models.CharField(max_length=200)
    code = models.CharField(max_length=64, help_text="why it is not in force")
    values = models.JSONField(default=list)
    digest = models.CharField(max_length=64, help_text="of the values, in the form that must be unique")
    winner = models.CharField(max_length=200, blank=True, help_text="the source whose value is in force")
    evidence = models.CharField(max_length=200, blank=True)
    state = models.CharField(max_length=16, choices=State.choices, default=State.OPEN)
    opened_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolved_by = models.CharField(max_length=200, blank=True, help_text="actor")
    note = models.CharField(max_length=500, blank=True)
    rule = models.ForeignKey(
        AuthorityRule, on_delete=models.SET_NULL, null=True, blank=True, help_text="by which the source shall win"
    )

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["person", "attribute", "source"], name="directory_one_conflict")
        ]
        indexes: ClassVar = [models.Index(fields=["state", "code", "id"], name="directory_conflicts")]

    def __str__(self) -> str:
        return f"{self.attribute}, said by {self.source}"


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
            "group__source",
            "group__identity_provider__enabled",
            "group__identity_provider__retired_at",
        )
    )
)
