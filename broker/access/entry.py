"""May this person enter this application? Sign-on asks the same engine as everybody, and the answer is kept alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from typing import Any

from broker.access.builtin import SIGN_ON, SLUG
from broker.access.entities import Action, Evaluation, Resource, Subject
from broker.access.policy import CompiledSet
from broker.access.services import Decided, decide_many
from broker.access.slices import Slices, known_application, known_by_heart, known_person
from broker.actors import Actor
from broker.directory.models import Person
from broker.registry.models import Application


@dataclass(frozen=True, slots=True)
class Entry:
    """Somebody at the door of an application, and how they signed on."""

    person: Person
    application: Application
    context: str
    """The authentication context that was reached, "" when none was told."""
    methods: Sequence[str]
    identity_provider: str
    """Its slug."""
    is_fresh: bool
    """Whether they signed on just now, or a session answers."""


class Ourselves:
    """The broker as a Caller."""

    client = None

    def may_ask(self, resource: Resource) -> bool:
        """Sign-on asks about applications alone."""
        return resource.type == "application"


def decide_entry(entry: Entry, *, actor: Actor, now: datetime) -> Decided:
    """The kept decision. Where the built-in rules alone concern it, nothing is read: what they look at is at hand."""
    subject = Subject("user", str(entry.person.pk))
    resource = Resource("application", entry.application.slug)

    def at_hand(compiled: CompiledSet) -> Slices:
        concerning = compiled.concerning(SIGN_ON, "Application").rules
        is_plain = all(rule.startswith(f"{SLUG}/") for rule in concerning)
        return {
            (subject.type, subject.id): known_by_heart(entry.person) if is_plain else known_person(entry.person),
            (resource.type, resource.id): known_application(entry.application),
        }

    evaluation = Evaluation(subject, Action(SIGN_ON), resource, _context(entry, actor))
    (decided,) = decide_many([evaluation], caller=Ourselves(), actor=actor, now=now, slices=at_hand)
    return decided


def _context(entry: Entry, actor: Actor) -> dict[str, Any]:
    context: dict[str, Any] = {
        "methods": list(entry.methods),
        "identity_provider": entry.identity_provider,
        "fresh": entry.is_fresh,
    }
    if entry.context:
        context["acr"] = entry.context
    try:
        context["network"] = ip_address(actor.address)
    except ValueError:
        # Without an address there is no network: a rule that insists on one says `context has network`.
        return context
    return context
