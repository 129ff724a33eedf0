"""`manage.py create_operator`: a console account and its one-time password."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.core.validators import validate_email

from broker.actors import SYSTEM
from broker.console.errors import OperatorRefused
from broker.console.models import Operator
from broker.console.services import create_operator


class Command(BaseCommand):
    """Makes a console account."""

    help = "Make a console account. Prints its one-time password once; it is stored nowhere."

    # The way back in has to work also while something else is broken.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email")
        parser.add_argument("--name", required=True, help="how the operator is called")
        parser.add_argument(
            "--role",
            choices=Operator.Role.values,
            default=Operator.Role.VIEWER.value,
            help="viewer: sees everything and changes nothing; operator: may do everything (default: viewer)",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        try:
            validate_email(options["email"].strip())
            operator, password = create_operator(
                options["email"], name=options["name"], role=Operator.Role(options["role"]), actor=SYSTEM
            )
        except (OperatorRefused, ValidationError) as error:
            raise CommandError(" ".join(getattr(error, "messages", [str(error)]))) from error
        if options["json"]:
            answer = {"email": operator.email, "role": operator.role, "one_time_password": password}
            self.stdout.write(json.dumps(answer))
        else:
            self.stdout.write(f"{operator.email} ({operator.role}), one-time password, shown once: {password}")
