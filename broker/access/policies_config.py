"""`policies:` rules as files. A file is tried beside what is in force; only a second operator brings it into force."""

from collections.abc import Mapping
from typing import Any

from broker import limits
from broker.access import registering
from broker.access.activation import request_activation, request_retirement
from broker.access.builtin import SLUG
from broker.access.confines import check_source
from broker.access.models import Policy, PolicyVersion
from broker.access.source import BadPolicy
from broker.actors import Actor
from broker.approvals.humans import is_operator
from broker.errors import BrokerError
from broker.registry import values
from broker.registry.config.base import Section, Written
from broker.registry.config.sources import read_text
from broker.registry.config.table import Entry, Table
from broker.registry.values import BadValue

State = PolicyVersion.State
_OWN = ("name", "owner", "description", "resource_types", "applications")
_DESCRIPTION_CHARS = 4_000


class PoliciesSection(Section):
    """Keys: slug, file (or rules, inline), name, owner, description, resource_types, applications."""

    name = "policies"
    kind = "policy"
    key = "slug"
    after = ("applications",)

    def identify(self, table: Table) -> str | None:
        """The slug."""
        return table.text("slug", _slug)

    def read(self, table: Table, key: str) -> Entry:
        """See Section."""
        inline = table.text("rules", max_chars=limits.POLICY_BYTES)
        read = read_text(table, "file", max_bytes=limits.POLICY_BYTES)
        if "rules" in table and "file" in table:
            table.problem("file", "the rules are already given by rules")
        return table.entry(
            key,
            {
                "slug": key,
                "name": table.text("name"),
                "owner": table.text("owner", values.email),
                "description": table.text("description", max_chars=_DESCRIPTION_CHARS),
                "resource_types": table.texts("resource_types"),
                "applications": table.texts("applications", values.slug),
                "rules": inline if read is None else read.replace("\r\n", "\n"),
            },
        )

    def present(self) -> dict[str, dict[str, Any]]:
        """See Section. The rules are those that are tried, else those in force, else the newest draft."""
        found = {}
        for policy in Policy.objects.prefetch_related("versions"):
            version = _standing(policy)
            if version is not None:
                own = {name: getattr(policy, name) for name in _OWN}
                found[policy.slug] = {"slug": policy.slug, **own, "rules": version.source}
        return found

    def references(self, values: Mapping[str, Any]) -> list[tuple[str, str, str]]:
        """See Section."""
        return [("applications", "application", slug) for slug in values.get("applications", ())]

    def faults(self, values: Mapping[str, Any], *, is_new: bool) -> list[tuple[str, str]]:
        """See Section: everything that the engine, the schema or the confines refuse, by the line of the rules."""
        if not values.get("rules"):
            return [("", "file is missing")] if is_new else []
        confined = {name: values.get(name, []) for name in ("resource_types", "applications")}
        try:
            check_source(Policy(slug=values["slug"], **confined), values["rules"])
        except BadPolicy as error:
            return [("rules", f"{values['slug']}: {fault}") for fault in error.faults]
        return []

    def create(self, key: str, values: dict[str, Any], *, actor: Actor) -> Written:
        """See Section."""
        policy = Policy.objects.filter(slug=key).first()
        fields = {"name": key} | _columns(values)
        if policy is None:
            policy = registering.register_policy(key, actor=actor, **fields)
        else:
            policy = registering.change_policy(policy, actor=actor, **fields)
        return Written(policy, notes=_bring(policy, values["rules"], actor=actor))

    def change(self, key: str, values: dict[str, Any], *, actor: Actor) -> Written:
        """See Section."""
        policy = registering.change_policy(Policy.objects.get(slug=key), actor=actor, **_columns(values))
        notes = _bring(policy, values["rules"], actor=actor) if "rules" in values else []
        return Written(policy, notes=notes)

    def retire(self, key: str, *, actor: Actor) -> None:
        """See Section. What is tried ends; what is in force goes out of it when a second operator approves."""
        policy = Policy.objects.get(slug=key)
        for version in policy.versions.filter(state=State.CANDIDATE):
            registering.end_trial(version, actor=actor)
        for version in policy.versions.filter(state=State.DRAFT):
            registering.discard(version, actor=actor)
        active = policy.versions.filter(state=State.ACTIVE).first()
        if active is None:
            return
        if not is_operator(actor):
            raise BadValue(f"{active} is in force: an operator has to ask for its end (--operator)")
        try:
            request_retirement(active, actor=actor)
        except BrokerError as error:
            if error.code != "approval.pending":
                raise BadValue(error.refusal.meaning) from error


def _bring(policy: Policy, source: str, *, actor: Actor) -> list[str]:
    """Add the text, try it, and ask for its activation where an operator stands behind it. Returns remarks."""
    version = registering.add_version(policy, source, actor=actor)
    if version.state == State.ACTIVE:
        return []
    if version.state == State.DRAFT:
        version = registering.try_version(version, actor=actor)
    if not is_operator(actor):
        return [f"{version} is tried beside what is in force; an operator asks for its activation in the console"]
    try:
        request_activation(version, actor=actor)
    except BrokerError as error:
        if error.code != "approval.pending":
            raise BadValue(error.refusal.meaning) from error
    return [f"{version} is tried beside what is in force, and waits for a second operator's approval"]


def _standing(policy: Policy) -> PolicyVersion | None:
    by_state = {version.state: version for version in sorted(policy.versions.all(), key=lambda one: one.number)}
    return by_state.get(State.CANDIDATE) or by_state.get(State.ACTIVE) or by_state.get(State.DRAFT)


def _columns(values: Mapping[str, Any]) -> registering.PolicyFields:
    return {name: values[name] for name in _OWN if name in values}  # type: ignore[return-value]  # the keys are those of PolicyFields


def _slug(text: str) -> str:
    if text == SLUG:
        raise BadValue(f"{SLUG} is the name of the rules that every set has")
    return values.slug(text)


SECTION = PoliciesSection()
