"""`authority:` which sources speak for an attribute, the best first. A plan says whom a change would meet."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from typing import Any

from django.utils import timezone

from broker.actors import Actor
from broker.directory.attributes import check_name
from broker.directory.models import AuthorityRule
from broker.directory.rules import schedule_rule, simulate_rule
from broker.directory.sources import SourceKind, read_pattern
from broker.errors import BrokerError
from broker.registry.config.base import Changes, Section, Written
from broker.registry.config.table import Entry, Table
from broker.registry.values import BadValue

_EFFECT = "effect"
"""Shown in a plan beside what changes."""


class AuthoritySection(Section):
    """Keys: attribute, sources, from (a day to come, in UTC; at once without it)."""

    name = "authority"
    kind = "authority_rule"
    key = "attribute"
    after = ("identity_providers",)

    def identify(self, table: Table) -> str | None:
        """The attribute."""
        return table.text("attribute", _attribute)

    def read(self, table: Table, key: str) -> Entry:
        """See Section."""
        sources = table.texts("sources", read_pattern)
        if sources is not None and len(set(sources)) < len(sources):
            table.problem("sources", "names a source twice")
        return table.entry(key, {"attribute": key, "sources": sources, "from": table.day("from")})

    def present(self) -> dict[str, dict[str, Any]]:
        """See Section: of each attribute the rule that begins last, where it names any source."""
        rules: dict[str, AuthorityRule] = {}
        for rule in AuthorityRule.objects.exclude(state=AuthorityRule.State.WITHDRAWN).order_by("valid_from", "pk"):
            rules[rule.attribute] = rule
        return {
            rule.attribute: {
                "attribute": rule.attribute,
                "sources": rule.sources,
                "from": rule.valid_from.astimezone(UTC).date(),
            }
            for rule in rules.values()
            if rule.sources
        }

    def references(self, values: Mapping[str, Any]) -> list[tuple[str, str, str]]:
        """See Section."""
        found = [source.partition(":") for source in values.get("sources") or ()]
        return [
            ("sources", "identity_provider", slug) for kind, _, slug in found if kind == SourceKind.IDP and slug != "*"
        ]

    def faults(self, values: Mapping[str, Any], *, is_new: bool) -> list[tuple[str, str]]:
        """See Section."""
        return [("", "sources is missing")] if is_new and not values.get("sources") else []

    def compare(self, key: str, before: Mapping[str, Any], values: Mapping[str, Any]) -> Changes:
        """See Section. A day that has come says nothing any more."""
        changes = super().compare(key, before, values)
        if "from" in changes and (values["from"] <= _today() or "sources" not in values):
            del changes["from"]
        if "sources" in changes:
            changes[_EFFECT] = ("", _effect(key, values["sources"]))
        return changes

    def create(self, key: str, values: dict[str, Any], *, actor: Actor) -> Written:
        """See Section."""
        return self.change(key, values, actor=actor)

    def change(self, key: str, values: dict[str, Any], *, actor: Actor) -> Written:
        """See Section."""
        present = self.present().get(key, {})
        return _schedule(key, values.get("sources", present.get("sources", [])), values.get("from"), actor=actor)

    def retire(self, key: str, *, actor: Actor) -> None:
        """The usual order comes back."""
        _schedule(key, [], None, actor=actor)

    def exported(self, values: dict[str, Any]) -> dict[str, Any]:
        """See Section."""
        return {name: value for name, value in values.items() if name != "from" or value > _today()}


def _schedule(attribute: str, sources: list[str], begins: date | None, *, actor: Actor) -> Written:
    moment = datetime.combine(begins, time(), tzinfo=UTC) if begins is not None and begins > _today() else None
    try:
        rule, simulation = schedule_rule(attribute, sources, valid_from=moment, actor=actor, note="configuration file")
    except BrokerError as error:
        raise BadValue(f"{error.expected} is wanted, not {error.actual}") from error
    checked = f"{simulation.changed} of {simulation.checked} people change" if simulation.checked else _NOBODY
    return Written(rule, notes=[f"authority over {attribute}: {checked}"])


def _effect(attribute: str, sources: list[str]) -> str:
    try:
        simulation = simulate_rule(attribute, sources)
    except BrokerError as error:
        return f"cannot be simulated: {error.expected} is wanted, not {error.actual}"
    if not simulation.is_conclusive:
        return _NOBODY
    return f"checked {simulation.checked} people, would change {simulation.changed}"


_NOBODY = "nobody was there to be checked"


def _attribute(text: str) -> str:
    try:
        check_name(text)
    except BrokerError as error:
        raise BadValue(f"{text[:100]!r} is no attribute") from error
    return text


def _today() -> date:
    return timezone.now().astimezone(UTC).date()


SECTION = AuthoritySection()
