"""`manage.py declare_policy_schema FILE`: declare the types and actions that policies may speak of."""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from broker.access.declaring import change_schema, current_schema
from broker.access.source import BadPolicy
from broker.actors import SYSTEM, Actor, ActorKind
from broker.approvals.humans import is_operator


class Command(BaseCommand):
    """What is wrong with the file goes to standard error line by line, and nothing is stored."""

    requires_system_checks: list[str] = []
    help = "Declare the types and actions that policies may speak of, as Cedar writes a schema."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="the declarations")
        for name, of in (("--person-properties", "a user"), ("--client-properties", "a client")):
            parser.add_argument(name, metavar="MEMBERS", help=f"what callers send of {of} (default: stays as it is)")
        parser.add_argument("--operator", metavar="EMAIL", help="the operator who answers for it (default: the system)")

    def handle(self, *args: Any, file: Path, operator: str | None, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        actor = SYSTEM if operator is None else Actor(ActorKind.OPERATOR, operator)
        if operator is not None and not is_operator(actor):
            raise CommandError(f"{operator} is no operator")
        try:
            source = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"cannot read {file}: {error}") from error
        before = current_schema()
        told = {
            name: getattr(before, name) if options[name] is None else options[name]
            for name in ("person_properties", "client_properties")
        }
        try:
            schema = change_schema(source=source, actor=actor, **told)
        except BadPolicy as error:
            for fault in error.faults:
                self.stderr.write(f"{file}:{fault.line}: {fault.message}")
            sys.exit(1)
        changed = "declared" if schema.number != before.number else "as it was"
        self.stdout.write(f"schema {schema.number} {changed}")
