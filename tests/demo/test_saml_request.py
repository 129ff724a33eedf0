"""The demonstration's identity provider believes a request only after every check."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest

from demo.saml_metadata import ServiceProvider, read_service_provider
from demo.saml_request import AuthnRequest, RequestRefused, read_authn_request
from federation.saml.messages import build_authn_request, redirect_url
from federation.saml.publication import write_service_provider
from tests.fakes.saml_keys import key_pair

NOW = datetime(2026, 5, 4, 9, 30, tzinfo=UTC)
SSO = "http://localhost:8001/sso"
BROKER = "http://localhost:8000/saml/sp/acme-idp"


def signer(name: str) -> SimpleNamespace:
    pair = key_pair(name)
    return SimpleNamespace(private_key=pair.rsa, certificate=pair.der)


def broker() -> ServiceProvider:
    """The broker as its own metadata describes it."""
    xml = write_service_provider(
        entity_id=f"{BROKER}/metadata",
        acs_url=f"{BROKER}/acs",
        signing_certificates=(key_pair("demo sp").der,),
        encryption_certificates=(key_pair("demo sp encryption").der,),
        signs_requests=True,
        signer=signer("demo sp"),
    )
    return read_service_provider(xml)


def query(*, key: str | None = "demo sp", relay_state: str = "back here", **changes: Any) -> str:
    fields: dict[str, Any] = {
        "request_id": "_0123456789abcdef0123456789abcdef",
        "issuer": f"{BROKER}/metadata",
        "destination": SSO,
        "acs_url": f"{BROKER}/acs",
        "issued_at": NOW,
    }
    xml = build_authn_request(**(fields | changes))
    return urlsplit(redirect_url(SSO, xml, relay_state=relay_state, signer=signer(key) if key else None)).query


def read(query_string: str) -> AuthnRequest:
    return read_authn_request(query_string, service_provider=broker(), sso_url=SSO, now=NOW)


def test_the_brokers_request_is_accepted() -> None:
    request = read(query(force_authn=True, contexts=("urn:a", "urn:b")))
    assert request.acs_url == f"{BROKER}/acs"
    assert request.relay_state == "back here"
    assert (request.force, request.passive, request.contexts) == (True, False, ("urn:a", "urn:b"))
    assert request.service_provider.encryption_certificate == key_pair("demo sp encryption").der


def test_a_passive_request_without_relay_state_is_accepted() -> None:
    request = read(query(is_passive=True, relay_state=""))
    assert (request.force, request.passive, request.relay_state) == (False, True, "")


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: query(key=None), "not signed"),
        (lambda: query(key="another"), "not signed by a key"),
        (lambda: query().replace("back%20here", "elsewhere"), "not signed by a key"),
        (lambda: query().replace("SigAlg=http", "SigAlg=ftp"), "not signed"),
        (lambda: query() + "&RelayState=twice", "twice"),
        (lambda: query(issuer="https://stranger.example"), "do not know"),
        (lambda: query(destination="https://other.example/sso"), "another identity provider"),
        (lambda: query(acs_url="https://thief.example/acs"), "not in the metadata"),
        (lambda: query(issued_at=NOW - timedelta(minutes=6)), "too old"),
        (lambda: query(issued_at=NOW + timedelta(minutes=6)), "too old"),
        (lambda: "", "no SAMLRequest"),
        (lambda: "SAMLRequest=%21", "decoded"),
        (lambda: "SAMLRequest=%2F%2F%2F%2F", "decoded"),
        (lambda: "SAMLRequest=AAAA", "not XML"),
    ],
)
def test_a_request_that_is_not_in_order_is_refused(make: Callable[[], str], why: str) -> None:
    with pytest.raises(RequestRefused, match=why):
        read(make())
