"""What the registered means of a client's authentication may look like: keys, certificates, names, workloads.

Each function returns the value in its one form, or raises BadValue.
"""

import base64
import hashlib
import ipaddress
import re
from collections.abc import Mapping
from datetime import date
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from django.conf import settings

from broker import limits
from broker.client_certificate import ClientCertificate, open_certificate
from broker.errors import BrokerError
from broker.registry import values
from broker.registry.values import BadValue

TLS_NAMES = ("subject_dn", "san_dns", "san_uri", "san_ip", "san_email")
WORKLOAD_REQUIRED = ("issuer", "subject", "jwks_url")
WORKLOAD_KEYS = ("issuer", "subject", "audience", "jwks_url", "is_discovered", "long_lived_until")
SUBJECT_CHARS = 1_024
_DNS_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*")
_SPACED_COMMA = re.compile(r"(?<!\\), +")
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----")


def tls_identity(identity: Mapping[str, Any]) -> dict[str, str]:
    """The one name by which a client's certificate is known (RFC 8705 section 2.1.2)."""
    if len(identity) != 1 or not set(identity) <= set(TLS_NAMES):
        raise BadValue(f"a certificate is known by exactly one of {', '.join(TLS_NAMES)}")
    [(kind, text)] = identity.items()
    if not isinstance(text, str) or not text:
        raise BadValue(f"{kind} is a text")
    return {kind: _TLS_CHECKS[kind](text)}


def distinguished_name(text: str) -> str:
    """A subject's distinguished name in the one spelling of RFC 4514 that we compare by: most specific part first."""
    try:
        # People and tools put a space after each comma, which RFC 4514 has no longer.
        name = x509.Name.from_rfc4514_string(_SPACED_COMMA.sub(",", text))
    except ValueError as error:
        hint = "CN=nightly,O=Acme,C=NO, most specific part first, unusual attributes by their OID"
        raise BadValue(f"{text!r} is no distinguished name (RFC 4514): {hint}") from error
    if not list(name):
        raise BadValue("the distinguished name is empty")
    return name.rfc4514_string()


def certificate(raw: bytes) -> dict[str, str]:
    """One certificate, in PEM or DER, as `Client.certificates` keeps it."""
    der = raw
    if b"-----BEGIN" in raw:
        text = raw.decode("ascii", "replace")
        if "PRIVATE KEY" in text:
            raise BadValue("holds a private key: register the certificate only, and replace this key")
        if len(_PEM.findall(text)) != 1:
            raise BadValue("does not hold exactly one certificate")
        try:
            der = x509.load_pem_x509_certificate(raw).public_bytes(Encoding.DER)
        except ValueError as error:
            raise BadValue("is no certificate in PEM") from error
    opened = _open(der)
    return {
        "certificate": base64.b64encode(der).decode(),
        "fingerprint": hashlib.sha256(der).hexdigest(),
        "thumbprint": opened.thumbprint,
        "subject": opened.subject.rfc4514_string(),
        "not_after": opened.ends_at.isoformat(),
    }


def certificates(listed: list[dict[str, str]]) -> list[dict[str, str]]:
    """Certificates as `certificate` gave them, each once."""
    if len(listed) > limits.CLIENT_CERTIFICATES:
        raise BadValue(f"a client has at most {limits.CLIENT_CERTIFICATES} certificates")
    again = [certificate(base64.b64decode(one["certificate"])) for one in listed]
    return list({one["thumbprint"]: one for one in again}.values())


def chained_certificates(jwks: Mapping[str, Any]) -> list[ClientCertificate]:
    """The certificates in the `x5c` of a client's keys, the first of each (RFC 7517 section 4.7)."""
    found = []
    for number, key in enumerate(jwks.get("keys", ())):
        chain = key.get("x5c")
        if chain is None:
            continue
        try:
            found.append(_open(base64.b64decode(chain[0], validate=True)))
        except (TypeError, ValueError, IndexError, KeyError) as error:
            raise BadValue(f"the x5c of key {number} does not begin with a certificate") from error
    return found


