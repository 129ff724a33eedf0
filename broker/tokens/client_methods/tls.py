"""tls_client_auth and self_signed_tls_client_auth: the certificate of the connection is the proof (RFC 8705 section 2).

A certificate that merely comes with a request proves nothing here: only a client that is registered for it is looked
at, and only when it presents no other proof.
"""

import ipaddress
from collections.abc import Callable, Mapping
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from broker.client_certificate import ClientCertificate, thumbprint_of
from broker.registry.cache import parties
from broker.registry.credential_names import tls_name
from broker.registry.credential_values import chained_certificates
from broker.registry.models import Client, CredentialKind
from broker.tokens.attempts import Attempt
from broker.tokens.client_methods.private_key import registered_keys
from broker.tokens.credentials import Presented, VerifiedCredential
from broker.tokens.errors import InvalidClient
from broker.tokens.requests import ClientRequest

BY_AUTHORITY = Client.Authentication.TLS_CLIENT_AUTH
BY_ITSELF = Client.Authentication.SELF_SIGNED_TLS_CLIENT_AUTH


def read_connection(request: ClientRequest) -> Presented | None:
    """A bare `client_id`, which RFC 8705 section 2 demands beside the certificate."""
    client_id = request.parameters.get("client_id", "")
    return Presented((BY_AUTHORITY, BY_ITSELF), client_id, certificate=request.certificate) if client_id else None


def verify_name(presented: Presented, client: Client | None, *, attempt: Attempt, now: datetime) -> VerifiedCredential:  # noqa: ARG001 - all methods share one signature
    """tls_client_auth: an authority vouches for the one name by which the client is known. Raises InvalidClient."""
    if client is None or not client.tls:
        raise InvalidClient("name", expected="a client with a name for its certificates", actual="none")
    certificate = _certificate(presented)
    check_chain(certificate)
    check_name(certificate, client)
    return VerifiedCredential(BY_AUTHORITY, CredentialKind.CERTIFICATE, tls_name(client), certificate)


def verify_own(presented: Presented, client: Client | None, *, attempt: Attempt, now: datetime) -> VerifiedCredential:  # noqa: ARG001 - all methods share one signature
    """self_signed_tls_client_auth: the certificate, or its key, is a registered one. Raises InvalidClient."""
    if client is None:
        raise InvalidClient("unknown_client")
    certificate = _certificate(presented)
    check_registered(certificate, client)
    return VerifiedCredential(BY_ITSELF, CredentialKind.CERTIFICATE, certificate.thumbprint, certificate)


def check_chain(certificate: ClientCertificate) -> None:
    """Whoever ended TLS says that it verified the chain: a name that nobody vouches for is anybody's."""
    if not certificate.chain_verified:
        raise InvalidClient("chain", expected="a chain that the TLS layer verified", actual="not verified")


def check_name(certificate: ClientCertificate, client: Client) -> None:
    """The certificate bears the registered name, of the registered kind (RFC 8705 section 2.1.2)."""
    [(kind, name)] = client.tls.items()
    if not NAMES[kind](certificate, name):
        raise InvalidClient("name", expected=f"{kind} {name}", actual=_described(certificate))


def check_registered(certificate: ClientCertificate, client: Client) -> None:
    """The certificate is registered as it is, or by a key without a certificate (RFC 8705 section 2.2)."""
    registered = parties.get(("client_certificates", client.client_id), lambda: _registered(client))
    if not {certificate.thumbprint, certificate.key_thumbprint} & registered:
        raise InvalidClient("certificate", expected="a registered certificate", actual=certificate.thumbprint)


def _has_subject(certificate: ClientCertificate, name: str) -> bool:
    """Compared part by part, in order: two spellings of one name are equal, a look-alike is not."""
    return certificate.subject == x509.Name.from_rfc4514_string(name)


NAMES: Mapping[str, Callable[[ClientCertificate, str], bool]] = {
    "subject_dn": _has_subject,
    "san_dns": lambda certificate, name: name in certificate.dns_names,
    "san_uri": lambda certificate, name: name in certificate.uris,
    "san_ip": lambda certificate, name: ipaddress.ip_address(name) in certificate.addresses,
    "san_email": lambda certificate, name: name in certificate.emails,
}
"""How each kind of name is found in a certificate."""


def _certificate(presented: Presented) -> ClientCertificate:
    if presented.certificate is None:
        raise InvalidClient("no_certificate", expected="a client certificate", actual="none that we can believe")
    return presented.certificate


def _registered(client: Client) -> frozenset[str]:
    """SHA-256 of each registered certificate; and of the key, where a key is registered without a certificate."""
    bare = {"keys": [key for key in client.jwks.get("keys", ()) if "x5c" not in key]}
    return frozenset(
        {one["thumbprint"] for one in client.certificates}
        | {one.thumbprint for one in chained_certificates(client.jwks)}
        | {
            thumbprint_of(key.public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
            for key in registered_keys(bare)
        }
    )


def _described(certificate: ClientCertificate) -> str:
    """The names that the certificate bears, for the trace."""
    names = [certificate.subject.rfc4514_string(), *certificate.dns_names, *certificate.uris, *certificate.emails]
    return "; ".join([*names, *(str(address) for address in certificate.addresses)])[:500]
