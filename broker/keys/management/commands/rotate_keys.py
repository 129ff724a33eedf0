"""`manage.py rotate_keys`: make what is missing, announce a successor, move on what is due."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from broker.actors import SYSTEM
from broker.keys import services
from broker.keys.models import SigningKey


class Command(BaseCommand):
    """What the scheduler does every hour, by hand."""

    help = "Make missing first keys, and let announced keys sign once they were published for long enough."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--announce",
            metavar="USE/ALGORITHM",
            help="first publish a successor, e.g. token/RS256 or saml_signing/RS256",
        )

    def handle(self, *args: Any, announce: str | None, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        now = timezone.now()
        for made in services.ensure_keys(SYSTEM):
            self.stdout.write(f"made      {made}")
        if announce:
            use, algorithm = self._kind(announce)
            key = services.announce_key(use, algorithm=algorithm, now=now, actor=SYSTEM)
            self.stdout.write(f"announced {key}, signs from {key.activates_at:%Y-%m-%d %H:%M} UTC")
        for activated in services.rotate(now=now, actor=SYSTEM):
            self.stdout.write(f"activated {activated}")

    def _kind(self, text: str) -> tuple[SigningKey.Use, SigningKey.Algorithm]:
        kinds = {f"{use}/{algorithm}": (use, algorithm) for use, algorithm in services.NEEDED}
        if text not in kinds:
            raise CommandError(f"--announce {text}: must be one of {', '.join(kinds)}")
        return kinds[text]
