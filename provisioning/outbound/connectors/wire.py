"""One exchange with a target: our credential goes in, and what went wrong comes out under its one code."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from broker import limits
from broker.errors import BrokerError
from broker.origins import Origin, Unanswered, Why
from broker.outgoing import Fetched
from provisioning.outbound.connectors.base import TargetError
from provisioning.outbound.credentials import Authorization
from provisioning.outbound.models import Target
from provisioning.outbound.pace import pace_of

SCIM_JSON = "application/scim+json"
ACCEPT = f"{SCIM_JSON}, application/json;q=0.9"
_UNANSWERED = {
    Why.ADDRESS: "target.unreachable",
    Why.CONNECT: "target.unreachable",
    Why.BUSY: "target.unreachable",
    Why.TIMEOUT: "target.timeout",
    Why.CUT: "target.cut",
    Why.REDIRECT: "target.redirect",
    Why.COMPRESSED: "target.not_scim",
    Why.TOO_LARGE: "target.too_large",
}
_BY_STATUS = {
    401: "target.unauthorized",
    403: "target.forbidden",
    404: "target.refused",
    405: "target.not_offered",
    409: "target.conflict",
    412: "target.changed_meanwhile",
    428: "target.changed_meanwhile",
    429: "target.throttled",
    501: "target.not_offered",
}
_SCIM_TYPES = frozenset(
    {
        "invalidFilter",
        "tooMany",
        "uniqueness",
        "mutability",
        "invalidSyntax",
        "invalidPath",
        "noTarget",
        "invalidValue",
        "invalidVers",
        "sensitive",
        "invalidCursor",
        "expiredCursor",
        "invalidCount",
    }
)
"""RFC 7644 table 9 and RFC 9865 section 2.1: what a target may name without saying anything of a person."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A good answer. `document` is its JSON object, empty for 204; `digest` the SHA-256 (hex) of its bytes."""

    status: int
    headers: Mapping[str, str]
    document: dict[str, Any]
    digest: str

    @property
    def etag(self) -> str:
        """The version, from the header or the resource itself, where it is one that can be sent back."""
        meta = self.document.get("meta")
        held = self.headers.get("etag") or (meta.get("version") if isinstance(meta, Mapping) else "")
        is_usable = isinstance(held, str) and held.isascii() and held.isprintable() and len(held) <= _ETAG_CHARS
        return held if is_usable and held else ""


_ETAG_CHARS = 400


class Wire:
    """A target's address with our credential. Many threads may exchange at once."""

    def __init__(self, target: Target) -> None:
        try:
            self._origin = Origin(
                target.base_url,
                purpose=f"target {target.slug}",
                max_connections=target.max_connections,
                seconds=limits.TARGET_EXCHANGE_SECONDS,
                max_bytes=limits.TARGET_ANSWER_BYTES,
            )
        except BrokerError as error:
            raise TargetError("target.unreachable", is_sent=False, detail=error.detail) from error
        self._authorization = Authorization(target)
        self.pace = pace_of(target.pk)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connections."""
        self._origin.__exit__(None, None, None)

    def answer(self, method: str, path: str, *, document: Mapping[str, Any] | None = None, etag: str = "") -> "Answer":
        """Whatever the target answers; asked once more with a new token where it refuses the one we had.

        A short wait that it asks for is waited, and then it is asked again.

        Raises TargetError where nothing readable came.
        """
        body = None if document is None else json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")
        headers = {"Accept": ACCEPT}
        if body is not None:
            headers["Content-Type"] = SCIM_JSON
        if etag:
            headers["If-Match"] = etag
        for _ in range(limits.TARGET_ASKED_AGAIN + 1):
            self.pace.rest()
            fetched = self._exchange(method, path, headers, body)
            if not self.pace.note(fetched.status, fetched.headers):
                break
        digest = hashlib.sha256(fetched.body).hexdigest()
        if not 200 <= fetched.status < 300:
            return Refused(fetched.status, fetched.headers, _document(fetched.body) or {}, digest)
        found = _document(fetched.body) if fetched.body else {}
        if found is None:
            kind = fetched.headers.get("content-type", "").split(";")[0].strip()[:60]
            raise TargetError(
                "target.not_scim", status=fetched.status, detail=f"{fetched.status} with {kind or 'no type'}"
            )
        return Answer(fetched.status, fetched.headers, found, digest)

    def _exchange(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> Fetched:
        for _ in range(2):
            authorization = self._authorization.header()
            try:
                fetched = self._origin.exchange(
                    method, path, headers={**headers, "Authorization": authorization}, body=body
                )
            except Unanswered as error:
                raise TargetError(_UNANSWERED[error.why], is_sent=error.is_sent, detail=error.detail) from error
            if fetched.status != 401 or not self._authorization.forget(authorization):
                break
        return fetched


@dataclass(frozen=True, slots=True)
class Refused(Answer):
    """An answer outside 200 to 299."""

    def as_error(self) -> TargetError:
        """Under its one code."""
        said = self.document.get("scimType")
        scim_type = said if isinstance(said, str) and said in _SCIM_TYPES else ""
        return error_of(self.status, scim_type=scim_type, headers=self.headers)


def good(answer: Answer) -> Answer:
    """Raises TargetError for a refusal."""
    if isinstance(answer, Refused):
        raise answer.as_error()
    return answer


def error_of(status: int, *, scim_type: str = "", headers: Mapping[str, str] | None = None) -> TargetError:
    """What an HTTP status of 400 or above says, and the target's own word for it."""
    code = _BY_STATUS.get(status) or ("target.error" if status >= 500 else "target.refused")
    if status == 400 and scim_type == "uniqueness":  # RFC 7644 section 3.3 wants 409; some answer 400
        code = "target.conflict"
    detail = f"{status} {scim_type}".strip()
    return TargetError(code, status=status, detail=detail, scim_type=scim_type, headers=headers)


def _document(raw: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
