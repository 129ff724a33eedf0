"""`manage.py issue_scim_token SOURCE`: a new bearer token beside the one in use, shown this once."""

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from broker import limits
from broker.actors import SYSTEM
from provisioning.inbound.models import ScimSource
from provisioning.inbound.tokens import issue_token, live_tokens


class Command(BaseCommand):
    """What the console's "Issue a token" does, for those who have a terminal."""

    help = "Give a source of people a new token. The one in use goes on beside it until its date has come."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("source", metavar="SOURCE", help="its slug")
        parser.add_argument(
            "--overlap-days",
            type=int,
            default=limits.SCIM_TOKEN_OVERLAP.days,
            metavar="DAYS",
            help="how long the token in use goes on (default: %(default)s)",
        )

    def handle(self, *args: Any, source: str, overlap_days: int, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        found = ScimSource.objects.filter(slug=source, retired_at=None).first()
        if found is None:
            raise CommandError(f"there is no source {source}")
        if not 0 <= overlap_days <= limits.SCIM_TOKEN_LIFETIME.days:
            raise CommandError(f"the overlap is 0 to {limits.SCIM_TOKEN_LIFETIME.days} days")
        self.stdout.write(issue_token(found, actor=SYSTEM, overlap=timedelta(days=overlap_days)))
        for token in live_tokens(found, now=timezone.now()):
            used = f"{token.last_used_at:%Y-%m-%d %H:%M} UTC" if token.last_used_at else "never"
            self.stderr.write(f"token {token.pk} ends {token.expires_at:%Y-%m-%d %H:%M} UTC (last used: {used})")
        self.stderr.write(f"It is shown only now and stored as a hash. Base URL: {settings.BROKER_BASE_URL}/scim/v2")
