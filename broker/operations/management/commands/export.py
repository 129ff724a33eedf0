"""`manage.py export`: the registry as a configuration file."""

from typing import Any

from django.core.management.base import BaseCommand

from broker.operations.export import export_configuration


class Command(BaseCommand):
    """Writes YAML to standard output."""

    requires_system_checks: list[str] = []
    help = "Write what is registered as YAML that apply reads. Secrets are never exported."

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        self.stdout.write(export_configuration(), ending="")
