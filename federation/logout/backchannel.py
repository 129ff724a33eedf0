"""/oidc/<idp>/backchannel-logout: an identity provider says that its session ended.

OpenID Connect Back-Channel Logout 1.0 section 2.8: 200 and nothing else, also where there was nothing to end; 400 with
an error in JSON where the token is refused.
"""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from broker.errors import BrokerError
from broker.http import actor_from, no_store
from broker.traces.collector import Collector
from federation.logout.services import save_outcome, save_refusal
from federation.logout.upstream import hear_logout


# It comes from the identity provider itself: no browser, no cookie, and nothing is believed that it did not sign.
@csrf_exempt
@require_POST
def backchannel_logout(request: HttpRequest, slug: str) -> HttpResponse:
    """POST a form with one logout_token."""
    trace = Collector(hop="POST backchannel-logout")
    actor = actor_from(request)
    try:
        ended = hear_logout(slug, _token_in(request), actor=actor, trace=trace)
    except BrokerError as error:
        save_refusal(error, trace=trace, actor=actor)
        return no_store(_refusal(error))
    if ended:
        trace.note("Sessions ended.", sessions=ended)
        save_outcome(trace, application="", connection=slug, actor=actor)
    return no_store(HttpResponse())


def _token_in(request: HttpRequest) -> str:
    tokens = request.POST.getlist("logout_token")
    if len(tokens) != 1:
        raise BrokerError("oauth.invalid_request", detail="logout_token", expected="once", actual=len(tokens))
    return str(tokens[0])


def _refusal(error: BrokerError) -> HttpResponse:
    """What of a refusal is the caller's fault is 400, whatever it would be elsewhere."""
    is_ours = error.status >= 500
    words = {"error": "temporarily_unavailable" if is_ours else "invalid_request"}
    return JsonResponse(words | {"error_description": error.refusal.meaning}, status=503 if is_ours else 400)
