"""Many accounts created by one request, where the target proved that it can: each operation has a result of its own."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from django.utils import timezone

from broker.delivery.outcomes import confirmed, retry
from provisioning.outbound.connectors.base import Capabilities, Connector, Made, TargetError
from provisioning.outbound.models import RemoteAccount
from provisioning.outbound.outcomes import outcome_of
from provisioning.outbound.writing import Done, Job, ended

ENVELOPE_BYTES = 1_000
"""What stands around the operations of a request."""
_SINGLY = frozenset({404, 405, 413, 501})
"""The target takes no bulk request, or none as large: nothing of it was done."""


@dataclass(frozen=True, slots=True)
class BulkJob:
    """Accounts to create by one request."""

    jobs: Sequence[Job]


def split(jobs: Sequence[Job], can: Capabilities) -> Iterator[BulkJob]:
    """In requests that the target takes, by operations and by bytes."""
    taken: list[Job] = []
    size = ENVELOPE_BYTES
    for job in jobs:
        needed = len(json.dumps(job.wanted.body(), ensure_ascii=False).encode()) + 200
        if taken and (len(taken) >= can.bulk_operations or size + needed > can.bulk_bytes):
            yield BulkJob(taken)
            taken, size = [], ENVELOPE_BYTES
        taken.append(job)
        size += needed
    if taken:
        yield BulkJob(taken)


def create_all(bulk: BulkJob, connector: Connector, bring: Callable[[Job], Done]) -> list[Done]:
    """Create them; `bring` takes care of those whose name is taken, and of all where the target takes no bulk.

    What the answer does not speak of may have been done: it is looked up before it is sent again.
    """
    bodies = {str(job.wanted.person_id): job.wanted.body() for job in bulk.jobs}
    try:
        made = connector.create_users(bodies)
    except TargetError as error:
        if error.http_status in _SINGLY:
            return [bring(job) for job in bulk.jobs]
        # One answer was missing, not so many: the others do not count against the lane.
        first = outcome_of(error, now=timezone.now())
        rest = retry(error.code, error.detail, status=error.http_status, is_unanswered=False)
        return [Done(job, rest if number else first, ended(job, error)) for number, job in enumerate(bulk.jobs)]
    return [_done(job, made.get(str(job.wanted.person_id)), bring) for job in bulk.jobs]


def _done(job: Job, made: Made | None, bring: Callable[[Job], Done]) -> Done:
    if made is None:
        # The target is done with the request, and may have done this too.
        unsaid = retry("target.cut", "the answer to the bulk says nothing of it", is_unanswered=False)
        return Done(job, unsaid, {"begun_at": None})
    if made.error is not None:
        if made.error.code == "target.conflict":
            return bring(job)
        return Done(job, outcome_of(made.error, now=timezone.now()), ended(job, made.error))
    noted = {
        "remote_id": made.remote_id,
        "state": RemoteAccount.State.PRESENT,
        "begun_at": None,
        "etag": made.etag,
        "sent_digest": job.wanted.digest,
        "sent_at": timezone.now(),
        "read_digest": "",
        "read_active": None,
        "answer_digest": made.digest,
    }
    return Done(job, confirmed(made.digest, status=made.status), noted)
