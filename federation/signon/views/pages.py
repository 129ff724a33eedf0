"""The pages that a person sees: the own page, the choice of an identity provider, a refusal."""

import json
import sys
import traceback
import unicodedata
from typing import Any

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from broker import limits
from broker.errors import BrokerError
from broker.http import no_store, problem_json, refusal_json, trace_id_of
from broker.registry.models import Application
from broker.registry.services import find_home_realm
from broker.sessions.models import Session
from broker.sessions.services import find_live_session, live_sessions_of
from federation.assertions import Answer
from federation.claims.authority import scope_of
from federation.signon import cookies, services
from federation.signon.attempts import Attempt, traced
from federation.signon.home_realm import list_choices
from federation.signon.views.answers import follow

log = structlog.get_logger(__name__)
EMAIL_CHARS = 254
"""Of an address as a person types it (RFC 5321 section 4.5.3.1.3, without its brackets)."""
MACHINE_PATHS = (
    "/oauth/token",
    "/oauth/introspect",
    "/oauth/revoke",
    "/oauth/par",
    "/oauth/userinfo",
    "/oauth/jwks",
    "/.well-known/",
    "/access/",
    "/health/",
    "/metrics",
)


def refusal_page(request: HttpRequest, error: BrokerError, *, way_back: Answer | None = None) -> HttpResponse:
    """A refusal as a person reads it: what happened, who can mend it and how, the code and the trace id.

    A machine's address answers in JSON, the management API's with problem details.
    """
    if request.path.startswith("/api/"):
        response = problem_json(error, trace_id=trace_id_of(request))
    elif request.path.startswith(MACHINE_PATHS):
        response = refusal_json(error, trace_id=trace_id_of(request))
    else:
        context = {"refusal": error.refusal, "trace_id": trace_id_of(request), "way_back": way_back}
        response = no_store(render(request, "signon/error.html", context, status=error.status))
    if error.status in {429, 503}:
        response["Retry-After"] = "30"
    return response


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """GET /: who is signed on here, which applications there are, and in the demonstration what to click."""
    session = find_live_session(cookies.session_handle(request), now=timezone.now())
    applications = Application.objects.filter(enabled=True, retired_at=None).exclude(home_url="").order_by("name")
    context = {
        "session": session,
        "person": session.person if session else None,
        "sessions": _sessions(session) if session else [],
        "applications": list(applications[: limits.CHOICES_PER_PAGE]),
        "demonstration": _demonstration(),
    }
    return no_store(render(request, "signon/home.html", context))


def _sessions(session: Session) -> list[Session]:
    """The person's live sessions with what takes part in them, this browser's first; a page of them."""
    live = live_sessions_of(session.person, now=timezone.now()).select_related("identity_provider")
    others = live.exclude(pk=session.pk).prefetch_related("participants__application")
    return [session, *others[: limits.CHOICES_PER_PAGE]]


@require_http_methods(["GET", "POST"])
@traced("choice of an identity provider", page=refusal_page)
def choose_identity_provider(request: HttpRequest, attempt: Attempt) -> HttpResponse:
    """GET and POST /signon/choose: the person says where they come from."""
    browser = cookies.flow_browser(request)
    parameters = request.GET if request.method == "GET" else request.POST
    login = services.find_login(parameters.get("flow", ""), browser=browser, attempt=attempt)
    application = services.application_of(login)
    problem = ""
    email = plain(parameters.get("email", "")).strip()[:EMAIL_CHARS] if request.method == "POST" else ""
    if request.method == "POST":
        slug = parameters.get("identity_provider", "")
        if not slug:
            found = find_home_realm(scope_of(email))
            slug = found.slug if found else ""
            problem = "" if found else "No sign-on is known for this e-mail address. Check it, or choose below."
        if slug:
            return follow(services.choose(login, slug=slug, attempt=attempt), browser=browser)
    search = plain(parameters.get("search", "")).strip()[:100]
    choices = list_choices(search)
    context = {
        "login": login,
        "search": search,
        "problem": problem,
        "email": email,
        "has_more": choices.has_more,
        "choices": [
            {"slug": party.slug, "name": plain(party.name), "organisation": plain(party.organisation.name)}
            for party in choices.identity_providers
        ],
        "application": plain(application.name or application.slug),
    }
    return no_store(render(request, "signon/choose_idp.html", context, status=400 if problem else 200))


def plain(text: str) -> str:
    """A name without control and direction characters, which could make it look like another's."""
    return "".join(letter for letter in text if unicodedata.category(letter) not in {"Cc", "Cf", "Cs", "Zl", "Zp"})


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001 - Django's signature
    """Django could not read the request."""
    return refusal_page(request, BrokerError("request.malformed"))


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001 - Django's signature
    """A page that needs another role."""
    return refusal_page(request, BrokerError("request.forbidden"))


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001 - Django's signature
    """No such page."""
    return refusal_page(request, BrokerError("request.not_found"))


def fault(request: HttpRequest) -> HttpResponse:
    """What no view caught: a refusal, a database that is away, else a fault of ours.

    The text of a fault may hold what somebody sent, so the log has its kind and its place only.
    """
    _, error, trace = sys.exc_info()
    if isinstance(error, BrokerError):
        return refusal_page(request, error)
    places = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(trace)]
    log.error("fault", error=type(error).__name__, places=places)
    is_away = isinstance(error, OperationalError | InterfaceError)
    return refusal_page(request, BrokerError("service.unavailable" if is_away else "service.fault"))


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:  # noqa: ARG001 - Django's signature
    """A form that did not come from our own page."""
    return refusal_page(request, BrokerError("request.csrf"))


def _demonstration() -> dict[str, Any] | None:
    if settings.DEMONSTRATION is None:
        return None
    try:
        return dict(json.loads(settings.DEMONSTRATION.read_text()))
    except (OSError, ValueError):
        return None
