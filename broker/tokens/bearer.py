"""How an access token comes with a request (RFC 6750 section 2): in the header or in the form, never in the URL."""

import re

from django.http import HttpRequest

from broker import limits
from broker.tokens.errors import InvalidRequest, InvalidToken
from broker.tokens.requests import FORM_TYPE, check_empty_query, read_form

_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*", re.ASCII)


def read_bearer_token(request: HttpRequest) -> str:
    """The one access token of a request. Raises InvalidRequest, InvalidToken (reason `absent` when there is none)."""
    check_empty_query(request)
    presented = [token for token in (_from_header(request), _from_form(request)) if token]
    if len(presented) > 1:
        raise InvalidRequest("two_methods", expected="the token in one place", actual="header and form")
    if not presented:
        raise InvalidToken("absent", expected="an access token", actual="none")
    if len(presented[0]) > limits.JWT_BEARER_BYTES or not _TOKEN.fullmatch(presented[0]):
        raise InvalidToken("malformed", expected="a bearer token", actual=f"{len(presented[0])} characters")
    return presented[0]


def _from_header(request: HttpRequest) -> str:
    header = request.headers.get("Authorization", "")
    scheme, _, token = header.partition(" ")
    if header and scheme.lower() != "bearer":
        raise InvalidToken("scheme", expected="Bearer", actual=scheme[:20])
    return token.strip()


def _from_form(request: HttpRequest) -> str:
    """A body of another type is no place for a token (RFC 6750 section 2.2): it is not read."""
    if request.method != "POST" or request.content_type != FORM_TYPE:
        return ""
    return read_form(request).get("access_token", "")
