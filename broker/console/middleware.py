"""What only the console needs of Django: session, sign-in, messages; and its own headers."""

from collections.abc import Callable
from datetime import datetime
from typing import cast

from django.conf import settings
from django.contrib.auth import logout
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone

from broker import limits
from broker.console.models import Operator
from broker.http import no_store

GetResponse = Callable[[HttpRequest], HttpResponse]
CONSOLE_PREFIX = "/admin/"
OPEN_WHILE_PASSWORD_IS_DUE = ("admin:password_change", "admin:logout", "admin:jsi18n")
SEEN_AT = "seen_at"


class ConsoleMiddleware:
    """Runs Django's session, authentication and message middlewares for the console's paths, and for no other."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        self.enter_console = SessionMiddleware(AuthenticationMiddleware(MessageMiddleware(_Entrance(get_response))))

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith(CONSOLE_PREFIX):
            return self.get_response(request)
        response = no_store(cast(HttpResponse, self.enter_console(request)))
        # django-csp reads this attribute; the strict policy of all other pages breaks the console's look.
        response._csp_config = settings.CONSOLE_CONTENT_SECURITY_POLICY  # type: ignore[attr-defined]
        return response


class _Entrance:
    """Ends idle sessions, and leads an operator with a one-time password to the page that changes it."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        operator = request.user
        if not isinstance(operator, Operator):
            return self.get_response(request)
        now = timezone.now()
        seen_at = request.session.get(SEEN_AT)
        unseen_for = now - datetime.fromisoformat(seen_at) if seen_at else None
        if unseen_for and unseen_for > limits.OPERATOR_SESSION_IDLE:
            logout(request)
            return self.get_response(request)
        if unseen_for is None or unseen_for > limits.SESSION_TOUCH_INTERVAL:
            request.session[SEEN_AT] = now.isoformat()
        if operator.must_change_password and request.path not in map(reverse, OPEN_WHILE_PASSWORD_IS_DUE):
            return HttpResponseRedirect(reverse("admin:password_change"))
        return self.get_response(request)
