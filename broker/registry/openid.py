"""What the registry needs of an OpenID provider's discovery document, read as settings.METADATA_READERS says."""

from dataclasses import asdict, dataclass
from typing import Any, cast

from django.conf import settings
from django.utils.module_loading import import_string

from broker import limits
from broker.errors import BrokerError
from broker.outgoing import fetch
from broker.registry.models import IdentityProvider
from broker.registry.values import BadValue

WELL_KNOWN = "/.well-known/openid-configuration"
DEFAULT_SCOPES = ("openid", "profile", "email")


class Unreachable(BadValue):
    """The document could not be fetched; what was read before may still hold."""


@dataclass(frozen=True, slots=True)
class Discovery:
    """What we use of a discovery document (OpenID Connect Discovery 3, RFC 8414 section 2, RFC 9207 section 3).

    Addresses are absolute; "" stands for an endpoint that is not offered. `id_token_algorithms` are those that the
    provider may use and we verify. `names_issuer`: its authorization responses carry `iss`.
    """

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str
    end_session_endpoint: str
    id_token_algorithms: tuple[str, ...]
    authentication_methods: tuple[str, ...]
    names_issuer: bool

    def as_column(self) -> dict[str, Any]:
        """As `IdentityProvider.discovery` keeps it."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class DiscoveryReading:
    """A document as it was read, with what is odd about it, a sentence each."""

    discovery: Discovery
    oddities: tuple[str, ...]


def discovery_address(issuer: str) -> str:
    """Where the issuer's document stands (OpenID Connect Discovery 4.1)."""
    return issuer.removesuffix("/") + WELL_KNOWN


def fetch_discovery(issuer: str) -> DiscoveryReading:
    """Fetch and judge the document of `issuer`. Raises BadValue; Unreachable when there was no document to judge."""
    return read_discovery(fetch_document(issuer, purpose="discovery"), issuer=issuer)


def fetch_document(issuer: str, *, purpose: str) -> bytes:
    """The issuer's document as it comes, unread. Raises BadValue, and Unreachable when there is none."""
    url = discovery_address(issuer)
    try:
        answer = fetch(
            url,
            purpose=purpose,
            max_bytes=limits.OUTGOING_JSON_BYTES,
            accept="application/json",
            total_seconds=limits.OIDC_REQUEST_SECONDS,
        )
    except BrokerError as error:
        raise Unreachable(f"{url} cannot be fetched: {error.detail or error.actual}") from error
    if answer.status != 200:
        raise Unreachable(f"{url} answers {answer.status}")
    return answer.body


def read_discovery(raw: bytes, *, issuer: str) -> DiscoveryReading:
    """Judge a document of `issuer`. Raises BadValue with the reader's reason."""
    reader = import_string(settings.METADATA_READERS["openid_provider"])
    return cast(DiscoveryReading, reader(raw, issuer=issuer))


def discovery_of(identity_provider: IdentityProvider) -> Discovery:
    """What is stored of the provider's document. Raises BrokerError("oidc.not_registered") when there is nothing."""
    stored = identity_provider.discovery
    if not stored or not identity_provider.client_id:
        raise BrokerError("oidc.not_registered", detail=identity_provider.slug, expected="a discovery document")
    named: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in stored.items()}
    return Discovery(**named)
