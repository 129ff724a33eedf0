"""/oidc/<idp>/callback: an OpenID provider answers."""

from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_GET

from broker.errors import BrokerError
from broker.registry.models import IdentityProvider
from broker.registry.services import find_identity_provider
from broker.sessions.services import find_live_session
from federation.signon import cookies, services
from federation.signon.attempts import Attempt, traced
from federation.signon.home_realm import answering_identity_provider
from federation.signon.views.answers import follow, send
from federation.signon.views.pages import refusal_page


# The answer comes by a redirect, a top-level navigation by GET: cookies that are Lax come with it.
@require_GET
@traced("OpenID callback", page=refusal_page)
def callback(request: HttpRequest, attempt: Attempt, slug: str) -> HttpResponse:
    """GET /oidc/<idp>/callback (RFC 6749 section 4.1.2, OpenID Connect Core 3.1.2.5)."""
    find_openid_provider(slug)
    relay_state = request.GET.get("state", "")
    identity_provider = answering_identity_provider(slug, relay_state=relay_state)
    attempt.connection = identity_provider.slug
    try:
        step = services.complete_directly(
            identity_provider,
            relay_state=relay_state,
            raw_answer=request.META["QUERY_STRING"],
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


def find_openid_provider(slug: str) -> IdentityProvider:
    """The OpenID provider under `slug`, or the 404 page."""
    found = find_identity_provider(slug)
    if found is None or found.protocol != IdentityProvider.Protocol.OIDC:
        raise Http404
    return found
