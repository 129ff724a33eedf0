"""What an identity provider publishes of itself, as it is shown before anything is saved."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit

from django.utils import timezone

from broker import limits
from broker.errors import BrokerError
from broker.outgoing import fetch
from broker.registry import metadata
from broker.registry.models import IdentityProvider
from broker.registry.openid import WELL_KNOWN, Discovery, fetch_discovery
from broker.registry.values import BadValue, issuer, web_address
from federation.saml.entity import Certificate
from federation.saml.metadata import read_identity_provider
from federation.saml.names import BINDING_POST, BINDING_REDIRECT

ACCEPT = "application/samlmetadata+xml, application/xml;q=0.9, text/xml;q=0.8"
BINDING_NAMES: Mapping[str, str] = {BINDING_REDIRECT: "sign-on by redirect", BINDING_POST: "sign-on by form"}
SOON_DAYS = 60


@dataclass(frozen=True, slots=True)
class FoundCertificate:
    """A signing certificate and how long it lasts."""

    subject: str
    fingerprint: str
    not_after: datetime
    days_left: int

    @property
    def ends_soon(self) -> bool:
        return self.days_left < SOON_DAYS


@dataclass(frozen=True, slots=True)
class FoundProvider:
    """An identity provider as it describes itself. `metadata` is what will be registered of a SAML one."""

    protocol: IdentityProvider.Protocol
    issuer: str
    organisation: str = ""
    endpoints: Mapping[str, str] = field(default_factory=dict)
    """Address by what it is for."""
    certificates: tuple[FoundCertificate, ...] = ()
    scopes: tuple[str, ...] = ()
    """The domains that it says it speaks for."""
    algorithms: tuple[str, ...] = ()
    """With which it signs ID tokens, as far as we verify them."""
    oddities: tuple[str, ...] = ()
    metadata: str = ""
    metadata_url: str = ""
    discovery: Discovery | None = None

    @property
    def is_saml(self) -> bool:
        return self.protocol == IdentityProvider.Protocol.SAML

    @property
    def host(self) -> str:
        """Where it lives, for suggestions."""
        addresses = (self.issuer, *self.endpoints.values())
        return next((host for one in addresses if (host := urlsplit(one).hostname)), "")


def find_at(address: str) -> FoundProvider:
    """Fetch SAML metadata, or an OpenID discovery document, which is known by the end of its address.

    Raises BrokerError (outgoing.refused, saml.metadata) and BadValue.
    """
    web_address(address)
    if address.endswith(WELL_KNOWN):
        return find_openid(address.removesuffix(WELL_KNOWN))
    answer = fetch(address, purpose="metadata", max_bytes=limits.SAML_METADATA_BYTES, accept=ACCEPT)
    if answer.status != 200:
        raise BrokerError("outgoing.refused", detail=f"{address} answers {answer.status}")
    if answer.body.lstrip()[:1] == b"{":
        raise BadValue(f"the answer is JSON, not SAML metadata; the address of OpenID discovery ends with {WELL_KNOWN}")
    return find_in(metadata.decode(answer.body), metadata_url=address)


def find_openid(named_issuer: str) -> FoundProvider:
    """Fetch the discovery document of an issuer. Raises BadValue."""
    reading = fetch_discovery(issuer(named_issuer))
    found = reading.discovery
    endpoints = {
        "authorization": found.authorization_endpoint,
        "token": found.token_endpoint,
        "keys": found.jwks_uri,
        "userinfo": found.userinfo_endpoint,
    }
    return FoundProvider(
        IdentityProvider.Protocol.OIDC,
        named_issuer,
        endpoints={name: address for name, address in endpoints.items() if address},
        algorithms=found.id_token_algorithms,
        oddities=(*reading.oddities, *_twins(named_issuer)),
        discovery=found,
    )


def find_in(text: str, *, metadata_url: str = "") -> FoundProvider:
    """Read SAML metadata. Raises BrokerError("saml.metadata")."""
    reading = read_identity_provider(text.encode())
    return FoundProvider(
        IdentityProvider.Protocol.SAML,
        reading.entity_id,
        organisation=reading.organisation,
        endpoints={BINDING_NAMES[binding]: address for binding, address in reading.sso_endpoints.items()},
        certificates=tuple(_certificate(one) for one in reading.signing_certificates),
        scopes=reading.scopes,
        oddities=(*reading.oddities, *_twins(reading.entity_id)),
        metadata=text,
        metadata_url=metadata_url,
    )


def _certificate(certificate: Certificate) -> FoundCertificate:
    days_left = (certificate.not_after - timezone.now()).days
    return FoundCertificate(certificate.subject, certificate.fingerprint, certificate.not_after, days_left)


def _twins(issuer: str) -> tuple[str, ...]:
    """A sentence for each identity provider that has this issuer already."""
    held = IdentityProvider.objects.filter(issuer=issuer, retired_at=None).order_by("slug")
    return tuple(f"The identity provider {slug} has the same issuer." for slug in held.values_list("slug", flat=True))
