"""`manage.py issue_token`: why a client gets a token or does not, phase by phase; with --issue also the token."""

import json
import sys
from argparse import ArgumentParser
from dataclasses import replace
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils.module_loading import import_string

from broker.actors import SYSTEM
from broker.registry.models import Client, Flow
from broker.tokens.clients import find_named_client
from broker.tokens.explaining import Explanation, explain_token, issue_token
from broker.tokens.grants import client_credentials


class Command(BaseCommand):
    """Runs the token endpoint's own phases for a client that does not have to prove itself to the operator."""

    help = (
        "Say which flow, rule and key make a client's token, step by step, or why it gets none: the code, what was "
        "expected and what was found. Nothing is issued without --issue. Exits with 1 when the client is refused."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--client", required=True, metavar="CLIENT_ID")
        parser.add_argument("--grant", default=client_credentials.NAME, choices=[client_credentials.NAME])
        parser.add_argument("--resource", metavar="IDENTIFIER", help="the audience (default: that of its one flow)")
        parser.add_argument("--scope", metavar="SCOPES", help="parted by spaces (default: all that its flow allows)")
        wanted = parser.add_mutually_exclusive_group(required=True)
        wanted.add_argument("--explain", action="store_true", help="explain, and leave nothing behind")
        wanted.add_argument("--issue", action="store_true", help="explain, issue the token, and print it")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        client = find_named_client(options["client"])
        if client is None:
            raise CommandError(f"{options['client']}: no client is registered under this id")
        asked = {"grant_type": options["grant"], "resource": options["resource"], "scope": options["scope"]}
        parameters = {name: value for name, value in asked.items() if value}
        actor = replace(SYSTEM, trace_id=import_string(settings.TRACE_ID_MAKER)())
        run = issue_token if options["issue"] else explain_token
        explanation = run(client, parameters, actor=actor)
        self._tell(explanation, client, was_issued=options["issue"])

    def _tell(self, explanation: Explanation, client: Client, *, was_issued: bool) -> None:
        for entry in explanation.entries:
            self.stdout.write(_line(entry))
        refusal = explanation.refusal
        if refusal is not None:
            self.stdout.write(f"\nRefused with {refusal.code}: {refusal.refusal.meaning}")
            self.stdout.write(f"  expected: {refusal.expected or '-'}\n  found:    {refusal.actual or '-'}")
            sys.exit(1)
        made = explanation.made
        word = "Issued" if was_issued else "It would be issued"
        self.stdout.write(f"\n{word} for {made['resource']} with {' '.join(made['scopes'])}")
        self.stdout.write(f"  flow:  {_flow(made['flow'], client)}")
        self.stdout.write(f"  key:   {made['kid']}\n  grant: {made['grant']}")
        for warning in explanation.warnings:
            self.stdout.write(f"  warns: {warning}")
        if was_issued:
            self.stdout.write(json.dumps(explanation.response))


def _line(entry: dict[str, Any]) -> str:
    if entry["type"] == "check":
        found = f": expected {entry['expected'] or '-'}, found {entry['actual'] or '-'}" if not entry["passed"] else ""
        return f"     {'ok' if entry['passed'] else 'NO'}  {entry['name']}{found}"
    if entry["type"] == "message":
        return f"     {entry['title']}"
    values = ", ".join(f"{name} {value}" for name, value in entry["values"].items())
    indent = "" if entry["text"][:1].isdigit() else "     "
    return f"{indent}{entry['text']}{f' ({values})' if values else ''}"


def _flow(flow_id: int | None, client: Client) -> str:
    if flow_id is None:
        return f"none; the client is not enforced yet ({client.enforcement})"
    flow = Flow.objects.get(pk=flow_id)
    return f"{flow_id}, {flow.purpose!r}, owned by {flow.owner}, approved by {flow.approved_by}, until {flow.expires}"
