"""/oauth/authorize: an application asks over OpenID Connect."""

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from broker.errors import BrokerError
from broker.http import no_store
from broker.sessions.services import find_live_session
from broker.tokens.authorization import AuthorizationRefused
from federation.downstream import oidc
from federation.signon import cookies, services
from federation.signon.attempts import Attempt, traced
from federation.signon.views.answers import SeeOther, follow, send
from federation.signon.views.pages import refusal_page


# A cross-site POST is a legal authorization request (OpenID Connect Core 3.1.2.1) and changes nothing by itself.
# Our cookies are Lax and do not come with it: the browser is sent on to the same request by GET, with which they come,
# or a session would go unseen and a sign-on in another tab lose its cookie to a new one.
@csrf_exempt
@require_http_methods(["GET", "POST"])
@traced("authorization request", page=refusal_page)
def authorize(request: HttpRequest, attempt: Attempt) -> HttpResponse:
    """GET or POST /oauth/authorize (RFC 6749 section 4.1.1, OpenID Connect Core 3.1.2)."""
    # A token that was kept out of the address stays out of it.
    if request.method == "POST" and "id_token_hint" not in request.POST:
        return no_store(SeeOther(f"{reverse('authorization')}?{request.POST.urlencode()}"))
    parameters = request.GET if request.method == "GET" else request.POST
    try:
        asked = oidc.read(dict(parameters.lists()), collector=attempt.trace)
    except AuthorizationRefused as error:
        attempt.save_refusal(error)
        return send(oidc.refuse_request(error))
    session = find_live_session(cookies.session_handle(request), now=timezone.now())
    browser = cookies.flow_browser(request) or cookies.new_browser()
    try:
        step = services.begin(asked, session=session, browser=browser, attempt=attempt)
    except BrokerError as error:
        if not services.may_be_told(error):
            raise
        attempt.save_refusal(error)
        return send(services.refuse(asked.asked, error))
    return follow(step, browser=browser)
