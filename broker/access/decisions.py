"""Keeping decisions: one row each, with everything that the engine looked at sealed inside."""

import json
import os
import uuid
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from broker import crypto, limits
from broker.access.entities import Evaluation, Verdict
from broker.access.models import Decision, Flip
from broker.access.policy import Question
from broker.events.grouped import GroupCommit, copy_rows, may_group
from broker.statements import insert

PURPOSE = "access-decision"


@dataclass(frozen=True, slots=True)
class Shadow:
    """What a candidate would have said."""

    version_id: int
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Judged:
    """A question, how it was put to the engine (None: it could not be put), and all answers."""

    evaluation: Evaluation
    question: Question | None
    verdict: Verdict
    is_known: bool
    """Whether the subject is one of ours."""
    shadows: tuple[Shadow, ...] = ()


@dataclass(frozen=True, slots=True)
class Kept:
    """What the sealed part of a decision says."""

    request: dict[str, Any]
    """The question as AuthZEN writes it."""
    question: dict[str, Any] | None
    """As it was put to the engine, with all entities."""
    errors: tuple[str, ...]
    shadows: dict[str, bool]
    """{id of a candidate version: what it would have said}"""


def keep(judged: Sequence[Judged], *, caller: str, trace_id: str, now: datetime) -> list[Decision]:
    """Write these decisions, in one insert for all; a second one where a candidate disagrees.

    On return they are committed, unless the caller is in a transaction. Raises BrokerError (service.unavailable) when
    too many wait, and DatabaseError.
    """
    rows = [_row(one, caller=caller, trace_id=trace_id, now=now) for one in judged]
    flips = [
        Flip(
            decision=row,
            version_id=shadow.version_id,
            would_be=shadow.verdict.decision,
            has_failed=bool(shadow.verdict.errors),
            reasons=list(shadow.verdict.reasons),
        )
        for row, one in zip(rows, judged, strict=True)
        for shadow in one.shadows
        if shadow.verdict.decision != one.verdict.decision or bool(shadow.verdict.errors) != bool(one.verdict.errors)
    ]
    if flips:
        with transaction.atomic():
            Decision.objects.bulk_create(rows)
            Flip.objects.bulk_create(flips)
    elif len(rows) != 1:
        Decision.objects.bulk_create(rows)
    elif may_group():
        committing.commit(rows[0])
    else:
        insert(rows[0])
    return rows


def open_decision(decision: Decision) -> Kept:
    """What was sealed. Raises crypto.UnsealError."""
    kept = json.loads(zlib.decompress(crypto.unseal(decision.sealed, context=_place(decision.pk))))
    return Kept(kept["request"], kept["question"], tuple(kept["errors"]), kept["shadows"])


def hash_of(kind: str, identifier: str) -> str:
    """Under which a subject or a resource can be found again; whatever letters it has."""
    return crypto.keyed_hash(json.dumps([kind, identifier]), purpose=PURPOSE)


def hashes_of(kind: str, identifier: str) -> list[str]:
    """`hash_of` under every key that is still there: for finding what was kept under an older one."""
    return crypto.keyed_hashes(json.dumps([kind, identifier]), purpose=PURPOSE)


def forget_expired(*, now: datetime) -> int:
    """Delete the decisions past their retention. Returns how many."""
    _, counts = Decision.objects.filter(at__lt=now - limits.DECISION_RETENTION).delete()
    return counts.get("access.Decision", 0)


def _row(judged: Judged, *, caller: str, trace_id: str, now: datetime) -> Decision:
    key = uuid.uuid4()
    evaluation, verdict = judged.evaluation, judged.verdict
    subject, resource = evaluation.subject, evaluation.resource
    kept = {
        "request": evaluation.as_json(),
        "question": judged.question.as_json() if judged.question else None,
        "errors": verdict.errors,
        "shadows": {str(shadow.version_id): shadow.verdict.decision for shadow in judged.shadows},
    }
    body = json.dumps(kept, sort_keys=True, separators=(",", ":"), default=str)
    return Decision(
        id=key,
        at=now,
        policy_set=verdict.policy_version,
        caller=caller,
        trace_id=trace_id,
        subject_type=_shown(subject.type, 64),
        subject_id=_shown(subject.id, 200) if judged.is_known else "",
        subject_hash=hash_of(subject.type, subject.id),
        action=_shown(evaluation.action.name, 100),
        resource_type=_shown(resource.type, 64),
        resource_hash=hash_of(resource.type, resource.id),
        decision=verdict.decision,
        reasons=list(verdict.reasons),
        has_failed=bool(verdict.errors),
        sealed=crypto.seal(zlib.compress(body.encode(), 1), context=_place(key)),
    )


def _shown(text: str, chars: int) -> str:
    """A text from outside as a column can hold it."""
    return text.encode("ascii", "backslashreplace").decode().replace("\x00", "\\x00")[:chars]


def _place(key: uuid.UUID) -> str:
    return f"access.Decision.sealed.{key}"


committing: GroupCommit[Decision] = GroupCommit(copy_rows)
# A child of this process has none of its threads: nobody of the line is left, nor who held its lock.
os.register_at_fork(after_in_child=committing.begin_anew)
