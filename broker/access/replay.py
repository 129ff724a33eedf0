"""The same answer again, from what was stored alone: the directory and the policies may have changed since."""

import uuid
from dataclasses import dataclass

from broker import crypto
from broker.access.builtin import builtin_source
from broker.access.decisions import Kept, open_decision
from broker.access.entities import Verdict
from broker.access.in_force import compile_set
from broker.access.models import Decision, PolicySet, PolicyVersion
from broker.access.policy import Question, evaluate_whole
from broker.access.registering import digest_of


class CannotReplay(Exception):
    """What the decision was made from is not there, or not what it was."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """A decision as it was made, and as it comes out again."""

    decision: Decision
    kept: Kept
    stored: Verdict
    again: Verdict

    @property
    def is_same(self) -> bool:
        """Whether the answer, its reasons and its errors are the same."""
        return self.stored == self.again


def find_decision(text: str) -> Decision | None:
    """The decision under an id; None when there is none, or when the text is no id."""
    try:
        key = uuid.UUID(text)
    except ValueError:
        return None
    return Decision.objects.filter(pk=key).first()


def replay(decision: Decision) -> Replayed:
    """Put the stored question to the stored policies once more, by all rules at once. Raises CannotReplay."""
    try:
        kept = open_decision(decision)
    except crypto.UnsealError as error:
        raise CannotReplay("what was stored of it cannot be opened: damaged, or its key is gone") from error
    stored = Verdict(decision.decision, tuple(decision.reasons), kept.errors, decision.policy_set)
    if kept.question is None:
        # It never came to the engine; what stood against it stands in its errors.
        return Replayed(decision, kept, stored, stored)
    policy_set = _set_of(decision.policy_set)
    return Replayed(decision, kept, stored, evaluate_whole(compile_set(policy_set), Question(**kept.question)))


def _set_of(number: int) -> PolicySet:
    if number == 0:
        return PolicySet(number=0, builtin=builtin_source(()))
    policy_set = PolicySet.objects.filter(pk=number).first()
    if policy_set is None:
        raise CannotReplay(f"the policy set {number} is gone")
    versions = PolicyVersion.objects.filter(pk__in=[int(key) for key in policy_set.members]).select_related("policy")
    found = {str(one.pk): digest_of(one.policy.slug, one.source) for one in versions}
    if found != policy_set.members:
        raise CannotReplay(f"the rules of the policy set {number} are not what they were")
    return policy_set
