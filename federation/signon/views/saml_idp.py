"""/saml/idp/…: an application asks over SAML, or is started from here."""

from typing import Any
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_http_methods

from broker.errors import BrokerError
from broker.http import no_store, trace_id_of
from broker.registry.services import find_service_provider_of
from broker.sessions.services import find_live_session
from federation.assertions import SignOnRequest
from federation.downstream import saml
from federation.saml.bindings import read_form, read_redirect, read_relay_state
from federation.signon import cookies, services
from federation.signon.attempts import Attempt, traced
from federation.signon.carried_requests import open_request, seal_request
from federation.signon.views.answers import SeeOther, follow, send
from federation.signon.views.pages import refusal_page


# A cross-site POST is a legal request, and Lax cookies do not come with it: it is judged here, and what it asks is
# carried to our own address, with which they come.
@csrf_exempt
@require_http_methods(["GET", "POST"])
@traced("SAML authentication request", page=refusal_page)
def single_sign_on(request: HttpRequest, attempt: Attempt) -> HttpResponse:
    """GET (HTTP-Redirect) or POST /saml/idp/sso (SAML profiles section 4.1.3, bindings 3.4 and 3.5)."""
    is_post = request.method == "POST"
    carried = read_form(dict(request.POST.lists())) if is_post else read_redirect(request.META.get("QUERY_STRING", ""))
    try:
        asked = saml.read(carried, trace=attempt.trace)
    except saml.RequestRefused as refused:
        attempt.application = refused.application
        return _tell(refused, refused.asked, attempt)
    if not is_post:
        return _go_on(request, asked, attempt)
    attempt.application = asked.application.slug
    sealed = seal_request(asked.asked, trace_id=trace_id_of(request), now=timezone.now())
    return no_store(SeeOther(f"{reverse('continue_saml_sign_on')}?{urlencode({'asked': sealed})}"))


@require_GET
@traced("SAML authentication request, carried on", page=refusal_page)
def continue_sign_on(request: HttpRequest, attempt: Attempt) -> HttpResponse:
    """GET /saml/idp/continue: the same browser, with its cookies."""
    carried = open_request(request.GET.get("asked", ""), now=timezone.now())
    attempt.continues(carried.trace_id)
    attempt.returns_to = carried.asked
    return _go_on(request, saml.resume(carried.asked), attempt)


@require_GET
@traced("start of an application", page=refusal_page)
def start_application(request: HttpRequest, attempt: Attempt, slug: str) -> HttpResponse:
    """GET /saml/idp/init/<application>?RelayState=…: an answer that nobody asked for (SAML profiles section 4.1.5)."""
    face = find_service_provider_of(slug)
    if face is None:
        raise Http404
    attempt.application = slug
    relay_state = read_relay_state(request.GET.getlist("RelayState"))
    return _go_on(request, saml.start_unasked(face, relay_state=relay_state), attempt)


def _go_on(request: HttpRequest, asked: SignOnRequest, attempt: Attempt) -> HttpResponse:
    """Begin the sign-on that a judged request asks for."""
    session = find_live_session(cookies.session_handle(request), now=timezone.now())
    browser = cookies.flow_browser(request) or cookies.new_browser()
    try:
        step = services.begin(asked, session=session, browser=browser, attempt=attempt)
    except BrokerError as error:
        return _tell(error, asked.asked, attempt)
    return follow(step, browser=browser)


def _tell(error: BrokerError, asked: dict[str, Any], attempt: Attempt) -> HttpResponse:
    """Tell the application what it expects to hear; else the person, who can take it back there.

    A passive request shows no page at all (IsPassive, SAML core 3.4.1).
    """
    if not services.may_be_told(error) and not asked["passive"]:
        attempt.returns_to = asked
        raise error
    attempt.save_refusal(error)
    return send(services.refuse(asked, error))
