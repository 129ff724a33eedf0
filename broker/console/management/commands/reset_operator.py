"""`manage.py reset_operator`: the way back in for an operator who is locked out or forgot the password."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from broker.actors import SYSTEM
from broker.console.models import Operator
from broker.console.services import normalise_email, reset_operator


class Command(BaseCommand):
    """Gives an operator a new one-time password."""

    help = (
        "Give an operator a new one-time password, printed once. Ends the account's console sessions and its lockout. "
        "A closed account stays closed."
    )

    # The way back in has to work also while something else is broken.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        operator = Operator.objects.select_related("person").filter(email=normalise_email(options["email"])).first()
        if operator is None:
            raise CommandError("There is no operator with this e-mail address; make one with create_operator.")
        password = reset_operator(operator, actor=SYSTEM)
        if options["json"]:
            answer = {"email": operator.email, "one_time_password": password, "may_enter": operator.may_enter}
            self.stdout.write(json.dumps(answer))
            return
        self.stdout.write(f"{operator.email}, one-time password, shown once: {password}")
        if not operator.may_enter:
            self.stdout.write("The account, or the person it is tied to, is closed; the password does not open it.")
