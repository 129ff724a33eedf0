"""Deciding: questions in, verdicts out, each decision kept before it is told."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from broker.access.decisions import Judged, Shadow, keep
from broker.access.entities import Caller, Evaluation, Verdict
from broker.access.in_force import InForce, policies_in_force
from broker.access.names import Unreadable
from broker.access.policy import CompiledSet, Question, evaluate
from broker.access.slices import Slices, load_slices, write_question
from broker.actors import Actor

NOT_OWN = "the resource is none of the caller's own"
_PERMITTED, _UNDECIDED, _FORBIDDEN = "", "This could not be decided, so it is refused.", "A rule forbids this."
_NOT_PERMITTED = "No rule permits this."


class Semantic(StrEnum):
    """When a batch ends (AuthZEN 7.1.2.1); the values are the wire's."""

    EXECUTE_ALL = "execute_all"
    DENY_ON_FIRST_DENY = "deny_on_first_deny"
    PERMIT_ON_FIRST_PERMIT = "permit_on_first_permit"

    def ends_with(self, *, decision: bool) -> bool:
        """Whether this decision is the batch's last."""
        return self is (Semantic.PERMIT_ON_FIRST_PERMIT if decision else Semantic.DENY_ON_FIRST_DENY)


@dataclass(frozen=True, slots=True)
class Decided:
    """A verdict that is kept, and what may be told of its reasons: to the one who enforces it, and to the subject."""

    verdict: Verdict
    decision_id: str
    reason_admin: str
    reason_user: str


def decide(evaluation: Evaluation, *, caller: Caller, actor: Actor, now: datetime) -> Decided:
    """Answer one question, and keep the answer.

    Errors of policies, of the engine, or in what was sent are a no. Raises DatabaseError when nothing can be read or
    kept: then there is no answer at all.
    """
    (decided,) = decide_many([evaluation], caller=caller, actor=actor, now=now)
    return decided


def decide_many(
    evaluations: Sequence[Evaluation],
    *,
    caller: Caller,
    actor: Actor,
    now: datetime,
    semantic: Semantic = Semantic.EXECUTE_ALL,
    slices: Callable[[CompiledSet], Slices] | None = None,
) -> list[Decided]:
    """Answer questions in their order, up to the one with which `semantic` ends. One read of entities, one insert.

    `slices` gives what is known of the subjects and resources where the caller of this function has it at hand.
    """
    in_force = policies_in_force()
    known = load_slices(evaluations) if slices is None else slices(in_force.compiled)
    judged: list[Judged] = []
    for evaluation in evaluations:
        judged.append(_judge(evaluation, known, in_force, caller=caller))
        if semantic.ends_with(decision=judged[-1].verdict.decision):
            break
    asked_by = caller.client.client_id if caller.client else ""
    rows = keep(judged, caller=asked_by, trace_id=actor.trace_id, now=now)
    return [
        Decided(one.verdict, str(row.pk), _reason_admin(one.verdict), _reason_user(one.verdict, in_force.compiled))
        for one, row in zip(judged, rows, strict=True)
    ]


def judge_many(evaluations: Sequence[Evaluation], *, caller: Caller, now: datetime) -> list[Verdict]:  # noqa: ARG001 - as decide_many
    """The verdicts that `decide_many` would give, kept nowhere: a search looks at many and tells of a few."""
    in_force = policies_in_force()
    known = load_slices(evaluations)
    return [_ask(evaluation, known, in_force, caller=caller)[1] for evaluation in evaluations]


def _judge(evaluation: Evaluation, known: Slices, in_force: InForce, *, caller: Caller) -> Judged:
    question, verdict = _ask(evaluation, known, in_force, caller=caller)
    is_known = (evaluation.subject.type, evaluation.subject.id) in known
    shadows = _try_candidates(question, in_force) if question else ()
    return Judged(evaluation, question, verdict, is_known, shadows)


def _ask(
    evaluation: Evaluation, known: Slices, in_force: InForce, *, caller: Caller
) -> tuple[Question | None, Verdict]:
    number = in_force.compiled.number
    if not caller.may_ask(evaluation.resource):
        return None, Verdict(decision=False, errors=(NOT_OWN,), policy_version=number)
    if in_force.fault:
        return None, Verdict(decision=False, errors=(in_force.fault,), policy_version=number)
    try:
        question = write_question(evaluation, known)
    except Unreadable as error:
        return None, Verdict(decision=False, errors=(str(error),), policy_version=number)
    return question, evaluate(in_force.compiled, question)


def _try_candidates(question: Question, in_force: InForce) -> tuple[Shadow, ...]:
    """What the candidates would say, as far as another rule than those in force can concern the question."""
    if not in_force.candidates:
        return ()
    judged_by = in_force.compiled.concerning_question(question).fingerprint
    return tuple(
        Shadow(one.version_id, evaluate(one.compiled, question))
        for one in in_force.candidates
        if one.compiled.concerning_question(question).fingerprint != judged_by
    )


def _reason_admin(verdict: Verdict) -> str:
    if verdict.errors:
        return "Refused because of an error; the decision says which."
    if verdict.reasons:
        return f"{'Permitted' if verdict.decision else 'Forbidden'} by {', '.join(verdict.reasons)}."
    return _NOT_PERMITTED


def _reason_user(verdict: Verdict, compiled: CompiledSet) -> str:
    """What the determining rules themselves tell by `@reason_user`, else a plain sentence; nothing when permitted."""
    if verdict.errors:
        return _UNDECIDED
    if verdict.decision:
        return _PERMITTED
    told = [compiled.rules[one].annotations.get("reason_user", "") for one in verdict.reasons if one in compiled.rules]
    return next((text for text in told if text), _FORBIDDEN if verdict.reasons else _NOT_PERMITTED)
