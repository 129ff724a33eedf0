"""Refusals as OAuth says them: one class per error code of RFC 6749, 6750, 8707, 9449 and OpenID Connect Core.

`error` goes over the wire with a description that is constant per public code. `reason` is a short word for the event:
unknown, expired and revoked are one answer outside and three reasons inside.
"""

from typing import ClassVar
from uuid import UUID

from broker.errors import BrokerError
from broker.throttling import Left


class OAuthError(BrokerError):
    """Base of the refusals below; raise one of those."""

    error: ClassVar[str]
    public_code: ClassVar[str]
    http_status: ClassVar[int] = 400

    def __init__(
        self, reason: str, *, code: str = "", detail: str = "", expected: object = "", actual: object = ""
    ) -> None:
        super().__init__(code or self.public_code, detail=detail, expected=expected, actual=actual)
        self.reason = reason

    @property
    def status(self) -> int:
        """The HTTP status at the token and userinfo endpoints."""
        return self.http_status


class InvalidRequest(OAuthError):
    """A parameter is missing, repeated or malformed (RFC 6749 sections 4.1.2.1 and 5.2)."""

    error, public_code = "invalid_request", "oauth.invalid_request"


class SubjectTokenRefused(InvalidRequest):
    """The subject_token is invalid or unacceptable (RFC 8693 section 2.2.2)."""

    public_code = "oauth.subject_token"


class ActorTokenRefused(InvalidRequest):
    """The actor_token is invalid or unacceptable (RFC 8693 section 2.2.2)."""

    public_code = "oauth.actor_token"


class DelegationRefused(InvalidRequest):
    """The tokens are good, and this client may not act for their subject (RFC 8693 sections 4.1 and 4.4)."""

    public_code = "oauth.delegation"


class InvalidClient(OAuthError):
    """The client did not authenticate (RFC 6749 section 5.2)."""

    error, public_code, http_status = "invalid_client", "oauth.invalid_client", 401


class InvalidGrant(OAuthError):
    """The code or refresh token is unknown, expired, revoked, another client's or used before (RFC 6749 section 5.2).

    `revokes` names the grant that the refusal brings down, when it proves that a value is in two hands.
    """

    error, public_code = "invalid_grant", "oauth.invalid_grant"

    def __init__(self, reason: str, *, revokes: UUID | None = None, detail: str = "", actual: object = "") -> None:
        super().__init__(reason, detail=detail, actual=actual)
        self.revokes = revokes


class UnauthorizedClient(OAuthError):
    """The client may not use this grant (RFC 6749 section 5.2)."""

    error, public_code = "unauthorized_client", "oauth.unauthorized_client"


class UnsupportedGrantType(OAuthError):
    """This grant is not offered (RFC 6749 section 5.2)."""

    error, public_code = "unsupported_grant_type", "oauth.unsupported_grant_type"


class UnsupportedResponseType(OAuthError):
    """Another flow than the code flow was asked for (RFC 6749 section 4.1.2.1)."""

    error, public_code = "unsupported_response_type", "oauth.unsupported_response_type"


class InvalidScope(OAuthError):
    """A scope is unknown, or wider than what was granted (RFC 6749 section 5.2)."""

    error, public_code = "invalid_scope", "oauth.invalid_scope"


class InvalidTarget(OAuthError):
    """The resource is not one for which tokens are issued (RFC 8707 section 2)."""

    error, public_code = "invalid_target", "oauth.invalid_target"


class LoginRequired(OAuthError):
    """The person would have to see a page, or is another than the application expects (OpenID Connect Core 3.1.2.6)."""

    error, public_code = "login_required", "oauth.login_required"


class RequestNotSupported(OAuthError):
    """A request object was sent by value (OpenID Connect Core 3.1.2.6)."""

    error, public_code = "request_not_supported", "oauth.request_object"


class RequestUriNotSupported(OAuthError):
    """A request object was sent by reference; it is never fetched (OpenID Connect Core 3.1.2.6)."""

    error, public_code = "request_uri_not_supported", "oauth.request_object"


class RegistrationNotSupported(OAuthError):
    """A client tried to register itself within the request (OpenID Connect Core 3.1.2.6)."""

    error, public_code = "registration_not_supported", "oauth.invalid_request"


class InvalidToken(OAuthError):
    """The access token is unknown, expired, revoked or no longer stood for (RFC 6750 section 3.1)."""

    error, public_code, http_status = "invalid_token", "oauth.invalid_token", 401


class InsufficientScope(OAuthError):
    """The access token is good and does not reach this far (RFC 6750 section 3.1)."""

    error, public_code, http_status = "insufficient_scope", "oauth.insufficient_scope", 403


class InvalidProof(OAuthError):
    """The DPoP proof is missing, malformed, another's or used (RFC 9449 sections 5 and 7.1)."""

    error, public_code = "invalid_dpop_proof", "oauth.dpop_proof"


class UseNonce(OAuthError):
    """The DPoP proof needs a nonce of ours, which the answer brings (RFC 9449 section 8)."""

    error, public_code = "use_dpop_nonce", "oauth.dpop_nonce"


class TooManyRequests(OAuthError):
    """The client has spent its budget of requests; `left` says for how long (RFC 6585 section 4)."""

    error, public_code, http_status = "temporarily_unavailable", "request.too_many", 429

    def __init__(self, left: Left) -> None:
        expected = f"at most {left.budget.permits} in {left.budget.seconds} s"
        super().__init__("too_many", expected=expected, actual="more")
        self.left = left


class TemporarilyUnavailable(OAuthError):
    """What decides is away, so nothing is issued (RFC 6749 section 4.1.2.1; 503 with Retry-After)."""

    error, public_code, http_status = "temporarily_unavailable", "oauth.server_error", 503
