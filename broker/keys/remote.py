"""The keys of foreign issuers, remembered in the database so that all workers together ask once.

Fresh keys are used as they are. Older ones, and a set without the key that is looked for, are asked for anew, at most
once per `limits.REMOTE_KEYS_ASK_INTERVAL` and issuer; while the address is away the last ones serve on, up to
`limits.REMOTE_KEYS_KEEP`.
"""

import time
from datetime import datetime

from django.db.models import Q

from broker import limits
from broker.errors import BrokerError
from broker.keys.jwk_set import JwkSet, open_jwk, read_jwk_set
from broker.keys.models import RemoteKeySet
from broker.keys.values import VerificationKey
from broker.outgoing import fetch
from broker.traces.collector import Collector
from broker.wording import in_words

WAIT_SECONDS = 0.1
PROBLEM_CHARS = 500


def remote_keys(
    owner: str, *, url: str, unverified_kid: str, now: datetime, trace: Collector
) -> tuple[VerificationKey, ...]:
    """The keys of `owner` (a party's id) that bear `unverified_kid`: one, or none when its issuer shows no such key.

    `url` is where the issuer publishes its keys. Raises BrokerError("outgoing.refused") when there is no set that is
    young enough to be believed.
    """
    row, _ = RemoteKeySet.objects.get_or_create(owner=owner, defaults={"url": url})
    if row.url != url or not _is_fresh(row, now=now) or not _has(row, unverified_kid):
        row = _ask(row, url, unverified_kid, now=now, trace=trace)
    if row.fetched_at is None or now - row.fetched_at > limits.REMOTE_KEYS_KEEP:
        raise BrokerError(
            "outgoing.refused",
            detail=row.problem or "the keys are being fetched",
            expected=f"keys of {url}, at most {in_words(limits.REMOTE_KEYS_KEEP)} old",
            actual=f"of {row.fetched_at}" if row.fetched_at else "none",
        )
    if row.problem:
        trace.note("The issuer's keys are those of before.", fetched_at=row.fetched_at.isoformat(), problem=row.problem)
    return tuple(open_jwk(key) for key in row.keys if key["kid"] == unverified_kid)


def forget_unused(*, now: datetime) -> int:
    """Delete the sets that nobody asked for while their keys were still believed: their issuers are gone.

    Returns how many.
    """
    deleted, _ = RemoteKeySet.objects.filter(asked_at__lt=now - limits.REMOTE_KEYS_KEEP).delete()
    return deleted


def _is_fresh(row: RemoteKeySet, *, now: datetime) -> bool:
    return row.fetched_at is not None and now - row.fetched_at < limits.REMOTE_KEYS_FRESH


def _has(row: RemoteKeySet, kid: str) -> bool:
    return any(key["kid"] == kid for key in row.keys)


def _ask(row: RemoteKeySet, url: str, kid: str, *, now: datetime, trace: Collector) -> RemoteKeySet:
    """Ask the address when it is our turn, else take what the worker finds whose turn it is."""
    if _claim_turn(row, url, now=now):
        _fetch_into(row, url, now=now, trace=trace)
        row.refresh_from_db()
        return row
    row.refresh_from_db()
    if not _has(row, kid):
        _await_answer(row, now=now)
    if not _has(row, kid):
        trace.note("The issuer's keys were asked for less than a minute ago.", asked_at=row.asked_at)
    return row


def _claim_turn(row: RemoteKeySet, url: str, *, now: datetime) -> bool:
    """Whether this worker is the one to ask: decided by one conditional update."""
    of_owner = RemoteKeySet.objects.filter(pk=row.pk)
    # Keys from an address that is no longer the issuer's are not its keys.
    moved = of_owner.exclude(url=url).update(url=url, keys=[], fetched_at=None, asked_at=now, problem="")
    due = Q(asked_at=None) | Q(asked_at__lte=now - limits.REMOTE_KEYS_ASK_INTERVAL)
    return bool(moved or of_owner.filter(due, url=url).update(asked_at=now))


def _fetch_into(row: RemoteKeySet, url: str, *, now: datetime, trace: Collector) -> None:
    still_there = RemoteKeySet.objects.filter(pk=row.pk, url=url)
    try:
        found = _fetch(url)
    except BrokerError as error:
        problem = error.detail or error.actual
        trace.check("keys fetched", passed=False, expected=f"a key set from {url}", actual=problem)
        still_there.update(answered_at=now, problem=problem[:PROBLEM_CHARS])
        return
    trace.check("keys fetched", passed=True, expected=f"a key set from {url}", actual=f"{len(found.keys)} usable keys")
    if found.oddities:
        trace.note("Oddities of the issuer's keys.", oddities="; ".join(found.oddities[:10]))
    still_there.update(keys=list(found.keys), fetched_at=now, answered_at=now, problem="")


def _fetch(url: str) -> JwkSet:
    answer = fetch(
        url,
        purpose="keys",
        max_bytes=limits.OUTGOING_JSON_BYTES,
        accept="application/jwk-set+json, application/json",
        total_seconds=limits.REMOTE_KEYS_SECONDS,
    )
    if answer.status != 200:
        raise BrokerError("outgoing.refused", detail=f"keys from {url}: status {answer.status}")
    try:
        return read_jwk_set(answer.body)
    except ValueError as error:
        raise BrokerError("outgoing.refused", detail=f"keys from {url}: {error}") from error


def _await_answer(row: RemoteKeySet, *, now: datetime) -> None:
    """Wait for the worker that is asking just now: without it, every sign-on of that moment would be refused."""
    for _ in range(int(limits.REMOTE_KEYS_SECONDS / WAIT_SECONDS)):
        is_asking = row.asked_at is not None and (row.answered_at is None or row.answered_at < row.asked_at)
        if not is_asking or now - (row.asked_at or now) > limits.REMOTE_KEYS_ASK_INTERVAL:
            return
        time.sleep(WAIT_SECONDS)
        row.refresh_from_db()
