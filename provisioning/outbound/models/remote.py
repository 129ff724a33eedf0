"""What should stand at a target, what was sent there, and what was read back."""

from typing import ClassVar

from django.db import models

from provisioning.outbound.models.target import Target


class RemoteAccount(models.Model):
    """One person's account at one target. The row is there before the account: it says what we know of it.

    Digests are SHA-256 in hex: `wanted_digest`, `sent_digest` and `read_digest` over what the mapping writes, and so
    comparable; `answer_digest` over the bytes that the target answered.
    """

    class Aim(models.TextChoices):
        """What is wanted of it."""

        PRESENT = "present", "there, and active"
        DISABLED = "disabled", "closed, where it is there"
        GONE = "gone", "deleted, where it is there"
        LEFT = "left", "left alone"

    class State(models.TextChoices):
        """What we know of it."""

        UNKNOWN = "unknown"
        CREATING = "creating", "being created"
        PRESENT = "present"
        DISABLED = "disabled"
        DELETED = "deleted"
        ABSENT = "absent"

    target = models.ForeignKey(Target, on_delete=models.PROTECT, related_name="accounts")
    person = models.ForeignKey("directory.Person", on_delete=models.PROTECT, related_name="remote_accounts")
    remote_id = models.CharField(max_length=400, blank=True, default="", help_text="the target's own id")
    state = models.CharField(max_length=8, choices=State.choices, default=State.UNKNOWN)
    was_adopted = models.BooleanField(default=False, help_text="it was there before us")

    begun_at = models.DateTimeField(null=True, help_text="when an attempt to create it began whose end nobody saw yet")

    aim = models.CharField(max_length=8, choices=Aim.choices)
    wanted_digest = models.CharField(max_length=64, blank=True, default="")
    wanted_active = models.BooleanField(null=True)
    wanted_at = models.DateTimeField(help_text="since when this is its aim")
    wanted_version = models.PositiveBigIntegerField(
        null=True, help_text="the person's version that was mapped; empty: the mapping or scope changed since"
    )

    sent_digest = models.CharField(max_length=64, blank=True, default="")
    sent_at = models.DateTimeField(null=True)
    read_digest = models.CharField(max_length=64, blank=True, default="")
    read_active = models.BooleanField(null=True)
    read_at = models.DateTimeField(null=True, help_text="when the target last showed it, or that it is not there")
    answer_digest = models.CharField(max_length=64, blank=True, default="")
    etag = models.CharField(max_length=400, blank=True, default="")
    lied_at = models.DateTimeField(null=True, help_text="when the target said that it had done what it had not")
    version = models.PositiveIntegerField(default=1, help_text="raised with every change of this row")

    class Meta:
        ordering: ClassVar = ["target", "person"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["target", "person"], name="outbound_one_account"),
            models.UniqueConstraint(
                fields=["target", "remote_id"], condition=~models.Q(remote_id=""), name="outbound_account_remote_id"
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["target", "aim", "state"], name="outbound_account_health")]

    def __str__(self) -> str:
        return f"{self.person} at {self.target}"


GONE_STATES = (RemoteAccount.State.DELETED, RemoteAccount.State.ABSENT)
"""There is no account."""


class RemoteGroup(models.Model):
    """One group at one target. The group is named by its uid, since it outlives the group's own row."""

    class Aim(models.TextChoices):
        PRESENT = "present"
        GONE = "gone", "deleted, where it is there"

    class State(models.TextChoices):
        UNKNOWN = "unknown"
        CREATING = "creating", "being created"
        PRESENT = "present"
        DELETED = "deleted"
        ABSENT = "absent"

    target = models.ForeignKey(Target, on_delete=models.PROTECT, related_name="remote_groups")
    group_uid = models.UUIDField()
    name = models.CharField(max_length=256)
    remote_id = models.CharField(max_length=400, blank=True, default="")
    state = models.CharField(max_length=8, choices=State.choices, default=State.UNKNOWN)
    was_adopted = models.BooleanField(default=False)

    aim = models.CharField(max_length=8, choices=Aim.choices)
    wanted_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True)
    read_at = models.DateTimeField(null=True)
    read_name = models.CharField(max_length=256, blank=True, default="")
    read_members = models.PositiveIntegerField(null=True, help_text="members that the target last showed")
    awaited_members = models.PositiveIntegerField(default=0, help_text="members whose account is not there yet")
    foreign_members = models.PositiveIntegerField(default=0, help_text="members there that are none of ours")
    answer_digest = models.CharField(max_length=64, blank=True, default="")
    etag = models.CharField(max_length=400, blank=True, default="")
    version = models.PositiveIntegerField(default=1)

    class Meta:
        ordering: ClassVar = ["target", "name"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["target", "group_uid"], name="outbound_one_group"),
            models.UniqueConstraint(
                fields=["target", "remote_id"], condition=~models.Q(remote_id=""), name="outbound_group_remote_id"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} at {self.target}"
