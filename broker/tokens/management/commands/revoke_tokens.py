"""`manage.py revoke_tokens`: end everything that a client or a person holds."""

from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from broker.actors import SYSTEM
from broker.directory.models import Person
from broker.registry.models import Client
from broker.tokens.clients import find_named_client
from broker.tokens.holdings import holdings_of, revoke_holdings

REASON = "operator"


class Command(BaseCommand):
    """One transaction and one event, whatever is held."""

    help = (
        "Revoke every grant of a client or a person, with all that was exchanged from it. It holds for introspection, "
        "refresh and exchange at their next request; whoever is still in use may ask for new tokens."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        whose = parser.add_mutually_exclusive_group(required=True)
        whose.add_argument("--client", metavar="CLIENT_ID")
        whose.add_argument("--person", metavar="UUID", type=UUID)
        parser.add_argument("--list", action="store_true", help="show what is held, and revoke nothing")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        holder = _find_client(options["client"]) if options["client"] else _find_person(options["person"])
        if options["list"]:
            for grant in holdings_of(holder, now=timezone.now()):
                resource = grant.resource or "userinfo"
                self.stdout.write(f"{grant.pk}  {grant.client}  {grant.grant_type}  {resource}  {grant.expires_at}")
            return
        ended = revoke_holdings(holder, reason=REASON, actor=SYSTEM)
        exchanged = f"{ended.descendants} exchanged from them"
        self.stdout.write(f"Revoked: {ended.grants} grants, {exchanged}, {ended.codes} codes on their way.")


def _find_client(client_id: str) -> Client:
    client = find_named_client(client_id)
    if client is None:
        raise CommandError(f"{client_id}: no client is registered under this id")
    return client


def _find_person(pk: UUID) -> Person:
    try:
        return Person.objects.get(pk=pk)
    except Person.DoesNotExist as error:
        raise CommandError(f"{pk}: no person is recorded under this id") from error
