"""What a handler says became of a delivery."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class Result(StrEnum):
    CONFIRMED = "confirmed"
    RETRY = "retry"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Pause:
    """The receiver wants no request before `until` (429 or 503 with Retry-After): the whole lane waits."""

    until: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Stop:
    """The receiver refuses us (401): no attempt in this lane until an operator resumes it."""

    reason: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one attempt. `detail` holds no secret and no personal value.

    `status` is the HTTP status of the answer, `digest` the SHA-256 (hex) of the answer that confirms, `after` what the
    receiver asked to wait for this row. `is_unanswered` says that nobody answered: so many in a row break the lane.
    """

    result: Result
    code: str = ""
    detail: str = ""
    status: int | None = None
    digest: str = ""
    after: timedelta | None = None
    lane: Pause | Stop | None = None
    is_unanswered: bool = False


def confirmed(digest: str, *, status: int | None = None, detail: str = "") -> Outcome:
    """The receiver has it, and `digest` of its answer says so."""
    return Outcome(Result.CONFIRMED, status=status, digest=digest, detail=detail)


def retry(
    code: str,
    detail: str = "",
    *,
    after: timedelta | None = None,
    status: int | None = None,
    lane: Pause | Stop | None = None,
    is_unanswered: bool | None = None,
) -> Outcome:
    """Not yet. Unless said otherwise nobody answered when the status is 500 or above, or `code` is of `outgoing`."""
    if is_unanswered is None:
        is_unanswered = (status is not None and status >= 500) or (status is None and code.startswith("outgoing."))
    return Outcome(Result.RETRY, code, detail, status, after=after, lane=lane, is_unanswered=is_unanswered)


def failed(code: str, detail: str = "", *, status: int | None = None) -> Outcome:
    """It cannot arrive as it is: a dead letter, until an operator retries it or writes it off."""
    return Outcome(Result.FAILED, code, detail, status)


def skipped(reason: str, detail: str = "") -> Outcome:
    """Nothing was to be done, and `reason` (a code) says why."""
    return Outcome(Result.SKIPPED, reason, detail)
