"""`webhooks:` addresses that events are sent to, and which events."""

from collections.abc import Mapping
from typing import Any

from broker.actors import Actor
from broker.notify import services
from broker.notify.models import Subscription
from broker.registry import values
from broker.registry.config.base import Section, Written
from broker.registry.config.table import NAME_CHARS, Entry, Table

KEYS = ("name", "owner", "url", "types", "enabled")


class WebhooksSection(Section):
    """Keys: slug, name, owner, url, types ([person.*, leaver.late]), enabled. The secret is ours, and shown once."""

    name = "webhooks"
    kind = services.KIND
    key = "slug"

    def identify(self, table: Table) -> str | None:
        """The slug."""
        return table.text("slug", values.slug)

    def read(self, table: Table, key: str) -> Entry:
        """See Section."""
        return table.entry(
            key,
            {
                "slug": key,
                "name": table.text("name", max_chars=NAME_CHARS),
                "owner": table.text("owner", values.email),
                "url": table.text("url", values.web_address),
                "types": table.texts("types"),
                "enabled": table.flag("enabled"),
            },
        )

    def present(self) -> dict[str, dict[str, Any]]:
        """See Section."""
        return {
            row.slug: {"slug": row.slug, **{name: getattr(row, name) for name in KEYS}}
            for row in Subscription.objects.filter(retired_at=None)
        }

    def faults(self, values: Mapping[str, Any], *, is_new: bool) -> list[tuple[str, str]]:
        """See Section."""
        missing = [name for name in ("owner", "url", "types") if is_new and not values.get(name)]
        return [("", f"{name} is missing") for name in missing]

    def create(self, key: str, values: dict[str, Any], *, actor: Actor) -> Written:
        """See Section."""
        subscription, secret = services.create_subscription(key, actor=actor, **_fields(values))
        return Written(subscription, secrets={f"webhook {key}": secret})

    def change(self, key: str, values: dict[str, Any], *, actor: Actor) -> Written:
        """See Section."""
        return Written(services.change_subscription(_get(key), actor=actor, **_fields(values)))

    def retire(self, key: str, *, actor: Actor) -> None:
        """See Section."""
        services.retire_subscription(_get(key), actor=actor)


def _fields(values: Mapping[str, Any]) -> services.SubscriptionFields:
    return {name: values[name] for name in KEYS if name in values}  # type: ignore[return-value]  # the keys are those of SubscriptionFields


def _get(key: str) -> Subscription:
    return Subscription.objects.get(slug=key, retired_at=None)


SECTION = WebhooksSection()
