"""A request that was judged, for the browser to come back with: sealed, since Lax cookies miss a cross-site POST."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from broker import crypto, limits
from broker.errors import BrokerError
from broker.wording import in_words

CONTEXT = "signon.request"


@dataclass(frozen=True, slots=True)
class CarriedRequest:
    """What an application asked, and the trace that its request began."""

    asked: dict[str, Any]
    trace_id: str


def seal_request(asked: dict[str, Any], *, trace_id: str, now: datetime) -> str:
    """The request as a text that nobody can read or change."""
    until = int((now + limits.LOGIN_REQUEST_LIFETIME).timestamp())
    carried = {"asked": asked, "trace_id": trace_id, "until": until}
    return crypto.seal(json.dumps(carried, ensure_ascii=False).encode(), context=CONTEXT)


def open_request(sealed: str, *, now: datetime) -> CarriedRequest:
    """The request that `seal_request` sealed. Raises BrokerError (signon.unknown, signon.expired)."""
    try:
        carried = json.loads(crypto.unseal(sealed, context=CONTEXT))
    except crypto.UnsealError as error:
        raise BrokerError("signon.unknown", detail="a request that we did not seal") from error
    if now.timestamp() >= carried["until"]:
        raise BrokerError("signon.expired", expected=f"to be used within {in_words(limits.LOGIN_REQUEST_LIFETIME)}")
    return CarriedRequest(carried["asked"], carried["trace_id"])
