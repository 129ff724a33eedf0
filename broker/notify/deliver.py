"""Carrying one event to one address, by the rules of Standard Webhooks ("Delivery")."""

import hashlib
from collections.abc import Sequence
from datetime import datetime

from django.utils import timezone

from broker import limits, outgoing
from broker.actors import SYSTEM
from broker.delivery.handlers import Settle
from broker.delivery.models import Delivery
from broker.delivery.outcomes import Outcome, confirmed, failed, retry, skipped
from broker.delivery.waiting import asked_pause
from broker.errors import BrokerError
from broker.events.models import Event
from broker.notify.envelope import CONTENT_TYPE, write
from broker.notify.models import Subscription
from broker.notify.secrets import secrets_of
from broker.notify.services import disable_gone
from broker.notify.signing import signed_headers

GONE = 410


class Handler:
    """Kind `webhook` of the ledger (settings.DELIVERY_HANDLERS)."""

    batch = 10

    def deliver(self, lane: str, batch: Sequence[Delivery], settle: Settle) -> None:  # noqa: ARG002 - the lane is one subscription
        """Post each event, the oldest first; what the address asks to wait with waits with the lane."""
        events = Event.objects.in_bulk([one.payload["event"] for one in batch])
        subscription = Subscription.objects.get(pk=batch[0].payload["subscription"])
        for delivery in batch:
            outcome = self._carry(subscription, events.get(delivery.payload["event"]))
            settle([(delivery, outcome)])
            if outcome.status == GONE:
                disable_gone(subscription, actor=SYSTEM)
                subscription.refresh_from_db()
            if settle.is_over:
                return

    def _carry(self, subscription: Subscription, event: Event | None) -> Outcome:
        if subscription.retired_at is not None or not subscription.enabled:
            return skipped("webhook.disabled")
        if event is None:
            return failed("webhook.event_pruned", "the book has let go of the event")
        now = timezone.now()
        body = write(event)
        try:
            headers = signed_headers(body, message_id=str(event.pk), secrets=secrets_of(subscription, now=now), now=now)
            answer = outgoing.fetch(
                subscription.url,
                purpose="webhook",
                max_bytes=limits.WEBHOOK_ANSWER_BYTES,
                accept="*/*",
                method="POST",
                headers={**headers, "Content-Type": CONTENT_TYPE},
                body=body,
                total_seconds=limits.WEBHOOK_SECONDS,
            )
        except BrokerError as error:
            return retry(error.code, error.detail)
        return judge(answer, now=now)


def judge(answer: outgoing.Fetched, *, now: datetime) -> Outcome:
    """What an answer means: any 2xx has it, 410 wants no more, everything else is tried again."""
    if 200 <= answer.status < 300:
        return confirmed(hashlib.sha256(answer.body).hexdigest(), status=answer.status)
    if answer.status == GONE:
        return failed("webhook.gone", status=GONE)
    detail = f"the receiving end answered {answer.status}"
    pause = asked_pause(answer.status, answer.headers, now=now)
    return retry("webhook.refused", detail, status=answer.status, lane=pause)


HANDLER = Handler()