def assertion_keys(jwks: Mapping[str, Any]) -> None:
    """Raises BadValue unless an assertion can name each key that signs it: RSA or P-256, with a kid of its own."""
    keys = jwks.get("keys", [])
    if len(keys) > limits.CLIENT_KEYS:
        raise BadValue(f"a client has at most {limits.CLIENT_KEYS} keys")
    signing = [key for key in keys if key.get("use", "sig") == "sig"]
    kids = [key.get("kid") for key in signing]
    if not signing:
        raise BadValue("no key of the set is for signatures")
    if not all(isinstance(kid, str) and 0 < len(kid) <= values.NAME_CHARS for kid in kids):
        raise BadValue("each key for signatures needs a kid, by which an assertion names it")
    if len(set(kids)) != len(kids):
        raise BadValue("two keys have one kid")
    for key in signing:
        usable = key.get("kty") == "RSA" or (key.get("kty") == "EC" and key.get("crv") == "P-256")
        if not usable or key.get("alg", "RS256" if key["kty"] == "RSA" else "ES256") not in ("RS256", "ES256"):
            raise BadValue(f"key {key['kid']!r} signs with neither RS256 nor ES256")


def workload(described: Mapping[str, Any]) -> dict[str, Any]:
    """Which token of which platform stands for a client. `audience` "" is our own issuer."""
    unknown = sorted(set(described) - set(WORKLOAD_KEYS))
    missing = [key for key in WORKLOAD_REQUIRED if not described.get(key)]
    if unknown or missing:
        wrong = f"{', '.join(missing)} is missing" if missing else f"it has no {', '.join(unknown)}"
        raise BadValue(f"a workload names issuer, subject and where the issuer's keys are; {wrong}")
    issuer = workload_issuer(described["issuer"])
    values.web_address(described["jwks_url"])
    return {
        "issuer": issuer,
        "subject": workload_subject(described["subject"]),
        "audience": workload_audience(described.get("audience", "")),
        "jwks_url": described["jwks_url"],
        "is_discovered": bool(described.get("is_discovered", False)),
        "long_lived_until": _day(described.get("long_lived_until", "")),
    }


def workload_issuer(text: str) -> str:
    """The issuer of a platform's tokens. Never ourselves: a token of ours would stand for its own client."""
    if values.issuer(text).rstrip("/") == settings.BROKER_BASE_URL.rstrip("/"):
        raise BadValue("the issuer of a workload is another one than ourselves")
    return text


def workload_subject(text: str) -> str:
    """The `sub` of a platform's token, compared character by character."""
    if not text or len(text) > SUBJECT_CHARS or not text.isprintable():
        raise BadValue(f"the subject of a workload has 1 to {SUBJECT_CHARS} printable characters")
    if "*" in text:
        raise BadValue(f"{text!r} has a wildcard; the subject is compared character by character")
    return text


def workload_audience(text: str) -> str:
    """The `aud` of a platform's token; "" for our own issuer."""
    if len(text) > SUBJECT_CHARS or not text.isprintable():
        raise BadValue(f"the audience of a workload has at most {SUBJECT_CHARS} printable characters")
    return "" if text == settings.BROKER_BASE_URL else text


def _open(der: bytes) -> ClientCertificate:
    try:
        return open_certificate(der, chain_verified=False)
    except BrokerError as error:
        raise BadValue(f"is no certificate: expected {error.expected}, not {error.actual}") from error


def _dns_name(text: str) -> str:
    name = text.lower()
    if not _DNS_NAME.fullmatch(name):
        raise BadValue(f"{text!r} is no DNS name as it stands in a certificate; wildcards are not compared")
    return name


def _uri(text: str) -> str:
    parts = urlsplit(text)
    if not parts.scheme or not text.isascii() or not text.isprintable() or " " in text or len(text) > SUBJECT_CHARS:
        raise BadValue(f"{text!r} is no absolute URI")
    return text


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError as error:
        raise BadValue(f"{text!r} is no IP address") from error


def _day(value: object) -> str:
    """A date as JSON keeps it; "" for none."""
    if not value:
        return ""
    try:
        return value.isoformat() if isinstance(value, date) else date.fromisoformat(str(value)).isoformat()
    except ValueError as error:
        raise BadValue(f"{value!r} is no date (YYYY-MM-DD)") from error


_TLS_CHECKS = {
    "subject_dn": distinguished_name,
    "san_dns": _dns_name,
    "san_uri": _uri,
    "san_ip": _address,
    "san_email": values.email,
}
