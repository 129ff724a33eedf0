"""Policies and their versions: registered, added, tried.

A version's text never changes, and what the engine or the schema does not take is not stored at all.
"""

import hashlib
from typing import TypedDict, Unpack

from django.db import transaction
from django.utils import timezone

from broker.access.activation import withdraw_question
from broker.access.builtin import SLUG
from broker.access.confines import check_again, check_confined, check_source
from broker.access.declaring import STANDING
from broker.access.models import Policy, PolicyVersion
from broker.access.policy import read_rules
from broker.access.publishing import KIND, name_of, publish, record_version
from broker.actors import Actor
from broker.events import catalogue
from broker.registry import values
from broker.registry.registering.changes import assign, check_row, hold_registry, record_changed, record_created
from broker.registry.values import BadValue

State = PolicyVersion.State
# Questions are closed first, then the registry is held: in that order an approval takes its locks too.
_TRIED_NO_MORE = "it is tried no more"


class PolicyFields(TypedDict, total=False):
    """What can be said of a policy; what is left out stays as it is."""

    name: str
    owner: str
    description: str
    resource_types: list[str]
    applications: list[str]


@transaction.atomic
def register_policy(slug: str, *, actor: Actor, **fields: Unpack[PolicyFields]) -> Policy:
    """Record a policy, which has no rules yet. Raises BadValue."""
    values.slug(slug)
    if slug == SLUG:
        raise BadValue(f"{SLUG} is the name of the rules that every set has")
    policy = Policy(slug=slug, created_at=timezone.now(), **fields)
    _check_policy(policy)
    policy.save()
    record_created(KIND, slug, actor=actor, fields=fields)
    return policy


@transaction.atomic
def change_policy(policy: Policy, *, actor: Actor, **fields: Unpack[PolicyFields]) -> Policy:
    """Change what `fields` names; no event when nothing differs.

    Raises BadValue, also when a version that is in force or tried would reach beyond what the policy is confined to.
    """
    policy = Policy.objects.select_for_update().get(pk=policy.pk)
    changes = assign(policy, fields)
    if changes:
        _check_policy(policy)
        for version in policy.versions.filter(state__in=STANDING):
            check_confined(policy, read_rules(version.source, policy=policy.slug))
        policy.save()
        record_changed(KIND, policy.slug, actor=actor, changes=changes)
    return policy


@transaction.atomic
def add_version(policy: Policy, source: str, *, actor: Actor) -> PolicyVersion:
    """The newest version with this text: a new draft, unless the newest has just this text and is not retired.

    Raises BadPolicy with the line of every fault.
    """
    policy = Policy.objects.select_for_update().get(pk=policy.pk)
    source = source.replace("\r\n", "\n")
    schema = check_source(policy, source)
    newest, digest = newest_version(policy), digest_of(policy.slug, source)
    if newest is not None and newest.digest == digest and newest.state != State.RETIRED:
        return newest
    version = PolicyVersion.objects.create(
        policy=policy,
        number=newest.number + 1 if newest else 1,
        source=source,
        digest=digest,
        schema=schema,
        created_by=name_of(actor),
        created_at=timezone.now(),
    )
    record_version(catalogue.POLICY_VERSION_ADDED, version, actor=actor)
    return version


@transaction.atomic
def try_version(version: PolicyVersion, *, actor: Actor) -> PolicyVersion:
    """Let a draft be asked beside what is in force; an older candidate of its policy becomes a draft again.

    Raises BadValue for a version that is no draft, and when it does not agree with the schema of today.
    """
    for older in version.policy.versions.filter(state=State.CANDIDATE):
        withdraw_question(older, reason=_TRIED_NO_MORE, actor=actor)
    hold_registry()
    version = _locked(version, State.DRAFT)
    check_again(version)
    for older in version.policy.versions.filter(state=State.CANDIDATE):
        _end_trial(older, actor=actor)
    version.state, version.tried_since = State.CANDIDATE, timezone.now()
    version.save(update_fields=["state", "tried_since", "schema"])
    publish(f"{version} is tried", actor=actor)
    record_version(catalogue.POLICY_TRIED, version, actor=actor)
    return version


@transaction.atomic
def end_trial(version: PolicyVersion, *, actor: Actor) -> PolicyVersion:
    """A candidate becomes a draft again; what it flipped stays known. Raises BadValue."""
    withdraw_question(version, reason=_TRIED_NO_MORE, actor=actor)
    hold_registry()
    version = _locked(version, State.CANDIDATE)
    _end_trial(version, actor=actor)
    publish(f"{version} is tried no more", actor=actor)
    return version


@transaction.atomic
def discard(version: PolicyVersion, *, actor: Actor) -> PolicyVersion:
    """A draft that shall not come into force: it is kept, and cannot be tried any more. Raises BadValue."""
    withdraw_question(version, reason="it was discarded", actor=actor)
    version = _locked(version, State.DRAFT)
    version.state, version.retired_at = State.RETIRED, timezone.now()
    version.save(update_fields=["state", "retired_at"])
    return version


def newest_version(policy: Policy) -> PolicyVersion | None:
    """The version that was added last."""
    return policy.versions.select_related("policy").order_by("-number").first()


def digest_of(slug: str, source: str) -> str:
    """What a version is known by: SHA-256 of the policy's slug and the text."""
    return hashlib.sha256(f"{slug}\0{source}".encode()).hexdigest()


def _check_policy(policy: Policy) -> None:
    if not all(isinstance(one, str) and one for one in policy.resource_types):
        raise BadValue("resource_types are names of types")
    for slug in policy.applications:
        values.slug(slug)
    check_row(policy)


def _locked(version: PolicyVersion, state: State) -> PolicyVersion:
    version = PolicyVersion.objects.select_for_update(of=("self",)).select_related("policy").get(pk=version.pk)
    if version.state != state:
        raise BadValue(f"{version} is {version.state}")
    return version


def _end_trial(version: PolicyVersion, *, actor: Actor) -> None:
    version.state = State.DRAFT
    version.save(update_fields=["state"])
    record_version(catalogue.POLICY_TRIAL_ENDED, version, actor=actor)
