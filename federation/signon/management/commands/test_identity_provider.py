"""`manage.py test_identity_provider SLUG`: try an identity provider out, from a terminal and a browser."""

import json
import sys
import time
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from broker import limits
from broker.actors import SYSTEM, Actor
from broker.refusals import find_refusal
from broker.registry.services import find_identity_provider
from broker.traces.models import Trace
from broker.traces.services import make_trace_id
from broker.wording import in_words
from federation.signon.models import LoginRequest
from federation.signon.results import ConnectionResult, read_result
from federation.signon.testing import address_of, prepare_test

POLL_SECONDS = 1.0
PROGRESS = {
    LoginRequest.State.CHOOSING: "Waiting for the browser.",
    LoginRequest.State.WAITING: "The browser is at the identity provider.",
    LoginRequest.State.ANSWERED: "The answer has come.",
    LoginRequest.State.DONE: "The answer is being judged.",
}


class Command(BaseCommand):
    """Prints an address for a browser, waits for the round trip, and prints what it found."""

    help = (
        "Try an identity provider out, enabled or not: open the printed address in a browser and sign in there. "
        "Opens no session and records nobody. The exit code is 1 when the test fails."
    )
    pause = staticmethod(time.sleep)

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("slug", help="the identity provider")
        parser.add_argument(
            "--json", action="store_true", help="print one JSON object; address and progress go to standard error"
        )

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        identity_provider = find_identity_provider(options["slug"])
        if identity_provider is None:
            raise CommandError(f"there is no identity provider {options['slug']}")
        actor = Actor(SYSTEM.kind, SYSTEM.identifier, trace_id=make_trace_id())
        login = prepare_test(identity_provider, actor=actor)
        tell = self.stderr if options["json"] else self.stdout
        tell.write(f"Open this address in a browser: {address_of(login)}")
        result = self._wait(login, tell=tell)
        if options["json"]:
            self.stdout.write(json.dumps(asdict(result), ensure_ascii=False))
        else:
            self.stdout.write("\n".join(result_lines(result)))
        if result.code:
            sys.exit(1)

    def _wait(self, login: LoginRequest, *, tell: Any) -> ConnectionResult:
        """Until the test is over. Raises CommandError when nobody finishes it in time."""
        told = ""
        while timezone.now() < login.expires_at:
            state = LoginRequest.objects.filter(pk=login.pk).values_list("state", flat=True).first()
            progress = PROGRESS.get(LoginRequest.State(state), "") if state else ""
            if progress and progress != told:
                tell.write(progress)
                told = progress
            result = read_result(login.trace_id)
            if result is not None and result.is_over:
                return result
            self.pause(POLL_SECONDS)
        raise CommandError(f"nobody finished the test within {in_words(limits.LOGIN_REQUEST_LIFETIME)}")


def result_lines(result: ConnectionResult) -> list[str]:
    """A result for the terminal: each check, the claims, what was dropped, what applications would be told."""
    lines = [
        f"{'ok  ' if check['passed'] else 'FAIL'} {check['name']}"
        + ("" if check["passed"] else f": expected {check['expected']}, found {check['actual']}")
        for check in result.checks
    ]
    lines += [f"claim {claim}: {value}" for claim, value in result.claims.items()]
    lines += [
        f"dropped {one['claim']}: {one['scopes']} lie outside the organisation's domains" for one in result.dropped
    ]
    if result.unmapped:
        lines.append(f"attributes that no rule maps: {result.unmapped}")
    if result.account:
        lines.append(f"account of {result.account['subject']}: {result.account['outcome']}")
    for application, claims in result.releases.items():
        told = ", ".join(f"{claim} {value}" for claim, value in claims.items())
        lines.append(f"{application} would be told: {told or 'nothing but its subject'}")
    if result.outcome == Trace.Outcome.SUCCEEDED:
        return [*lines, f"The test of {result.connection} passed; nobody was signed on. Trace {result.trace_id}."]
    refusal = find_refusal(result.code)
    lines.append(f"The test of {result.connection} failed: {refusal.code}. {refusal.meaning}")
    return [*lines, f"To be mended by {refusal.mender}: {refusal.remedy} Trace {result.trace_id}."]
