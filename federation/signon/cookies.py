"""The cookies of sign-on: one is the session's handle, the others tie a flow, or an arrival, to its browser."""

import re
import secrets

from django.conf import settings
from django.http import HttpRequest, HttpResponse

FLOW_BYTES = 32
_HANDLE = re.compile(r"[A-Za-z0-9_-]{20,128}")


def flow_browser(request: HttpRequest) -> str:
    """The flow cookie's value; empty when the browser has none, or none of our making."""
    return _read(request, settings.FLOW_COOKIE_NAME)


def session_handle(request: HttpRequest) -> str:
    """The session cookie's value; empty when the browser has none, or none of our making."""
    return _read(request, settings.SSO_COOKIE_NAME)


def arrival_browser(request: HttpRequest) -> str:
    """The value of the cookie under which an answer without a request came in; empty when there is none."""
    return _read(request, settings.ARRIVAL_COOKIE_NAME)


def new_browser() -> str:
    """A fresh value for a cookie that ties something to its browser."""
    return secrets.token_urlsafe(FLOW_BYTES)


def set_flow_browser(response: HttpResponse, value: str) -> None:
    """Lax is enough: we read it on same-origin requests and on top-level navigations only."""
    _set(response, settings.FLOW_COOKIE_NAME, value)


def set_arrival_browser(response: HttpResponse, value: str) -> None:
    """For the redirect that follows at once, on our own site."""
    _set(response, settings.ARRIVAL_COOKIE_NAME, value)


def forget_arrival(response: HttpResponse) -> None:
    """It has done its service."""
    response.delete_cookie(settings.ARRIVAL_COOKIE_NAME, samesite="Lax")


def set_session_handle(response: HttpResponse, value: str) -> None:
    """The handle lives as long as the browser does; the session's own end is in the database."""
    _set(response, settings.SSO_COOKIE_NAME, value)


def _read(request: HttpRequest, name: str) -> str:
    value = request.COOKIES.get(name, "")
    return value if _HANDLE.fullmatch(value) else ""


def _set(response: HttpResponse, name: str, value: str) -> None:
    response.set_cookie(name, value, secure=settings.BROKER_IS_HTTPS, httponly=True, samesite="Lax", path="/")
