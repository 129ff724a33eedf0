"""Refusals in SCIM's own words: its scimType, our stable code, the trace id, and what mends it."""

import re
from dataclasses import dataclass

from django.db import OperationalError
from scim2_models import (
    ConflictException,
    Error,
    ExpiredCursorException,
    ForbiddenException,
    InvalidCountException,
    InvalidCursorException,
    InvalidFilterException,
    InvalidPathException,
    InvalidSyntaxException,
    InvalidValueException,
    MutabilityException,
    NoTargetException,
    NotFoundException,
    NotImplementedException,
    PayloadTooLargeException,
    PreconditionFailedException,
    SCIMException,
    UnauthorizedException,
    UniquenessException,
)
from scim2_server.errors import MethodNotAllowedException, UnsupportedMediaTypeException

from broker.errors import BrokerError
from broker.refusals import find_refusal
from provisioning.inbound.filters import TooCostly
from provisioning.inbound.groups import UnknownMembers


class TooManyOperations(PayloadTooLargeException):
    """A bulk of more operations than we take."""


# The first that fits: what is more particular stands before what it is a kind of.
_CODES: tuple[tuple[type[Exception], str], ...] = (
    (UnknownMembers, "scim.members_unknown"),
    (TooManyOperations, "scim.too_many_operations"),
    (TooCostly, "scim.filter_too_costly"),
    (MethodNotAllowedException, "scim.method"),
    (UnsupportedMediaTypeException, "scim.media_type"),
    (UnauthorizedException, "scim.unauthenticated"),
    (ForbiddenException, "scim.not_supported"),
    (NotFoundException, "scim.not_found"),
    (NotImplementedException, "scim.not_supported"),
    (PayloadTooLargeException, "scim.too_large"),
    (PreconditionFailedException, "scim.precondition"),
    (UniquenessException, "scim.uniqueness"),
    (ConflictException, "scim.conflict"),
    (ExpiredCursorException, "scim.cursor_expired"),
    (InvalidCursorException, "scim.cursor"),
    (InvalidCountException, "scim.count"),
    (InvalidFilterException, "scim.filter"),
    (MutabilityException, "scim.mutability"),
    (NoTargetException, "scim.no_target"),
    (InvalidPathException, "scim.path"),
    (InvalidValueException, "scim.value"),
    (InvalidSyntaxException, "scim.syntax"),
    (OperationalError, "scim.unavailable"),
)
_CODE = re.compile(r"\[([a-z_.]+); trace ")
_TYPES = {
    "scim.syntax": "invalidSyntax",
    "scim.value": "invalidValue",
    "scim.mutability": "mutability",
    "scim.uniqueness": "uniqueness",
    "scim.protected_group": None,
    "authority.identifier_taken": "uniqueness",
    "authority.group_taken": "uniqueness",
    "authority.value": "invalidValue",
    "authority.too_large": "invalidValue",
    "authority.attribute": "invalidValue",
}


@dataclass(frozen=True, slots=True)
class Told:
    """A refusal as it is answered."""

    code: str
    status: int
    scim_type: str | None
    reason: str

    def body(self, *, trace_id: str) -> dict[str, object]:
        """The error (RFC 7644 section 3.12)."""
        refusal = find_refusal(self.code)
        detail = f"{self.reason} [{self.code}; trace {trace_id}] {refusal.remedy}"
        dumped: dict[str, object] = Error(status=self.status, scim_type=self.scim_type, detail=detail).model_dump()
        return dumped


def told(error: Exception) -> Told:
    """What is answered to an exception. What is no refusal is our own fault, and says nothing of itself."""
    if isinstance(error, BrokerError):
        refusal = error.refusal
        # What was found there stays in the house; what is expected helps the caller.
        reason = f"{refusal.meaning} Expected: {error.expected}." if error.expected else refusal.meaning
        if error.detail and error.code.startswith("authority."):
            reason = f"{error.detail[:100]}: {reason}"
        return Told(error.code, refusal.status, _TYPES.get(error.code), reason)
    code = next((code for kind, code in _CODES if isinstance(error, kind)), "")
    if isinstance(error, SCIMException):
        dumped = error.to_error()
        return Told(code or "scim.value", int(dumped.status or 400), dumped.scim_type, _sentence(dumped.detail or ""))
    refusal = find_refusal(code or "scim.fault")
    return Told(refusal.code, refusal.status, None, refusal.meaning)


def _sentence(text: str) -> str:
    """The reason on one line, with its end."""
    line = " ".join(text.split())[:1500]
    return line if line.endswith((".", "!", "?")) else f"{line}."


def code_in(detail: str) -> str:
    """Our code in the detail of an error that was made here; "" in one of the core's."""
    found = _CODE.search(detail)
    return found.group(1) if found else ""
