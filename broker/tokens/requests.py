"""Forms as they come to the token and userinfo endpoints, parsed once (RFC 6749 sections 3.2 and 4.1.3)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import parse_qsl

from django.http import HttpRequest
from django.http.request import RawPostDataException, UnreadablePostError

from broker import limits
from broker.client_certificate import ClientCertificate, read_client_certificate
from broker.errors import BrokerError
from broker.tokens.dpop import address_of, read_proof
from broker.tokens.errors import InvalidRequest
from broker.tokens.printable import is_printable

FORM_TYPE = "application/x-www-form-urlencoded"
TOKENS = frozenset({"subject_token", "assertion"})
"""Parameters that hold another house's token, which may be longer than any of ours."""


@dataclass(frozen=True, slots=True)
class ClientRequest:
    """What a client sends to an endpoint where it authenticates: its form, in which each parameter stands once, and
    what it shows of itself beside the form. All of it is unverified but the certificate, of which TLS proved the key.
    """

    parameters: Mapping[str, str] = field(repr=False)
    raw_authorization: str = field(repr=False)
    raw_proof: str = field(default="", repr=False)
    address: str = ""
    """Of the endpoint, by our settings."""
    certificate: ClientCertificate | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, request: HttpRequest) -> Self:
        """Raises InvalidRequest. Nothing below this reads the HTTP request again."""
        check_empty_query(request)
        return cls(
            parameters=read_form(request),
            raw_authorization=request.META.get("HTTP_AUTHORIZATION", ""),
            raw_proof=read_proof(request),
            address=address_of(request),
            certificate=read_certificate(request),
        )

    def scopes(self) -> tuple[str, ...]:
        """The scopes asked for, each once, in order; empty when none are named (RFC 6749 section 3.3)."""
        return tuple(dict.fromkeys(self.parameters.get("scope", "").split()))

    def required(self, name: str) -> str:
        """The value of a parameter that the request cannot do without. Raises InvalidRequest."""
        if name not in self.parameters:
            raise InvalidRequest("missing", detail=name, expected=name, actual="absent")
        return self.parameters[name]


@dataclass(frozen=True, slots=True)
class TokenRequest(ClientRequest):
    """A token request, which names its grant."""

    def __post_init__(self) -> None:
        self.required("grant_type")

    @property
    def grant_type(self) -> str:
        return self.parameters["grant_type"]


def read_certificate(request: HttpRequest) -> ClientCertificate | None:
    """The certificate that the caller came with. Raises InvalidRequest for one that cannot be read or is over."""
    try:
        return read_client_certificate(request)
    except BrokerError as error:
        raise InvalidRequest(
            "certificate", code=error.code, detail=error.detail, expected=error.expected, actual=error.actual
        ) from error


def check_empty_query(request: HttpRequest) -> None:
    """Codes, secrets and tokens do not belong into a URL, where every log keeps them (RFC 6749 section 2.3.1)."""
    if request.META.get("QUERY_STRING"):
        raise InvalidRequest("query", expected="parameters in the body", actual="a query string")


def read_form(request: HttpRequest) -> dict[str, str]:
    """The form of a POST; a parameter without a value counts as omitted (RFC 6749 section 3.2).

    Raises InvalidRequest for another content type, for what is not UTF-8, and for a repeated parameter.
    """
    if request.content_type != FORM_TYPE:
        raise InvalidRequest("content_type", expected=FORM_TYPE, actual=request.content_type or "none")
    try:
        pairs = parse_qsl(
            request.body.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=limits.FORM_FIELDS,
        )
    except (UnreadablePostError, RawPostDataException) as error:
        raise InvalidRequest("body", expected="a readable body", actual=type(error).__name__) from error
    except ValueError as error:
        expected = f"at most {limits.FORM_FIELDS} percent-encoded UTF-8 fields"
        raise InvalidRequest("body", expected=expected, actual=type(error).__name__) from error
    form: dict[str, str] = {}
    for name, value in pairs:
        if name in form:
            raise InvalidRequest("repeated", detail=name[:100], expected="once", actual="more than once")
        if not is_printable(name) or not is_printable(value):
            raise InvalidRequest("characters", detail="a control character", expected="printable text")
        longest = limits.SUBJECT_TOKEN_CHARS if name in TOKENS else limits.PARAMETER_CHARS
        if len(value) > longest:
            raise InvalidRequest("too_long", detail=name[:100], expected=longest, actual=len(value))
        form[name] = value
    return {name: value for name, value in form.items() if value}
