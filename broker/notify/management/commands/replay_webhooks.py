"""`manage.py replay_webhooks`: send once more what happened since a moment."""

from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from broker.actors import SYSTEM
from broker.errors import BrokerError
from broker.notify.models import Subscription
from broker.notify.services import replay


class Command(BaseCommand):
    """Enqueue events anew for one webhook; the worker sends them."""

    help = "Send the events since a moment once more to a webhook. Receivers know repetitions by the event's id."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("webhook", help="its slug")
        parser.add_argument("--since", required=True, help="from when on, such as 2026-11-23T08:00 (UTC)")
        parser.add_argument("--until", help="up to when; left out: up to now")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        subscription = Subscription.objects.filter(slug=options["webhook"], retired_at=None).first()
        if subscription is None:
            known = ", ".join(Subscription.objects.filter(retired_at=None).values_list("slug", flat=True)) or "none"
            raise CommandError(f"there is no webhook {options['webhook']!r}; there are: {known}")
        since, until = _moment(options["since"]), _moment(options["until"]) if options["until"] else None
        try:
            count = replay(subscription, since=since, until=until, actor=SYSTEM)
        except BrokerError as error:
            raise CommandError(f"{error.refusal.meaning} {error.refusal.remedy}") from error
        if not count:
            raise CommandError("no event of that time is of the webhook's types: nothing is sent")
        self.stdout.write(f"{count} events wait for {subscription.slug}; the worker sends them.")


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise CommandError(f"{text!r} is no moment such as 2026-11-23T08:00") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
