"""Registering webhooks, rotating their secrets, and sending events anew."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, TypedDict, Unpack

from django.db import transaction
from django.utils import timezone

from broker import limits
from broker.actors import Actor
from broker.delivery.enqueueing import NewDelivery, enqueue
from broker.delivery.models import Priority
from broker.errors import BrokerError
from broker.events import catalogue
from broker.events.models import Event
from broker.events.services import record
from broker.notify.models import Subscription
from broker.notify.patterns import EVERY, check_patterns, matches
from broker.notify.secrets import make_secret, seal
from broker.registry import values
from broker.registry.registering.changes import (
    assign,
    check_row,
    record_changed,
    record_created,
    record_retired,
    save_new,
)

KIND = "webhook"


class SubscriptionFields(TypedDict, total=False):
    """What can be said of a webhook; what is left out stays as it is."""

    name: str
    owner: str
    url: str
    types: list[str]
    """Patterns, see `broker.notify.patterns`."""
    enabled: bool


@transaction.atomic
def create_subscription(slug: str, *, actor: Actor, **fields: Unpack[SubscriptionFields]) -> tuple[Subscription, str]:
    """Register a webhook. Returns it with its secret, which is shown this once. Raises BadValue."""
    columns = _checked(fields)
    subscription = Subscription(slug=values.slug(slug), created_at=timezone.now(), **{"name": slug} | columns)
    secret = make_secret()
    subscription.secret_sealed = seal(subscription, secret)
    check_patterns(subscription.types or ())
    check_row(subscription)
    save_new(subscription)
    record_created(KIND, slug, actor=actor, fields=columns)
    return subscription, secret


@transaction.atomic
def change_subscription(
    subscription: Subscription, *, actor: Actor, **fields: Unpack[SubscriptionFields]
) -> Subscription:
    """Change what `fields` names; no event when nothing differs. Raises BadValue."""
    subscription = Subscription.objects.select_for_update().get(pk=subscription.pk)
    changes = assign(subscription, _checked(fields))
    if changes:
        if subscription.enabled:
            subscription.disabled_reason = ""
        check_row(subscription)
        subscription.save()
        record_changed(KIND, subscription.slug, actor=actor, changes=changes)
    return subscription


@transaction.atomic
def rotate_secret(
    subscription: Subscription, *, actor: Actor, overlap: timedelta = limits.WEBHOOK_SECRET_OVERLAP
) -> str:
    """A new secret, shown this once. Until `overlap` has passed the one before signs too."""
    subscription = Subscription.objects.select_for_update().get(pk=subscription.pk)
    secret = make_secret()
    subscription.previous_secret_sealed = subscription.secret_sealed
    subscription.previous_until = timezone.now() + overlap
    subscription.secret_sealed = seal(subscription, secret)
    subscription.save(update_fields=["previous_secret_sealed", "previous_until", "secret_sealed"])
    changes = {"secret": ("(the secret of before)", "(another secret)")}
    record_changed(KIND, subscription.slug, actor=actor, changes=changes)
    return secret


@transaction.atomic
def retire_subscription(subscription: Subscription, *, actor: Actor) -> None:
    """End a webhook for good. What still waits for it is not sent."""
    subscription = Subscription.objects.select_for_update().get(pk=subscription.pk)
    subscription.enabled, subscription.retired_at = False, timezone.now()
    subscription.save(update_fields=["enabled", "retired_at"])
    record_retired(KIND, subscription.slug, actor=actor, fields={"url": subscription.url, "types": subscription.types})


@transaction.atomic
def disable_gone(subscription: Subscription, *, actor: Actor) -> None:
    """The receiving end said 410: it wants no more (Standard Webhooks, "Operational considerations")."""
    reason = "the receiving end answered 410 Gone"
    if Subscription.objects.filter(pk=subscription.pk, enabled=True).update(enabled=False, disabled_reason=reason):
        record(catalogue.WEBHOOK_DISABLED, actor=actor, subject=(KIND, subscription.slug), reason=reason)
        record_changed(KIND, subscription.slug, actor=actor, changes={"enabled": (True, False)})


@transaction.atomic
def replay(subscription: Subscription, *, since: datetime, until: datetime | None = None, actor: Actor) -> int:
    """Send once more what happened from `since` on, in the order of the book. Returns how many events.

    Receivers know what they had by the event's id. Raises BrokerError: webhook.disabled, webhook.replay_too_long
    beyond `limits.WEBHOOK_REPLAY_EVENTS`.
    """
    if not subscription.enabled or subscription.retired_at is not None:
        raise BrokerError("webhook.disabled", actual=subscription.slug)
    happened = Event.objects.filter(at__gte=since)
    if until is not None:
        happened = happened.filter(at__lt=until)
    if EVERY not in subscription.types:
        names = [name for name in catalogue.CATALOGUE if is_about(subscription, name)]
        happened = happened.filter(type__in=names)
    found: list[int] = []
    for number, event_type in happened.order_by("id").values_list("id", "type").iterator(chunk_size=2_000):
        if is_about(subscription, event_type):
            found.append(number)
        if len(found) > limits.WEBHOOK_REPLAY_EVENTS:
            raise BrokerError("webhook.replay_too_long", expected=f"at most {limits.WEBHOOK_REPLAY_EVENTS} events")
    send(subscription, found, priority=Priority.BULK, actor=actor)
    record(
        catalogue.WEBHOOK_REPLAYED,
        actor=actor,
        subject=(KIND, subscription.slug),
        since=since.isoformat(),
        until=until.isoformat() if until else "",
        count=len(found),
    )
    return len(found)


def send(
    subscription: Subscription, events: Iterable[int], *, actor: Actor, priority: Priority = Priority.NORMAL
) -> None:
    """One row of the ledger for each event. Events do not supersede each other, so each is a subject of its own."""
    enqueue(
        KIND,
        [
            NewDelivery(
                lane=lane_of(subscription),
                subject=f"event:{number}",
                payload={"subscription": subscription.pk, "event": number},
                priority=priority,
                reference=f"event:{number}",
                title=f"Event {number} to {subscription.slug}",
            )
            for number in events
        ],
        actor=actor,
    )


def is_about(subscription: Subscription, event_type: str) -> bool:
    """Whether one of its patterns names this type."""
    return any(matches(pattern, event_type) for pattern in subscription.types)


def lane_of(subscription: Subscription) -> str:
    """The lane of its deliveries. A successor under the same slug has another one."""
    return f"webhook:{subscription.slug}:{subscription.pk}"


def _checked(fields: SubscriptionFields) -> dict[str, Any]:
    checked: dict[str, Any] = dict(fields)
    if "url" in fields:
        values.web_address(fields["url"])
    if "owner" in fields:
        values.email(fields["owner"])
    if "types" in fields:
        checked["types"] = check_patterns(fields["types"])
    return checked
