"""Sources of people, their tokens, what each told us, and the journal of what it asked."""

from typing import ClassVar

from django.db import models

from broker.registry.models.party import Party
from provisioning.inbound.keys import KeyField

KEY_CHARS = 400
"""Of a comparable form; normalisation makes some texts longer."""


class ScimSource(Party):
    """An HR system or identity provider that writes people and groups of one organisation to us.

    Its slug is its own for ever: what people's values say of their origin names it.
    """

    class Dialect(models.TextChoices):
        GENERIC = "generic"
        ENTRA = "entra"
        OKTA = "okta"

    class UnknownMembers(models.TextChoices):
        REFUSE = "refuse", "refuse the whole request"
        REPORT = "report", "apply the rest, report and keep the unknown ones"

    organisation = models.ForeignKey(
        "registry.Organisation",
        on_delete=models.PROTECT,
        related_name="scim_sources",
        help_text="whose people it tells of",
    )
    owner = models.CharField(max_length=254, help_text="who answers for it: an address")
    dialect = models.CharField(max_length=16, choices=Dialect.choices, default=Dialect.GENERIC)
    unknown_members = models.CharField(
        max_length=16,
        choices=UnknownMembers.choices,
        default=UnknownMembers.REFUSE,
        help_text="what becomes of a group's members that this source has not told us of",
    )
    match_external_id = models.BooleanField(
        default=False, help_text="its externalId is the HR system's own key, by which it meets people we know already"
    )
    authoritative_for = models.JSONField(
        default=list, blank=True, help_text="the attributes of a person that it may write; empty: all"
    )

    class Meta:
        verbose_name = "source of people"
        verbose_name_plural = "sources of people"
        ordering: ClassVar = ["slug"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["slug"], name="inbound_one_source")]

    @property
    def authority(self) -> str:
        """The text by which values name it (broker.directory.authority.Source)."""
        return f"scim:{self.slug}"


class SourceToken(models.Model):
    """A bearer token of a source, kept as a keyed hash. At most two are live."""

    source = models.ForeignKey(ScimSource, on_delete=models.CASCADE, related_name="tokens")
    secret_hash = models.CharField(max_length=128, unique=True)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=200, help_text="actor")
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True, blank=True)
    last_used_from = models.CharField(max_length=64, blank=True, help_text="the caller's address")

    class Meta:
        ordering: ClassVar = ["-created_at"]

    def __str__(self) -> str:
        return f"token {self.pk} of {self.source}"


class Record(models.Model):
    """What one source told us of a person: its User as it reads it back, and the forms by which it is found.

    A record that the source deleted stays, so that the same person comes back under the same id.
    """

    source = models.ForeignKey(ScimSource, on_delete=models.PROTECT, related_name="records")
    person = models.ForeignKey("directory.Person", on_delete=models.PROTECT, related_name="scim_records")
    document = models.JSONField(help_text="the User without id, meta and groups")
    version = models.PositiveBigIntegerField(default=1)
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField()
    deleted_at = models.DateTimeField(null=True, blank=True)

    external_id = KeyField(max_length=KEY_CHARS, null=True, blank=True)
    user_name = KeyField(max_length=KEY_CHARS)
    display_name = KeyField(max_length=KEY_CHARS, null=True, blank=True)
    given_name = KeyField(max_length=KEY_CHARS, null=True, blank=True)
    family_name = KeyField(max_length=KEY_CHARS, null=True, blank=True)
    nick_name = KeyField(max_length=KEY_CHARS, null=True, blank=True)
    title = KeyField(max_length=KEY_CHARS, null=True, blank=True)
    user_type = KeyField(max_length=KEY_CHARS, null=True, blank=True)
    employee_number = KeyField(max_length=KEY_CHARS, null=True, blank=True)
    department = KeyField(max_length=KEY_CHARS, null=True, blank=True)
    active = models.BooleanField(null=True)
    email = KeyField(max_length=KEY_CHARS, null=True, blank=True, help_text="by which it is sorted: the primary one")
    email_type = KeyField(max_length=KEY_CHARS, null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["source", "person"], name="inbound_one_record"),
            models.UniqueConstraint(
                fields=["source", "user_name"], condition=models.Q(deleted_at=None), name="inbound_one_user_name"
            ),
            models.UniqueConstraint(
                fields=["source", "external_id"],
                condition=models.Q(deleted_at=None, external_id__isnull=False),
                name="inbound_one_external_id",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["source", "person"], condition=models.Q(deleted_at=None), name="inbound_live_record"),
            models.Index(fields=["source", "changed_at"], name="inbound_changed"),
            *(
                models.Index(
                    fields=["source", column, "person"],
                    condition=models.Q(deleted_at=None),
                    name=f"inbound_by_{column}",
                )
                for column in (
                    "created_at",
                    "display_name",
                    "given_name",
                    "family_name",
                    "nick_name",
                    "title",
                    "user_type",
                    "employee_number",
                    "department",
                    "active",
                    "email",
                    "email_type",
                )
            ),
            # A deleted one is looked for when somebody comes back.
            models.Index(fields=["source", "external_id"], name="inbound_returning_external"),
            models.Index(fields=["source", "user_name"], name="inbound_returning_user_name"),
        ]

    def __str__(self) -> str:
        return str(self.person_id)


