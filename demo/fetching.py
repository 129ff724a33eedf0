"""How the company's processes ask each other: by HTTP on loopback, past any proxy."""

import json
import urllib.error
import urllib.request
from typing import Any

TIMEOUT_SECONDS = 10.0
ANSWER_BYTES = 256 * 1024


def fetch(request: urllib.request.Request | str) -> bytes:
    """The first 256 KiB of the answer. Raises OSError, of which urllib's errors are kinds."""
    with _open(request) as answer:
        return bytes(answer.read(ANSWER_BYTES))


def ask(request: urllib.request.Request) -> tuple[int, bytes]:
    """The status and the first 256 KiB of the answer, whichever status it is. Raises OSError when nobody answers."""
    try:
        with _open(request) as answer:
            return answer.status, bytes(answer.read(ANSWER_BYTES))
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.read(ANSWER_BYTES)


def fetch_object(request: urllib.request.Request | str) -> dict[str, Any]:
    """The JSON object that the answer holds. Raises OSError, and ValueError when it holds none."""
    found = json.loads(fetch(request))
    if not isinstance(found, dict):
        raise ValueError("the answer is no JSON object")  # noqa: TRY004 - as for what is not JSON at all
    return found


def _open(request: urllib.request.Request | str) -> Any:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    return opener.open(request, timeout=TIMEOUT_SECONDS)
