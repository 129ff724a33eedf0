"""How an access token comes with a request: in the header or in the form, never in the URL (RFC 6750 section 2).

As a bearer token, or with a proof that its holder has the key to which it is bound (RFC 9449 section 7).
"""

import re
from dataclasses import dataclass, field

from django.http import HttpRequest

from broker import limits
from broker.client_certificate import ClientCertificate
from broker.tokens.dpop import address_of, read_proof
from broker.tokens.errors import InvalidRequest, InvalidToken
from broker.tokens.requests import FORM_TYPE, check_empty_query, read_certificate, read_form

_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*", re.ASCII)


BEARER = "bearer"
DPOP = "dpop"


@dataclass(frozen=True, slots=True)
class PresentedToken:
    """An access token as it came, and what its holder shows with it. Unverified but for the certificate."""

    raw: str = field(repr=False)
    scheme: str
    raw_proof: str = field(repr=False)
    method: str
    address: str
    """Of the endpoint, by our settings."""
    certificate: ClientCertificate | None = field(repr=False)


def read_presented_token(request: HttpRequest) -> PresentedToken:
    """The one access token of a request. Raises InvalidRequest, InvalidToken (reason `absent` when there is none)."""
    check_empty_query(request)
    return _presented(request, [_from_header(request), _from_form(request)])


def read_header_token(request: HttpRequest) -> PresentedToken:
    """The same, for an API whose query and body are its own: the token is in the header, or nowhere."""
    if "access_token" in request.GET:
        raise InvalidRequest("query", expected="the token in the header", actual="access_token in the query")
    return _presented(request, [_from_header(request)])


def _presented(request: HttpRequest, places: list[tuple[str, str]]) -> PresentedToken:
    scheme, raw = _only_token(places)
    return PresentedToken(
        raw=raw,
        scheme=scheme,
        raw_proof=read_proof(request),
        method=request.method or "",
        address=address_of(request),
        certificate=read_certificate(request),
    )


def _only_token(places: list[tuple[str, str]]) -> tuple[str, str]:
    presented = [(scheme, token) for scheme, token in places if token]
    if len(presented) > 1:
        raise InvalidRequest("two_methods", expected="the token in one place", actual="header and form")
    if not presented:
        raise InvalidToken("absent", expected="an access token", actual="none")
    scheme, token = presented[0]
    if len(token) > limits.JWT_BEARER_BYTES or not _TOKEN.fullmatch(token):
        raise InvalidToken("malformed", expected="an access token", actual=f"{len(token)} characters")
    return scheme, token


def _from_header(request: HttpRequest) -> tuple[str, str]:
    header = request.META.get("HTTP_AUTHORIZATION", "")
    scheme, _, token = header.partition(" ")
    if header and scheme.lower() not in (BEARER, DPOP):
        raise InvalidToken("scheme", expected="Bearer or DPoP", actual=scheme[:20])
    return scheme.lower(), token.strip()


def _from_form(request: HttpRequest) -> tuple[str, str]:
    """A body of another type is no place for a token (RFC 6750 section 2.2): it is not read."""
    if request.method != "POST" or request.content_type != FORM_TYPE:
        return BEARER, ""
    return BEARER, read_form(request).get("access_token", "")
