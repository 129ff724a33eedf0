"""/oauth/logout: an application, or the person, asks for the end of the session.

The session cookie is Lax, so it does not come with another site's POST: such a request is judged, and the browser sent
on to our own address, with which it comes (as after a POST to the assertion consumer service).
"""

from collections.abc import Callable
from functools import wraps
from urllib.parse import urlencode
from uuid import UUID

import structlog
from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.encoding import iri_to_uri
from django.utils.module_loading import import_string
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from broker import limits
from broker.errors import BrokerError
from broker.http import actor_from, no_store
from broker.sessions.models import Session
from broker.sessions.services import find_live_session
from broker.traces.collector import Collector
from federation.logout import services
from federation.logout.requests import OWN_WISH, LogoutRequest, open_request, read_logout_request, seal_request
from federation.logout.standing import Ended, Told, reach_of, standing_of

log = structlog.get_logger(__name__)
TracedView = Callable[[HttpRequest, Collector], HttpResponse]


def traced(view: TracedView) -> Callable[[HttpRequest], HttpResponse]:
    """Give a view its trace, and turn what it raises into the refusal's page."""

    @wraps(view)
    def run(request: HttpRequest) -> HttpResponse:
        trace = Collector(hop=f"{request.method} logout")
        page: Callable[[HttpRequest, BrokerError], HttpResponse] = import_string(settings.REFUSAL_PAGE)
        try:
            try:
                return no_store(view(request, trace))
            except BrokerError as error:
                services.save_refusal(error, trace=trace, actor=actor_from(request))
                return page(request, error)
        except DatabaseError as error:
            log.exception("database", error=type(error).__name__)
            return page(request, BrokerError("service.unavailable"))

    return run


# Any site may send a browser here; nothing ends without an ID token of ours or the person's word on the next page.
@csrf_exempt
@require_http_methods(["GET", "POST"])
@traced
def logout(request: HttpRequest, trace: Collector) -> HttpResponse:
    """GET or POST /oauth/logout (OpenID Connect RP-Initiated Logout 1.0)."""
    now = timezone.now()
    parameters = request.GET if request.method == "GET" else request.POST
    asked = read_logout_request(dict(parameters.lists()), now=now, trace=trace)
    if request.method == "POST":
        sealed = seal_request(asked, now=now)
        return _see_other(f"{reverse('end_session')}?{urlencode({'asked': sealed})}")
    return _proceed(request, asked, trace)


@require_http_methods(["GET", "POST"])
@traced
def confirm(request: HttpRequest, trace: Collector) -> HttpResponse:
    """GET /oauth/logout/confirm goes on with a request that was judged; POST is the person's word."""
    parameters = request.GET if request.method == "GET" else request.POST
    sealed = parameters.get("asked", "")
    # The start page's own button asks for no application.
    asked = open_request(sealed, now=timezone.now()) if sealed else OWN_WISH
    if request.method == "GET":
        return _proceed(request, asked, trace)
    trace.note("The person confirmed.")
    return _end(request, _live_session(request), asked, trace)


@require_POST
@traced
def end_own_session(request: HttpRequest, trace: Collector) -> HttpResponse:
    """POST /signon/sessions/end: the person ends one of their own sessions, in this browser or another."""
    session = _live_session(request)
    if session is None:
        return _see_other(reverse("home"))
    named = request.POST.get("session", "")
    is_this = services.end_own(session, session_id=named, actor=actor_from(request))
    trace.note("The person ended a session of theirs.", session=named, in_this_browser=is_this)
    _save(request, trace, session)
    return _without_session(_see_other(reverse("home"))) if is_this else _see_other(reverse("home"))


@require_POST
@traced
def end_everywhere(request: HttpRequest, trace: Collector) -> HttpResponse:
    """POST /signon/sessions/end-all: the person leaves every browser."""
    session = _live_session(request)
    ended: list[UUID] = []
    if session is not None:
        ended = services.end_everywhere(session, actor=actor_from(request))
        trace.note("The person ended every session of theirs.")
        _save(request, trace, session)
    return _without_session(_signed_out(request, Ended.just_now(ended, everywhere=True)))


@require_safe
@traced
def signed_out(request: HttpRequest, trace: Collector) -> HttpResponse:  # noqa: ARG001 - nothing is judged here
    """GET /signon/signed-out: what the applications answered since; only who was shown the link can ask."""
    return _signed_out(request, Ended.unseal(request.GET.get("of", ""), now=timezone.now()))


def _proceed(request: HttpRequest, asked: LogoutRequest, trace: Collector) -> HttpResponse:
    session = _live_session(request)
    if session is None or services.may_end_unasked(session, asked=asked):
        return _end(request, session, asked, trace)
    context = {
        "asked": seal_request(asked, now=timezone.now()),
        "reach": reach_of(session),
    }
    return render(request, "signon/confirm_logout.html", context)


def _end(request: HttpRequest, session: Session | None, asked: LogoutRequest, trace: Collector) -> HttpResponse:
    actor = actor_from(request)
    ended: list[UUID] = []
    if session is None:
        trace.note("No live session in this browser: there is nothing to end.")
    else:
        ended = [session.pk]
        services.leave(session, asked=asked, actor=actor)
        trace.note("The session was ended.", session=session.pk)
        connection = session.identity_provider.slug
        services.save_outcome(trace, application=asked.application, connection=connection, actor=actor)
    response = _see_other(asked.return_url) if asked.return_url else _signed_out(request, Ended.just_now(ended))
    return _without_session(response)


def _signed_out(request: HttpRequest, ended: Ended) -> HttpResponse:
    """The page after a sign-out. For a short while it looks again by itself whether the applications answered."""
    now = timezone.now()
    standings = standing_of(ended.sessions)
    again = f"{reverse('signed_out')}?{urlencode({'of': ended.seal()})}"
    is_waiting = any(one.state == Told.WAITING for one in standings)
    context = {"standings": standings, "everywhere": ended.everywhere, "again": again if is_waiting else ""}
    response = render(request, "signon/signed_out.html", context)
    if is_waiting and now - ended.at < limits.LOGOUT_WATCHED:
        response["Refresh"] = f"{limits.LOGOUT_WATCH_SECONDS}; url={again}"
    return response


def _save(request: HttpRequest, trace: Collector, session: Session) -> None:
    connection = session.identity_provider.slug
    services.save_outcome(trace, application="", connection=connection, actor=actor_from(request))


def _without_session(response: HttpResponse) -> HttpResponse:
    response.delete_cookie(settings.SSO_COOKIE_NAME, samesite="Lax")
    return response


def _live_session(request: HttpRequest) -> Session | None:
    return find_live_session(request.COOKIES.get(settings.SSO_COOKIE_NAME, ""), now=timezone.now())


def _see_other(url: str) -> HttpResponse:
    """303, by GET. Any scheme: native applications have their own, and only registered addresses get here."""
    return HttpResponse(status=303, headers={"Location": iri_to_uri(url)})
