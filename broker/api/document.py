"""What the OpenAPI document says of every operation: its name, its scope, and what it may answer."""

from collections.abc import Iterator, Mapping
from functools import cache
from threading import Lock
from typing import Any

from django.conf import settings
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema

from broker.http import PROBLEM_MEDIA_TYPE, TRACE_HEADER
from broker.refusals import Mender

SCHEME = "accessToken"
_making = Lock()
"""The library's generator serves one thread at a time."""
PROBLEM = {
    "type": "object",
    "description": "Problem details (RFC 9457). `code` is stable: docs/refusals.md lists all of them.",
    "required": ["type", "title", "status", "code", "mender", "remedy", "trace_id"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string", "description": "what it means, the same for each code"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "mender": {"type": "string", "enum": [mender.value for mender in Mender], "description": "who can mend it"},
        "remedy": {"type": "string", "description": "how"},
        "trace_id": {"type": "string", "description": "by which operators find this very request"},
        "errors": {
            "type": "array",
            "description": "what is wrong where",
            "items": {
                "type": "object",
                "required": ["pointer", "detail"],
                "properties": {
                    "pointer": {"type": "string", "description": "into the body (RFC 6901), or ?parameter"},
                    "detail": {"type": "string"},
                },
            },
        },
    },
}
ALWAYS = {
    "400": "Something in the request cannot be",
    "401": "No access token, or one that is good no more",
    "403": "The token does not reach this far, or only an operator may",
    "406": "The answer is JSON",
    "429": "The budget of requests is spent",
    "500": "Our own mistake",
    "503": "Nothing can be done for the moment",
}
DONE = {"200": "It is this.", "201": "It was made.", "204": "It is done."}
HEADERS = {
    TRACE_HEADER: "by which operators find this very request",
    "RateLimit": "what is left of the caller's budget, and when it is renewed",
    "RateLimit-Policy": "that budget: permits in a window of seconds",
    "ETag": "for If-Match",
    "Location": "where it is now",
    "Link": "the next page",
    "Idempotency-Replayed": "true: this is the answer of then",
    "Retry-After": "seconds",
    "WWW-Authenticate": "how to come instead",
}


class Schema(AutoSchema):
    """One operation of the document."""

    def get_auth(self) -> list[dict[str, Any]]:
        """The scope that the view names for the method."""
        scopes: Mapping[str, str] = getattr(self.view, "scopes", {})
        return [{SCHEME: [scopes[self.method]]}]

    def get_operation_id(self) -> str:
        """Method and view: `get_clients`, `patch_one_client`."""
        name = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in type(self.view).__name__)
        return f"{self.method.lower()}{name}"

    def get_summary(self) -> str:
        """The first line of the method's words."""
        return self._words()[0]

    def get_description(self) -> str:  # type: ignore[override]  # as the library's own class has it
        """The rest of them."""
        return self._words()[1]

    def get_tags(self) -> list[str]:
        """What it is about: `clients` also for their secrets."""
        return [self.path.removeprefix("/api/v1/").partition("/")[0]]

    def is_deprecated(self) -> bool:
        """Whether the view says so."""
        return getattr(self.view, "deprecated", None) is not None

    def _words(self) -> tuple[str, str]:
        lines = (getattr(self.view, self.method.lower()).__doc__ or "").strip().partition("\n")
        return lines[0], " ".join(lines[2].split())


def complete(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:  # noqa: ARG001, FBT001 - the library's signature
    """Add to each operation what all have alike: problems and headers. A hook of the library's."""
    flow = {
        "tokenUrl": f"{settings.BROKER_BASE_URL}/oauth/token",
        "scopes": dict(settings.PROTECTED_RESOURCES["api/v1"]),
    }
    result["components"]["securitySchemes"] = {SCHEME: {"type": "oauth2", "flows": {"clientCredentials": flow}}}
    _mend(result["components"])
    result["components"].setdefault("schemas", {})["Problem"] = PROBLEM
    result["components"]["headers"] = {
        name: {"description": text, "schema": {"type": "string"}} for name, text in HEADERS.items()
    }
    for path, operations in result["paths"].items():
        for method, operation in operations.items():
            for status, answer in operation["responses"].items():
                answer["description"] = answer["description"] or DONE[status]
                answer["headers"] = _named(*_headers(path, method))
            operation["responses"] |= {
                status: _problem(status, text) for status, text in _problems(path, method, operation)
            }
    return result


def document(base_url: str) -> dict[str, Any]:
    """The document, made once for each process. Treat it as read-only."""
    with _making:
        return _made(base_url)


@cache
def _made(base_url: str) -> dict[str, Any]:  # noqa: ARG001 - what is remembered is for this address
    made: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    return made


def _headers(path: str, method: str) -> Iterator[str]:
    yield from (TRACE_HEADER, "RateLimit", "RateLimit-Policy")
    is_one = path.endswith("}")
    if (is_one and method in ("get", "patch")) or (method == "post" and not path.endswith("/secrets")):
        yield "ETag"
    if method == "get" and not is_one:
        yield "Link"
    if method == "post":
        yield "Idempotency-Replayed"
        if not path.endswith("/secrets"):
            yield "Location"


def _problems(path: str, method: str, operation: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    names = {parameter["name"] for parameter in operation.get("parameters", ())}
    yield from ALWAYS.items()
    if "{" in path:
        yield "404", "There is no such thing"
    if method in ("post", "patch"):
        yield "413", "The body is too large"
        yield "415", "The body is not JSON"
    if "Idempotency-Key" in names:
        yield "422", "The Idempotency-Key belongs to another request"
    if "If-Match" in names:
        yield "412", "It has changed since it was read"
        yield "428", "A change needs If-Match"
    if method != "get" and "/grants" not in path:
        yield "409", "What is there does not allow this"


def _problem(status: str, text: str) -> dict[str, Any]:
    own = {"401": ("WWW-Authenticate",), "403": ("WWW-Authenticate",), "429": ("Retry-After",), "503": ("Retry-After",)}
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        "description": f"{text}.",
        "headers": _named(TRACE_HEADER, *own.get(status, ())),
        "content": {PROBLEM_MEDIA_TYPE: {"schema": schema}},
    }


def _mend(part: Any) -> None:
    """Take out the marks by which the library tells enumerations apart; and a blank may be both of what it is one of,
    since a format is only said."""
    if isinstance(part, dict):
        part.pop("x-spec-enum-id", None)
        if "oneOf" in part:
            part["anyOf"] = part.pop("oneOf")
    for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        _mend(inner)


def _named(*names: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
