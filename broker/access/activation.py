"""Versions come into force, and go out of it, when a second operator approves."""

from collections.abc import Mapping
from typing import Any

from django.utils import timezone

from broker.access.confines import check_again
from broker.access.models import PolicyVersion
from broker.access.publishing import KIND, publish, record_version
from broker.access.source import BadPolicy
from broker.actors import Actor
from broker.approvals.models import Approval
from broker.approvals.services import request_approval, withdraw_for
from broker.errors import BrokerError
from broker.events import catalogue
from broker.registry.registering.changes import hold_registry
from broker.registry.values import BadValue

State = PolicyVersion.State
IN, OUT = "in", "out"
_CAN_COME = (State.DRAFT, State.CANDIDATE)
_TITLE_CHARS = 200


def request_activation(version: PolicyVersion, *, actor: Actor) -> Approval:
    """Ask a second operator to bring a draft or candidate into force. Raises BadValue, BrokerError."""
    if version.state not in _CAN_COME:
        raise BadValue(f"{version} is {version.state}")
    standing = version.policy.versions.filter(state=State.ACTIVE).first()
    before = _described(standing) if standing else {}
    return _ask(IN, version, f"Bring {version} into force", before=before, after=_described(version), actor=actor)


def request_retirement(version: PolicyVersion, *, actor: Actor) -> Approval:
    """Ask a second operator to take an active version out of force, which can open doors. Raises as above."""
    if version.state != State.ACTIVE:
        raise BadValue(f"{version} is {version.state}")
    return _ask(OUT, version, f"Take {version} out of force", before=_described(version), after={}, actor=actor)


def withdraw_question(version: PolicyVersion, *, reason: str, actor: Actor) -> None:
    """Nobody is to decide any more whether a version comes into force."""
    withdraw_for(KIND, _subject(IN, version), reason=reason, actor=actor)


class PolicyHandler:
    """See broker.approvals.handlers.Handler. The subject is `in:<version>` or `out:<version>`."""

    page = "admin:access_policyversion_change"

    def content(self, subject_id: str) -> Mapping[str, Any] | None:
        """The version with what it would replace; None when it is not what was asked about any more."""
        # Held until the decision is made, so that nothing else comes into force in between.
        hold_registry()
        way, version = _find(subject_id)
        if version is None or version.state not in (_CAN_COME if way == IN else (State.ACTIVE,)):
            return None
        standing = version.policy.versions.filter(state=State.ACTIVE).first()
        return {
            "way": way,
            "version": version.pk,
            "digest": version.digest,
            "replaces": standing.digest if standing else None,
            "resource_types": version.policy.resource_types,
            "applications": version.policy.applications,
        }

    def activate(self, subject_id: str, *, proposed_by: str, approved_by: str, actor: Actor) -> None:
        """Raises BrokerError("policy.invalid") when the version does not agree with the schema of today."""
        way, version = _find(subject_id)
        assert version is not None  # noqa: S101 - `content` found it in this transaction
        if way == IN:
            _bring_into_force(version, proposed_by=proposed_by, approved_by=approved_by, actor=actor)
        else:
            _take_out_of_force(version, proposed_by=proposed_by, approved_by=approved_by, actor=actor)

    def refuse(self, subject_id: str, *, actor: Actor, reason: str) -> None:
        """The version stays what it is: a draft, a candidate, or in force."""


def _bring_into_force(version: PolicyVersion, *, proposed_by: str, approved_by: str, actor: Actor) -> None:
    now = timezone.now()
    for standing in version.policy.versions.filter(state=State.ACTIVE):
        withdraw_for(KIND, _subject(OUT, standing), reason="a newer version came into force", actor=actor)
        standing.state, standing.retired_at = State.RETIRED, now
        standing.save(update_fields=["state", "retired_at"])
    version.state, version.activated_at, version.approved_by = State.ACTIVE, now, approved_by
    try:
        check_again(version)
        version.save(update_fields=["state", "activated_at", "approved_by", "schema"])
        publish(f"{version} came into force", actor=actor)
    except BadPolicy as error:
        raise BrokerError("policy.invalid", detail=str(error)) from error
    people = {"proposed_by": proposed_by, "approved_by": approved_by}
    record_version(catalogue.POLICY_ACTIVATED, version, actor=actor, **people)


def _take_out_of_force(version: PolicyVersion, *, proposed_by: str, approved_by: str, actor: Actor) -> None:
    version.state, version.retired_at = State.RETIRED, timezone.now()
    version.save(update_fields=["state", "retired_at"])
    publish(f"{version} went out of force", actor=actor)
    people = {"proposed_by": proposed_by, "approved_by": approved_by}
    record_version(catalogue.POLICY_RETIRED, version, actor=actor, **people)


def _ask(
    way: str,
    version: PolicyVersion,
    title: str,
    *,
    before: Mapping[str, str],
    after: Mapping[str, str],
    actor: Actor,
) -> Approval:
    subject = KIND, _subject(way, version)
    return request_approval(KIND, subject=subject, title=title[:_TITLE_CHARS], before=before, after=after, actor=actor)


def _described(version: PolicyVersion) -> dict[str, str]:
    """What an approver reads."""
    policy = version.policy
    return {
        "policy": policy.slug,
        "owner": policy.owner,
        "version": str(version.number),
        "confined to types": ", ".join(policy.resource_types),
        "confined to applications": ", ".join(policy.applications),
        "rules": version.source,
    }


def _subject(way: str, version: PolicyVersion) -> str:
    return f"{way}:{version.pk}"


def _find(subject_id: str) -> tuple[str, PolicyVersion | None]:
    way, _, key = subject_id.partition(":")
    found = PolicyVersion.objects.select_for_update(of=("self",)).select_related("policy").filter(pk=int(key))
    return way, found.first()


HANDLER = PolicyHandler()
