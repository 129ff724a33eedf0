"""The security headers of every answer, as Django's and django-csp's middlewares write them."""

from collections.abc import Callable, Mapping
from typing import cast

from csp.middleware import CSPMiddleware
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.security import SecurityMiddleware

GetResponse = Callable[[HttpRequest], HttpResponseBase]
ASKED_OFTEN = ("/oauth/token", "/oauth/introspect", "/access/v1/")
"""Paths whose answers always carry the same headers, which are written once and then copied: no view there asks for
others, and writing them takes as long as several checks."""


class SecurityHeadersMiddleware:
    """Marks each answer, also that of the limits."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        self.marked = _marking(get_response)
        self._written: dict[bool, Mapping[str, str]] = {}

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not request.path_info.startswith(ASKED_OFTEN):
            return self.marked(request)
        response = self.get_response(request)
        for name, value in self._headers(request).items():
            response.headers.setdefault(name, value)
        return response

    def _headers(self, request: HttpRequest) -> Mapping[str, str]:
        """What the middlewares write on an empty answer; it depends on TLS alone."""
        is_secure = request.is_secure()
        if is_secure not in self._written:
            empty = HttpResponse()
            del empty["Content-Type"]
            self._written[is_secure] = dict(_marking(lambda _: empty)(request).items())
        return self._written[is_secure]


def _marking(get_response: GetResponse) -> GetResponse:
    return cast(GetResponse, SecurityMiddleware(CSPMiddleware(XFrameOptionsMiddleware(get_response))))
