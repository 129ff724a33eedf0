"""/saml/sp/<idp>/acs: an identity provider answers over SAML."""

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_http_methods

from broker.errors import BrokerError
from broker.http import no_store
from broker.registry.models import IdentityProvider
from broker.registry.services import find_identity_provider
from broker.sessions.services import find_live_session
from federation.signon import arrivals, cookies, services
from federation.signon.attempts import Attempt, traced
from federation.signon.home_realm import answering_identity_provider, usable_identity_provider
from federation.signon.views.answers import SeeOther, follow, send
from federation.signon.views.pages import refusal_page


# The POST comes from the identity provider's site. It is stored and judged only when the same browser comes back.
@csrf_exempt
@require_http_methods(["GET", "POST"])
@traced("assertion consumer service", page=refusal_page)
def assertion_consumer(request: HttpRequest, attempt: Attempt, slug: str) -> HttpResponse:
    """POST and GET /saml/sp/<idp>/acs (SAML bindings section 3.5; the GET is our own continuation)."""
    find_saml_identity_provider(slug)
    is_answer = request.method == "POST"
    relay_state = _one(request, "RelayState", required=False) if is_answer else request.GET.get("flow", "")
    identity_provider = answering_identity_provider(slug, relay_state=relay_state)
    attempt.connection = identity_provider.slug
    if is_answer:
        raw_answer = _one(request, "SAMLResponse", required=True)
        if arrivals.is_arrival(identity_provider, relay_state=relay_state):
            return _receive_arrival(attempt, identity_provider, relay_state=relay_state, raw_answer=raw_answer)
        services.receive(identity_provider, relay_state=relay_state, raw_answer=raw_answer)
        return no_store(SeeOther(f"{reverse('assertion_consumer', args=[slug])}?flow={relay_state}"))
    try:
        step = services.complete(
            identity_provider,
            relay_state=relay_state,
            browser=cookies.flow_browser(request),
            session=find_live_session(cookies.session_handle(request), now=timezone.now()),
            attempt=attempt,
        )
    except BrokerError as error:
        if not services.may_be_told(error):
            raise
        attempt.save_refusal(error)
        return send(services.refuse(attempt.asked, error))
    return follow(step, browser="")


@require_GET
@traced("answer that nobody asked for", page=refusal_page)
def complete_arrival(request: HttpRequest, attempt: Attempt, slug: str) -> HttpResponse:
    """GET /saml/sp/<idp>/arrival: the browser that brought an answer without a request, with its cookies."""
    find_saml_identity_provider(slug)
    identity_provider = usable_identity_provider(slug)
    attempt.connection = identity_provider.slug
    step = arrivals.complete_arrival(
        identity_provider,
        handle=request.GET.get("arrival", ""),
        browser=cookies.arrival_browser(request),
        session=find_live_session(cookies.session_handle(request), now=timezone.now()),
        attempt=attempt,
    )
    response = follow(step, browser="")
    cookies.forget_arrival(response)
    return response


def _receive_arrival(
    attempt: Attempt, identity_provider: IdentityProvider, *, relay_state: str, raw_answer: str
) -> HttpResponse:
    """Tie the answer to this browser by a cookie of its own: the flow cookie may belong to a sign-on in another tab."""
    browser = cookies.new_browser()
    handle = arrivals.receive_arrival(
        identity_provider, relay_state=relay_state, raw_answer=raw_answer, browser=browser, attempt=attempt
    )
    address = reverse("complete_arrival", args=[identity_provider.slug])
    response = no_store(SeeOther(f"{address}?arrival={handle}"))
    cookies.set_arrival_browser(response, browser)
    return response


def find_saml_identity_provider(slug: str) -> IdentityProvider:
    """The SAML identity provider under `slug`, or the 404 page."""
    found = find_identity_provider(slug)
    if found is None or found.protocol != IdentityProvider.Protocol.SAML:
        raise Http404
    return found


def _one(request: HttpRequest, name: str, *, required: bool) -> str:
    values = request.POST.getlist(name)
    if len(values) > 1 or (required and not values):
        raise BrokerError(
            "request.malformed", expected=f"{name} once" if required else f"{name} at most once", actual=len(values)
        )
    return str(values[0]) if values else ""
