"""An application's SCIM service, and how we keep it."""

from typing import ClassVar

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from broker import limits
from broker.registry.models.party import Party, unique_while_live


class Target(Party):
    """Where accounts are kept over SCIM 2.0: who belongs there, what is told of them, and what it can do.

    Its lane in the ledger is `target:<slug>`.
    """

    class Authentication(models.TextChoices):
        BEARER = "bearer", "Bearer token"
        CLIENT_CREDENTIALS = "client_credentials", "OAuth client credentials"

    class Dialect(models.TextChoices):
        GENERIC = "generic"

    class LeaverPolicy(models.TextChoices):
        """What becomes of the account of somebody who left, or belongs there no more."""

        DEACTIVATE = "deactivate"
        DELETE = "delete"
        KEEP = "keep"

    class Adoption(models.TextChoices):
        """Of accounts and groups that stand there under the name that ours would have."""

        UNMARKED = "unmarked", "those without another system's externalId"
        ANY = "any", "any, whatever externalId they carry"

    class GroupStrategy(models.TextChoices):
        NONE = "none", "Groups are not kept"
        MEMBERSHIPS = "memberships", "Groups with their members"

    application = models.ForeignKey("registry.Application", on_delete=models.PROTECT, related_name="targets")
    owner = models.EmailField(help_text="who answers for the accounts there")
    base_url = models.URLField(max_length=1024, help_text="what stands before /Users")
    dialect = models.CharField(max_length=16, choices=Dialect.choices, default=Dialect.GENERIC)

    authentication = models.CharField(
        max_length=24, choices=Authentication.choices, default=Authentication.BEARER, help_text="who we are there"
    )
    credential_sealed = models.TextField(blank=True, default="", editable=False)
    credential_changed_at = models.DateTimeField(null=True, blank=True, editable=False)
    token_url = models.URLField(max_length=1024, blank=True, help_text="of OAuth client credentials")
    token_client_id = models.CharField("client_id", max_length=200, blank=True)
    token_scope = models.CharField("scope", max_length=500, blank=True, help_text="scopes with spaces between them")

    scope = models.JSONField(
        "who belongs there",
        default=dict,
        blank=True,
        help_text='{"everyone": true} or {"groups": [...], "attributes": {name: [values]}}; "organisations": [slugs]'
        " narrows either; empty: nobody",
    )
    mapping = models.JSONField(
        default=dict, blank=True, help_text='what is told of a person: {SCIM path: attribute}, "a|b" for the first held'
    )
    leaver_policy = models.CharField(
        max_length=12, choices=LeaverPolicy.choices, default=LeaverPolicy.DEACTIVATE, help_text="of those who left"
    )
    adoption = models.CharField(
        max_length=12,
        choices=Adoption.choices,
        default=Adoption.UNMARKED,
        db_default=Adoption.UNMARKED,
        help_text="what becomes ours of what stands there under the same name; never another person's",
    )
    group_strategy = models.CharField(max_length=16, choices=GroupStrategy.choices, default=GroupStrategy.NONE)
    groups = models.JSONField(
        default=list, blank=True, help_text='the groups that are kept there, by name or "source/name"'
    )
    breaker_count = models.PositiveIntegerField(
        default=limits.TARGET_BREAKER_COUNT,
        help_text="so many accounts may be closed within an hour; beyond it a second operator decides",
    )
    breaker_share = models.FloatField(
        default=limits.TARGET_BREAKER_SHARE,
        validators=[MinValueValidator(0.0), MaxValueValidator(1.0)],
        help_text="and this part of all accounts there, from 0 to 1",
    )
    leaver_deadline = models.PositiveIntegerField(
        default=int(limits.TARGET_LEAVER_DEADLINE.total_seconds()),
        validators=[MinValueValidator(1)],
        help_text="seconds until a leaver's account there has to be closed",
    )
    max_connections = models.PositiveSmallIntegerField(
        default=limits.TARGET_CONNECTIONS,
        validators=[MinValueValidator(1), MaxValueValidator(limits.TARGET_CONNECTIONS_MAX)],
        help_text="exchanges that may be under way at once",
    )

    capabilities = models.JSONField(
        default=dict, blank=True, editable=False, help_text="what the last probe found, with its evidence"
    )
    probed_at = models.DateTimeField(null=True, blank=True, editable=False)
    probe_problem = models.CharField(
        max_length=500, blank=True, default="", editable=False, help_text="why the last probe found nothing"
    )

    class Meta(Party.Meta):
        constraints: ClassVar = [unique_while_live("slug", "outbound_target_slug")]

    @property
    def lane(self) -> str:
        """The name of its lane in the ledger."""
        return f"target:{self.slug}"

    @property
    def is_in_use(self) -> bool:
        """Whether anything may be sent there."""
        return self.enabled and self.retired_at is None
