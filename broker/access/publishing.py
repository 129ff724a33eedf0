"""A new policy set for every change of what is in force or tried, and the events of versions."""

from typing import Any

from django.utils import timezone

from broker.access.builtin import builtin_source
from broker.access.in_force import compile_candidate, compile_set, latest_set, rules_of
from broker.access.models import PolicySet, PolicyVersion
from broker.actors import Actor
from broker.events.catalogue import EventType
from broker.events.services import record
from broker.registry.cache import raise_version

KIND = "policy"
State = PolicyVersion.State


def publish(cause: str, *, actor: Actor) -> PolicySet:
    """The new set, of what is active and tried as this transaction leaves it; it holds the registry.

    Raises BadPolicy when the engine does not take the rules together.
    """
    active = PolicyVersion.objects.filter(state=State.ACTIVE).order_by("pk")
    members = {str(pk): digest for pk, digest in active.values_list("pk", "digest")}
    tried = PolicyVersion.objects.filter(state=State.CANDIDATE).select_related("policy").order_by("tried_since", "pk")
    made = PolicySet.objects.create(
        number=latest_set().number + 1,
        members=members,
        candidates=[version.pk for version in tried],
        builtin=builtin_source(rules_of(members)),
        cause=cause[:300],
        created_by=name_of(actor),
        created_at=timezone.now(),
    )
    compile_set(made)
    for version in tried:
        compile_candidate(made, version)
    raise_version()
    return made


def record_version(event: EventType, version: PolicyVersion, *, actor: Actor, **details: Any) -> None:
    """The event of what happened to a version."""
    subject = KIND, version.policy.slug
    record(event, actor=actor, subject=subject, number=version.number, digest=version.digest, **details)


def name_of(actor: Actor) -> str:
    """An actor as rows name it."""
    return f"{actor.kind}:{actor.identifier}"[:200]
