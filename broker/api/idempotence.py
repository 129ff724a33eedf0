"""Idempotency-Key: a POST that is sent again has its effect once (draft-ietf-httpapi-idempotency-key-header).

The key is claimed, the effect made and the answer stored in one transaction: of two at the same moment the second
waits for the first and gets its answer, and what failed left nothing behind.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from django.db import IntegrityError, transaction
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.encoders import JSONEncoder

from broker import limits
from broker.api.authentication import caller_of
from broker.api.models import StoredAnswer
from broker.api.paging import address_of
from broker.api.preconditions import etag_of
from broker.api.problems import Problem

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
_KEY = re.compile(r"[\x21\x23-\x7e]{1,200}", re.ASCII)
Effect = Callable[[], tuple[int, dict[str, Any], dict[str, Any]]]
"""Does it, and returns (status, what is shown, what is shown this once and never again)."""


def answer_once(request: Request, effect: Effect, *, name: str = "") -> Response:
    """Do `effect` in one transaction, under the request's key if it has one. Raises Problem for a key of no use.

    `name` is the member by which what was made is addressed; empty: it has no address of its own.
    """
    response = _answer_once(request, effect)
    if name:
        response["ETag"] = etag_of(response.data)
        response["Location"] = f"{address_of(request)}/{quote(str(response.data[name]), safe='')}"
    return response


def _answer_once(request: Request, effect: Effect) -> Response:
    key = request.headers.get(HEADER, "").strip('"')
    if HEADER not in request.headers:
        with transaction.atomic():
            return _answer(*effect())
    if not _KEY.fullmatch(key):
        raise Problem("api.idempotency_key", expected="1 to 200 printable characters", actual=f"{len(key)}")
    client_id = caller_of(request).client.client_id
    digest = _digest(request)
    try:
        with transaction.atomic():
            row = _claim(client_id, key, digest=digest, now=timezone.now())
            status, body, shown_once = effect()
            StoredAnswer.objects.filter(pk=row.pk).update(status=status, body=_plain(body))
            return _answer(status, body, shown_once)
    except _Claimed:
        return _replay(client_id, key, digest=digest)


class _Claimed(Exception):
    """The key was used before."""


def _claim(caller: str, key: str, *, digest: str, now: datetime) -> StoredAnswer:
    names = {"caller": caller, "key_hash": hashlib.sha256(key.encode()).hexdigest()}
    StoredAnswer.objects.filter(**names, expires_at__lte=now).delete()
    try:
        with transaction.atomic():
            return StoredAnswer.objects.create(
                **names, request_digest=digest, created_at=now, expires_at=now + limits.API_ANSWER_KEPT
            )
    except IntegrityError as error:
        raise _Claimed from error


def _replay(caller: str, key: str, *, digest: str) -> Response:
    """The stored answer, without what was shown once."""
    row = StoredAnswer.objects.get(caller=caller, key_hash=hashlib.sha256(key.encode()).hexdigest())
    if row.request_digest != digest:
        raise Problem("api.idempotency_key", expected="the same request under the same key", actual="another")
    response = _answer(row.status, row.body, {})
    response[REPLAYED] = "true"
    return response


def _answer(status: int, body: Mapping[str, Any], shown_once: Mapping[str, Any]) -> Response:
    response = Response({**body, **shown_once}, status=status)
    response["Cache-Control"] = "no-store"
    return response


def _digest(request: Request) -> str:
    parts = (request.method or "", request.get_full_path(), request._request.body.hex())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _plain(body: Mapping[str, Any]) -> dict[str, Any]:
    """As it goes over the wire: times and ids as texts."""
    return dict(json.loads(json.dumps(body, cls=JSONEncoder)))


def forget_answers(*, now: datetime) -> int:
    """Delete answers past their day. Returns how many."""
    deleted, _ = StoredAnswer.objects.filter(expires_at__lte=now).delete()
    return deleted
