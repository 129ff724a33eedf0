"""Reading an OpenID provider's discovery document: what we will rely on is judged here, once, before it is stored."""

from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from broker.keys.jose import FITS
from broker.keys.strict_json import NotStrictJson, read_object
from broker.outgoing import LOOPBACK, Address, is_allowed
from broker.registry.openid import Discovery, DiscoveryReading
from broker.registry.values import BadValue, web_address

REQUIRED = ("authorization_endpoint", "token_endpoint", "jwks_uri")
OPTIONAL = ("userinfo_endpoint", "end_session_endpoint")


def read_discovery(raw: bytes, *, issuer: str) -> DiscoveryReading:
    """Judge the document of `issuer` (OpenID Connect Discovery 3 and 4.3). Raises BadValue."""
    try:
        document = read_object(raw)
    except NotStrictJson as error:
        raise BadValue(f"the discovery document is {error}") from error
    if document.get("issuer") != issuer:
        raise BadValue(f"the discovery document is of the issuer {document.get('issuer')!r:.300}, not of {issuer!r}")
    if "code" not in _texts(document, "response_types_supported", default=["code"]):
        raise BadValue("the provider does not offer the authorization code flow")
    if "query" not in _texts(document, "response_modes_supported", default=["query"]):
        raise BadValue("the provider does not answer by a redirect with a query")
    announced = _texts(document, "id_token_signing_alg_values_supported", default=["RS256"])
    algorithms = tuple(algorithm for algorithm in FITS if algorithm in announced)
    if not algorithms:
        raise BadValue(f"the provider signs with {', '.join(announced)}; we verify {' and '.join(FITS)}")
    methods = _texts(document, "token_endpoint_auth_methods_supported", default=["client_secret_basic"])
    discovery = Discovery(
        **{name: _address(document, name) for name in (*REQUIRED, *OPTIONAL)},
        id_token_algorithms=algorithms,
        authentication_methods=tuple(methods),
        names_issuer=document.get("authorization_response_iss_parameter_supported") is True,
    )
    return DiscoveryReading(discovery, _oddities(document))


def _address(document: Mapping[str, Any], name: str) -> str:
    """The endpoint `name`: https, or this machine where the operators allow it."""
    value = document.get(name)
    if value is None and name in OPTIONAL:
        return ""
    if not isinstance(value, str):
        raise BadValue(f"the discovery document names no {name}")
    try:
        web_address(value)
    except BadValue as error:
        raise BadValue(f"{name}: {error}") from error
    if "#" in value:
        raise BadValue(f"{name}: {value!r} has a fragment")
    if value.startswith("http:") and not any(is_allowed(address) for address in _addresses(value)):
        raise BadValue(f"{name}: {value!r} must begin with https:// (its address is not in an allowed network)")
    return value


def _addresses(url: str) -> Sequence[Address]:
    """Where a host of this machine is: at its own address, or under its name at any of the usual ones."""
    try:
        return [ip_address(urlsplit(url).hostname or "")]
    except ValueError:
        return LOOPBACK


def _texts(document: Mapping[str, Any], name: str, *, default: list[str]) -> list[str]:
    value = document.get(name, default)
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise BadValue(f"{name} of the discovery document is no list of texts")
    return value


def _oddities(document: Mapping[str, Any]) -> tuple[str, ...]:
    found = []
    if "S256" not in _texts(document, "code_challenge_methods_supported", default=[]):
        found.append("it does not say that it checks PKCE (code_challenge_methods_supported); we send it all the same")
    if "openid" not in _texts(document, "scopes_supported", default=["openid"]):
        found.append("openid is not among its scopes_supported")
    if "userinfo_endpoint" not in document:
        found.append("it has no userinfo endpoint: what the ID token does not say stays unknown")
    return tuple(found)
