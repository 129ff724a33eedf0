"""What an answer must say, told by the stored login request and the registered identity provider alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import Enum

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from broker import limits


@dataclass(frozen=True, slots=True)
class SubjectRule:
    """Where an identity provider's subject stands: in the NameID, or in a named attribute.

    A `companion` is a second attribute without which the first is not unique: Entra's tenantid beside
    objectidentifier. Then the subject is `companion/attribute`.
    """

    attribute: str | None = None
    companion: str | None = None

    def __post_init__(self) -> None:
        if self.companion and not self.attribute:
            raise ValueError("a companion needs an attribute beside which it stands")


class NoRequest(Enum):
    """The explicit word for an answer without a request: InResponseTo must then stand nowhere in it."""

    UNSOLICITED = "unsolicited"


@dataclass(frozen=True, slots=True)
class ResponseExpectation:
    """Everything that an answer is compared with. Nothing in it comes from the message."""

    issuer: str
    verification_certificates: Sequence[bytes]
    """DER; the only source of keys for signatures."""
    audience: str
    """Our entityID towards this identity provider."""
    acs_url: str
    request_id: str | NoRequest
    """The ID of the AuthnRequest, or the word that there was none. Nothing stands for it by default."""
    now: datetime
    decryption_keys: Sequence[RSAPrivateKey]
    subject: SubjectRule
    skew: timedelta = limits.SAML_SKEW
    sha1_accepted_until: date | None = None
    """A dated exception for signatures and digests with SHA-1; the day itself is included (UTC)."""
    authenticated_after: datetime | None = None
    """Set where ForceAuthn, max_age or a step-up asked for a fresh authentication."""
    contexts: Sequence[str] = ()
    """The authentication contexts that are good enough; none: any is."""

    def __post_init__(self) -> None:
        for name in ("issuer", "audience", "acs_url", "request_id"):
            if not getattr(self, name):
                raise ValueError(f"an expectation without {name} would expect nothing")
        if not timedelta(0) <= self.skew <= limits.SAML_SKEW_MAX:
            raise ValueError(f"a skew of {self.skew} is outside 0 to {limits.SAML_SKEW_MAX}")
        if self.now.utcoffset() is None:
            raise ValueError("now needs a time zone")

    @property
    def in_response_to(self) -> str | None:
        """What InResponseTo must say; None: it must not stand there."""
        return None if isinstance(self.request_id, NoRequest) else self.request_id

    @property
    def sha1_accepted(self) -> bool:
        return self.sha1_accepted_until is not None and self.now.astimezone(UTC).date() <= self.sha1_accepted_until
