"""The one place where refusals of this room become JSON (RFC 6749 section 5.2, RFC 6750 section 3)."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps

import structlog
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone

from broker.errors import BrokerError
from broker.http import adopt_trace_id, no_store, refusal_json, trace_id_of
from broker.keys.proofs import ALGORITHM_OF_KIND
from broker.throttling import Budget
from broker.tokens.attempts import Attempt
from broker.tokens.dpop import NONCE_HEADER, fresh_nonce, read_proof
from broker.tokens.errors import InvalidProof, OAuthError, TemporarilyUnavailable, TooManyRequests, UseNonce
from broker.tokens.protected_resources import metadata_address

log = structlog.get_logger(__name__)
REALM = "countersign"
RETRY_AFTER_SECONDS = 5
AttemptView = Callable[[HttpRequest, Attempt], HttpResponse]


@dataclass(frozen=True, slots=True)
class answered:  # noqa: N801 - a decorator
    """Gives a view its Attempt, turns what it raises into JSON, and forbids every cache to keep the answer.

    A database that is away is a 503 that says when to try again: nothing was issued.
    """

    hop: str
    methods: tuple[str, ...]
    challenge: str
    """The scheme of WWW-Authenticate: Basic for clients, Bearer for tokens."""
    budget: Budget | None = None
    """What each client may spend at this endpoint."""
    resource: str = ""
    """The path of the protected resource that this is, as settings.PROTECTED_RESOURCES names it."""

    def __call__(self, view: AttemptView) -> Callable[[HttpRequest], HttpResponse]:
        @wraps(view)
        def run(request: HttpRequest) -> HttpResponse:
            if request.method not in self.methods:
                return self._method_not_allowed(request)
            attempt = Attempt.of(request, self.hop, self.budget)
            try:
                response = self._run(view, request, attempt)
            except DatabaseError as error:
                log.exception("database", error=type(error).__name__)
                response = self.refusal(TemporarilyUnavailable("database"), attempt)
            for name, value in attempt.left.headers().items() if attempt.left else ():
                response[name] = value
            if read_proof(request):
                # Whoever shows proofs always holds the next nonce (RFC 9449 section 8.2).
                response[NONCE_HEADER] = fresh_nonce(now=timezone.now())
            adopt_trace_id(request, attempt.trace_id)
            return no_store(response)

        return run

    def _run(self, view: AttemptView, request: HttpRequest, attempt: Attempt) -> HttpResponse:
        try:
            return view(request, attempt)
        except OAuthError as error:
            attempt.save_refusal(error)
            return self.refusal(error, attempt)
        except BrokerError as error:
            # What is not OAuth's is the house's: a key that does not open, for instance.
            log.exception("token service", code=error.code)
            unavailable = TemporarilyUnavailable(error.code, detail=error.detail)
            attempt.save_refusal(unavailable)
            return self.refusal(unavailable, attempt)

    def refusal(self, error: OAuthError, attempt: Attempt) -> HttpResponse:
        """The same members for every refusal; the description is constant per public code."""
        body = {
            "error": error.error,
            "error_description": error.refusal.meaning,
            "code": error.code,
            "trace_id": attempt.trace_id,
        }
        status = self._status(error)
        response = JsonResponse(body, status=status)
        if status == 503:
            response["Retry-After"] = str(RETRY_AFTER_SECONDS)
        if status == 401 or (self.challenge == "Bearer" and status == 403):
            response["WWW-Authenticate"] = self._challenge(error)
        if isinstance(error, TooManyRequests):
            response["Retry-After"] = str(error.left.resets_in)
        if isinstance(error, UseNonce):
            response[NONCE_HEADER] = fresh_nonce(now=timezone.now())
        return response

    def _status(self, error: OAuthError) -> int:
        """A proof that does not hold is a bad request to the token endpoint, and no access to a resource."""
        is_proof = isinstance(error, InvalidProof | UseNonce)
        return 401 if is_proof and self.challenge == "Bearer" else error.status

    def _challenge(self, error: OAuthError) -> str:
        """RFC 6749 section 5.2, and RFC 6750 section 3: who sent no token at all is told no error.

        Of a refusal with a challenge some clients' libraries show the challenge alone, so it names the error.
        """
        is_proof = isinstance(error, InvalidProof | UseNonce)
        scheme = "DPoP" if is_proof else self.challenge
        parts = [f'{scheme} realm="{REALM}"']
        if is_proof:
            parts.append(f'algs="{" ".join(sorted(ALGORITHM_OF_KIND.values()))}"')
        if self.challenge == "Basic" or error.reason != "absent" or is_proof:
            parts += [f'error="{error.error}"', f'error_description="{error.refusal.meaning}"']
        if error.status == 403:
            parts.append('scope="openid"')
        if self.resource:
            parts.append(f'resource_metadata="{metadata_address(self.resource)}"')
        return ", ".join(parts)

    def _method_not_allowed(self, request: HttpRequest) -> HttpResponse:
        response = refusal_json(BrokerError("request.method"), trace_id=trace_id_of(request))
        response["Allow"] = ", ".join(self.methods)
        return response
