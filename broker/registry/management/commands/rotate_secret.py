"""`manage.py rotate_secret CLIENT`: a new secret beside the one in use, shown this once."""

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from broker import limits
from broker.actors import SYSTEM
from broker.registry.credentials import list_credentials
from broker.registry.models import Client, CredentialKind
from broker.registry.secret_rotation import rotate_secret
from broker.registry.values import BadValue


class Command(BaseCommand):
    """What the console's "Rotate the secret" does, for those who have a terminal."""

    help = "Give a client a new secret. The one in use goes on beside it, until nobody uses it or its date has come."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("client", metavar="CLIENT", help="its client_id")
        parser.add_argument(
            "--overlap-days",
            type=int,
            default=limits.CLIENT_SECRET_OVERLAP.days,
            metavar="DAYS",
            help="how long the secret in use goes on at most (default: %(default)s)",
        )

    def handle(self, *args: Any, client: str, overlap_days: int, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        found = Client.objects.filter(client_id=client, retired_at=None).first()
        if found is None:
            raise CommandError(f"there is no client {client}")
        try:
            secret = rotate_secret(found, overlap=timedelta(days=overlap_days), actor=SYSTEM)
        except BadValue as error:
            raise CommandError(str(error)) from error
        self.stdout.write(secret)
        for credential in list_credentials(found, now=timezone.now()):
            if credential.kind == CredentialKind.SECRET and credential.is_live and credential.due_at is not None:
                used = f"{credential.last_used_at:%Y-%m-%d %H:%M} UTC" if credential.last_used_at else "never seen"
                self.stderr.write(
                    f"secret {credential.name} goes on until {credential.due_at:%Y-%m-%d %H:%M} UTC (last used: {used})"
                )
        self.stderr.write("The new secret is shown only now and stored as a hash.")