class RecordValue(models.Model):
    """One entry of a multi-valued attribute of a record, as it is found by."""

    class Attribute(models.TextChoices):
        EMAILS = "emails"
        PHONE_NUMBERS = "phoneNumbers"

    record = models.ForeignKey(Record, on_delete=models.CASCADE, related_name="values")
    source = models.ForeignKey(ScimSource, on_delete=models.CASCADE, related_name="+")
    attribute = models.CharField(max_length=16, choices=Attribute.choices)
    value = KeyField(max_length=KEY_CHARS, null=True)
    type = KeyField(max_length=KEY_CHARS, null=True)
    primary = models.BooleanField(null=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["source", "attribute", "value"], name="inbound_value"),
            models.Index(fields=["source", "attribute", "type"], name="inbound_value_type"),
        ]

    def __str__(self) -> str:
        return f"{self.attribute} of {self.record_id}"


class GroupRecord(models.Model):
    """What a source told us of a group, beside the directory's group itself."""

    source = models.ForeignKey(ScimSource, on_delete=models.PROTECT, related_name="group_records")
    group = models.OneToOneField("directory.Group", on_delete=models.CASCADE, related_name="scim_record")
    uid = models.UUIDField(unique=True, help_text="the group's")
    display = models.CharField(max_length=KEY_CHARS, help_text="displayName as it came")
    display_name = KeyField(max_length=KEY_CHARS)
    external_id = KeyField(max_length=KEY_CHARS, null=True, blank=True)
    version = models.PositiveBigIntegerField(default=1)
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["source", "display_name"], name="inbound_one_group"),
            models.UniqueConstraint(
                fields=["source", "external_id"],
                condition=models.Q(external_id__isnull=False),
                name="inbound_one_group_external_id",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["source", "uid"], name="inbound_group_uid"),
            models.Index(fields=["source", "changed_at"], name="inbound_group_changed"),
            models.Index(fields=["source", "created_at"], name="inbound_group_created"),
        ]

    def __str__(self) -> str:
        return self.display


class PendingMember(models.Model):
    """A member that a source named in a group before it told us of the person: joined as soon as it does."""

    source = models.ForeignKey(ScimSource, on_delete=models.CASCADE, related_name="pending_members")
    group = models.ForeignKey(GroupRecord, on_delete=models.CASCADE, related_name="pending_members")
    value = KeyField(max_length=KEY_CHARS, help_text="as the source named it")
    created_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["group", "value"], name="inbound_one_pending")]
        indexes: ClassVar = [models.Index(fields=["source", "value"], name="inbound_pending_value")]

    def __str__(self) -> str:
        return f"{self.value[:40]} of {self.group}"


class JournalEntry(models.Model):
    """One request of a source, or one operation of a bulk, and what became of each attribute.

    `effects` names attributes and never values; what was sent is sealed for this row's place.
    """

    source = models.ForeignKey(ScimSource, on_delete=models.CASCADE, related_name="journal")
    at = models.DateTimeField()
    trace_id = models.CharField(max_length=16)
    token = models.PositiveBigIntegerField(null=True, help_text="the token's row")
    address = models.CharField(max_length=64, blank=True)
    method = models.CharField(max_length=8)
    resource = models.CharField(max_length=32, blank=True)
    subject = models.CharField(max_length=64, blank=True, help_text="the id of the person or group")
    place = models.PositiveIntegerField(null=True, blank=True, help_text="in a bulk, counted from 1")
    status = models.PositiveSmallIntegerField()
    code = models.CharField(max_length=64, blank=True, help_text="why it was refused")
    effects = models.JSONField(default=list, blank=True)
    counts = models.JSONField(default=dict, blank=True)
    milliseconds = models.PositiveIntegerField(default=0)
    sealed = models.TextField(blank=True)

    class Meta:
        verbose_name_plural = "journal entries"
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [
            models.Index(fields=["at"], name="inbound_journal_at"),
            models.Index(fields=["source", "at"], name="inbound_journal_source"),
            models.Index(fields=["subject", "at"], name="inbound_journal_subject"),
            models.Index(fields=["trace_id"], name="inbound_journal_trace"),
            models.Index(fields=["code", "at"], name="inbound_journal_code"),
        ]

    def __str__(self) -> str:
        return f"{self.method} {self.resource} {self.at:%Y-%m-%d %H:%M:%S}"
