"""ETag and If-Match (RFC 9110 sections 8.8.3 and 13.1.1): nobody overwrites what they have not seen."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from rest_framework.request import Request
from rest_framework.utils.encoders import JSONEncoder

from broker.api.problems import Problem


def etag_of(representation: Mapping[str, Any]) -> str:
    """The strong tag of what a caller is shown: it changes when that does, and only then."""
    text = json.dumps(representation, sort_keys=True, cls=JSONEncoder)
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'


def check_match(request: Request, representation: Mapping[str, Any]) -> None:
    """Raise Problem unless If-Match names the representation as it is. `*` names whatever is there.

    Call it in the transaction of the change, with the row locked.
    """
    header = request.headers.get("If-Match", "").strip()
    if not header:
        raise Problem("api.precondition_required", expected="If-Match")
    named = [part.strip() for part in header.split(",")]
    if "*" not in named and etag_of(representation) not in named:
        raise Problem("api.precondition_failed", expected=etag_of(representation), actual=header[:100])
