"""How a client authenticates, as a file says it: secrets, keys, certificates, workloads, and dated exceptions."""

import base64
from collections.abc import Mapping
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from broker import limits
from broker.registry import credential_values, values
from broker.registry.config.sources import read_file, read_key_set, read_secret
from broker.registry.config.table import Table
from broker.registry.credential_values import TLS_NAMES
from broker.registry.models import Client
from broker.registry.openid import Unreachable
from broker.registry.registering.clients import check_means, has_secret_authentication
from broker.registry.values import BadValue
from broker.registry.workloads import discover_keys

MEANS = ("authentication", "jwks", "jwks_url", "workload", "tls", "certificates", "token_endpoint_audience_until")
"""The columns of a client that `read_means` fills."""
BOUND = ("dpop_bound_access_tokens", "tls_client_certificate_bound_access_tokens")
"""The columns that say to which key its tokens have to be bound, by their names in RFC 9449 and RFC 8705."""


def read_means(table: Table, key: str) -> dict[str, Any]:
    """The keys of MEANS and `client_secret`; None for what the file does not name. `key`: the client_id."""
    return {
        "authentication": table.choice("authentication", Client.Authentication),
        "client_secret": read_secret(table),
        **read_key_set(table),
        "workload": _read_workload(table, key),
        "tls": _read_tls(table),
        "certificates": _read_certificates(table),
        "token_endpoint_audience_until": table.day("token_endpoint_audience_until"),
    }


def read_bound(table: Table) -> dict[str, bool | None]:
    """The keys of BOUND; None for what the file does not name."""
    return {name: table.flag(name) for name in BOUND}


def means_faults(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What is wrong with how a client that ends up with `values` authenticates."""
    client = Client(**{name: values[name] for name in MEANS if name in values})
    if "client_secret" in values and not has_secret_authentication(client):
        # A secret that nothing asks for would look like protection.
        return [("authentication", f"{client.authentication} uses no secret, and one is given")]
    try:
        check_means(client)
    except BadValue as error:
        return [("authentication", str(error))]
    return []


def exported_means(values: Mapping[str, Any]) -> dict[str, Any]:
    """The columns as an export writes them: what was found out by ourselves is left to be found out again."""
    found = dict(values)
    if workload := found.get("workload"):
        left_out = {"is_discovered"} | ({"jwks_url"} if workload.get("is_discovered") else set())
        found["workload"] = {name: value for name, value in workload.items() if value and name not in left_out}
    if listed := found.get("certificates"):
        found["certificates"] = [_pem(one["certificate"]) for one in listed]
    return found


def _read_workload(table: Table, key: str) -> dict[str, Any] | None:
    inner = table.table("workload")
    if inner is None:
        return None
    inner.require("issuer", "subject")
    issuer = inner.text("issuer", credential_values.workload_issuer)
    subject = inner.text("subject", credential_values.workload_subject)
    audience = inner.text("audience", credential_values.workload_audience)
    jwks_url = inner.text("jwks_url", values.web_address)
    until = inner.day("long_lived_until")
    inner.close()
    if issuer is None or subject is None:
        return None
    is_discovered = "jwks_url" not in inner
    address = _discover(inner, key, issuer) if is_discovered else jwks_url
    if address is None:
        return None
    return {
        "issuer": issuer,
        "subject": subject,
        "audience": audience or "",
        "jwks_url": address,
        "is_discovered": is_discovered,
        "long_lived_until": until.isoformat() if until else "",
    }


def _discover(inner: Table, key: str, issuer: str) -> str | None:
    """The address of the issuer's keys. One that is registered already stays when the issuer does not answer."""
    try:
        return discover_keys(issuer)
    except Unreachable as error:
        held = Client.objects.filter(client_id=key, retired_at=None, workload__issuer=issuer).first()
        if held is not None:
            inner.reading.notes.append(f"{inner.path}: {error}; the address of its keys that is registered stays")
            return str(held.workload["jwks_url"])
        inner.problem("issuer", str(error))
    except BadValue as error:
        inner.problem("issuer", str(error))
    return None


def _read_tls(table: Table) -> dict[str, str] | None:
    inner = table.table("tls")
    if inner is None:
        return None
    named = {name: inner.text(name, max_chars=credential_values.SUBJECT_CHARS) for name in TLS_NAMES}
    inner.close()
    try:
        return credential_values.tls_identity({name: text for name, text in named.items() if text is not None})
    except BadValue as error:
        inner.problem(next((name for name, text in named.items() if text is not None), ""), str(error))
    return None


def _read_certificates(table: Table) -> list[dict[str, str]] | None:
    """`certificate_file`, or `certificates`: texts in PEM, as an export writes them."""
    from_file = read_file(table, "certificate_file", max_bytes=2 * limits.CLIENT_CERTIFICATE_BYTES)
    inline = table.plain("certificates")
    name = "certificate_file" if "certificate_file" in table else "certificates"
    if from_file is not None and inline is not None:
        table.problem("certificates", "the certificate is already given by certificate_file")
        return None
    if from_file is None and inline is None:
        return None
    listed = [from_file] if from_file is not None else inline
    if not isinstance(listed, list) or not all(isinstance(one, bytes | str) for one in listed):
        table.problem(name, "wants a list of certificates in PEM")
        return None
    try:
        raw = [one if isinstance(one, bytes) else one.encode() for one in listed]
        return credential_values.certificates([credential_values.certificate(one) for one in raw])
    except BadValue as error:
        table.problem(name, str(error))
    return None


def _pem(certificate: str) -> str:
    opened = x509.load_der_x509_certificate(base64.b64decode(certificate))
    return opened.public_bytes(Encoding.PEM).decode()
