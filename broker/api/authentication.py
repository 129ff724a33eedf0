"""Who calls: a client with an access token of ours for this API, in its own name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.conf import settings
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import MethodNotAllowed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from broker import limits
from broker.actors import Actor
from broker.registry.models import Client
from broker.throttling import Budget
from broker.tokens.attempts import Attempt
from broker.tokens.bearer import read_header_token
from broker.tokens.errors import InsufficientScope, InvalidToken
from broker.tokens.liveness import LiveToken, read_live_token
from broker.tokens.possession import check_possession

if TYPE_CHECKING:
    # It reads its settings, which name this module, as it is imported.
    from rest_framework.views import APIView

PATH = "api/v1"
ATTEMPT = "countersign.api_attempt"
BUDGET = Budget("api", limits.API_REQUESTS)


def audience() -> str:
    """The resource for which a token for this API is issued (RFC 8707)."""
    return f"{settings.BROKER_BASE_URL}/{PATH}"


@dataclass(frozen=True, slots=True)
class Caller:
    """The client that calls, as DRF's `request.user`."""

    client: Client
    actor: Actor
    scopes: tuple[str, ...]
    is_authenticated: bool = True


class TokenAuthentication(BaseAuthentication):
    """Bearer or DPoP. There is no other way in: a console session counts for nothing here."""

    def authenticate(self, request: Request) -> tuple[Caller, LiveToken]:
        """Raises InvalidToken, InvalidProof, UseNonce, InvalidRequest, TooManyRequests."""
        attempt = Attempt.of(request._request, "management API", BUDGET)
        request._request.META[ATTEMPT] = attempt
        now = timezone.now()
        presented = read_header_token(request._request)
        live = read_live_token(presented.raw, now=now, trace=attempt.trace, audience=audience())
        attempt.concerns(live.client)
        check_possession(presented, live.claims, now=now, trace=attempt.trace)
        if not isinstance(live.subject, Client) or live.actors:
            raise InvalidToken("subject", expected="a token of the client itself", actual="of somebody else")
        attempt.acts_for(live.client)
        return Caller(live.client, attempt.actor, live.scopes), live

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002 - DRF's signature
        """Makes DRF answer 401 rather than 403; the header itself is written with the problem."""
        return "Bearer"


def attempt_of(request: Request) -> Attempt | None:
    """The attempt of this request, once authentication began."""
    found = request._request.META.get(ATTEMPT)
    return found if isinstance(found, Attempt) else None


def caller_of(request: Request) -> Caller:
    """The client that calls. Raises InvalidToken for a request that was not authenticated here."""
    # Django's types know the console's operators alone.
    caller: object = request.user
    if not isinstance(caller, Caller):
        raise InvalidToken("absent", expected="an access token", actual="none")
    return caller


def check_scope(request: Request, needed: str) -> None:
    """The token reaches this scope. Raises InsufficientScope."""
    held = caller_of(request).scopes
    if needed not in held:
        raise InsufficientScope("scope", code="api.insufficient_scope", expected=needed, actual=" ".join(held))


class RequiresScope(BasePermission):
    """The token reaches the scope that the view names for the method. A view that names none takes no method."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Raises InsufficientScope, MethodNotAllowed."""
        method = "GET" if request.method == "HEAD" else request.method or ""
        needed = getattr(view, "scopes", {}).get(method, "")
        if not needed:
            raise MethodNotAllowed(method)
        check_scope(request, needed)
        return True
