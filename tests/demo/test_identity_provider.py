"""The pages of the demonstration's identity provider: who is asked, who is not, and what is switched on."""

import base64
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
from lxml import etree

from demo.faults import Fault
from demo.identity_provider import COOKIE, IdentityProvider
from demo.web import Site
from federation.saml.messages import build_authn_request, redirect_url
from federation.saml.publication import write_service_provider
from tests.demo.browser import Browser
from tests.fakes.saml_keys import key_pair
from tests.fakes.server import saying, serving

ADDRESS = "http://localhost:8001"
BROKER = "http://localhost:8000/saml/sp/acme-idp"
KEY = key_pair("demo sp")
SIGNER = SimpleNamespace(private_key=KEY.rsa, certificate=KEY.der)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all, since making keys takes its time."""
    return tmp_path_factory.mktemp("demo")


@pytest.fixture
def provider(folder: Path) -> Iterator[IdentityProvider]:
    xml = write_service_provider(
        entity_id=f"{BROKER}/metadata",
        acs_url=f"{BROKER}/acs",
        signing_certificates=(KEY.der,),
        encryption_certificates=(KEY.der,),
        signs_requests=True,
        signer=SIGNER,
    )
    head = f"HTTP/1.0 200 OK\r\nContent-Length: {len(xml)}\r\n\r\n".encode()
    with serving(saying(head + xml)) as server:
        yield IdentityProvider(address=ADDRESS, metadata_url=f"http://127.0.0.1:{server.port}/metadata", folder=folder)


@pytest.fixture
def browser(provider: IdentityProvider) -> Browser:
    return Browser(Site(ADDRESS, provider.pages(), on_fault=provider.on_fault))


def request(**asked: Any) -> str:
    xml = build_authn_request(
        request_id="_0123456789abcdef0123456789abcdef",
        issuer=f"{BROKER}/metadata",
        destination=f"{ADDRESS}/sso",
        acs_url=f"{BROKER}/acs",
        issued_at=datetime.now(UTC),
        **asked,
    )
    return redirect_url(f"{ADDRESS}/sso", xml, relay_state="flow", signer=SIGNER)


def sign_on(browser: Browser, person: str = "alice") -> Browser:
    browser.get(request())
    return browser.post("/login", person=person, request=browser.hidden["request"])


def status_codes(browser: Browser) -> list[str]:
    root = etree.fromstring(base64.b64decode(browser.hidden["SAMLResponse"]))
    codes = root.iter("{urn:oasis:names:tc:SAML:2.0:protocol}StatusCode")
    return [code.get("Value", "").rpartition(":")[2] for code in codes]


def test_whoever_is_chosen_is_sent_on_to_the_broker(browser: Browser) -> None:
    sign_on(browser)
    assert f'action="{BROKER}/acs"' in browser.text
    assert browser.hidden["RelayState"] == "flow"
    assert status_codes(browser) == ["Success"]


def test_a_session_answers_without_asking_again(browser: Browser) -> None:
    sign_on(browser)
    assert status_codes(browser.get(request())) == ["Success"]


def test_a_fresh_sign_on_asks_although_there_is_a_session(browser: Browser) -> None:
    before = sign_on(browser).cookies[COOKIE]
    browser.get(request(force_authn=True))
    assert "Who are you?" in browser.text
    browser.post("/login", person="bob", request=browser.hidden["request"])
    assert status_codes(browser) == ["Success"]
    assert browser.cookies[COOKIE] != before


def test_a_passive_request_is_refused_where_somebody_would_have_to_be_asked(browser: Browser) -> None:
    assert status_codes(browser.get(request(is_passive=True))) == ["Responder", "NoPassive"]
    sign_on(browser)
    assert status_codes(browser.get(request(is_passive=True))) == ["Success"]
    assert status_codes(browser.get(request(is_passive=True, force_authn=True))) == ["Responder", "NoPassive"]


def test_a_context_that_it_does_not_reach_is_refused(browser: Browser) -> None:
    assert status_codes(browser.get(request(contexts=("urn:smartcard",)))) == ["Responder", "NoAuthnContext"]


def test_after_signing_out_it_asks_again(browser: Browser) -> None:
    sign_on(browser).post("/sign-out")
    assert COOKIE not in browser.cookies
    assert "Who are you?" in browser.get(request()).text


@pytest.mark.parametrize("fields", [{"person": "mallory"}, {"person": "alice", "request": "unknown"}, {}])
def test_a_choice_without_a_waiting_request_is_refused(browser: Browser, fields: dict[str, str]) -> None:
    browser.get(request())
    given = {"request": browser.hidden["request"], **fields} if "person" in fields else fields
    assert browser.post("/login", **given).status == 400
    assert COOKIE not in browser.cookies


def test_a_request_is_answered_once(browser: Browser) -> None:
    browser.get(request())
    handle = browser.hidden["request"]
    assert browser.post("/login", person="alice", request=handle).status == 200
    assert browser.post("/login", person="alice", request=handle).status == 400


def test_a_request_that_is_not_signed_is_refused_on_a_page(browser: Browser) -> None:
    browser.get(request().partition("&SigAlg")[0])
    assert browser.status == 400
    assert "not signed" in browser.text


def test_without_the_brokers_metadata_nothing_is_answered(folder: Path) -> None:
    with serving(saying(b"HTTP/1.0 500 No\r\n\r\n")) as server:
        provider = IdentityProvider(address=ADDRESS, metadata_url=f"http://127.0.0.1:{server.port}/", folder=folder)
        browser = Browser(Site(ADDRESS, provider.pages(), on_fault=provider.on_fault)).get(request())
    assert browser.status == 400
    assert "HTTP Error 500" in browser.text


def test_a_fault_that_is_switched_on_is_shown_everywhere(browser: Browser, provider: IdentityProvider) -> None:
    browser.post("/faults", fault="expired", signed="both", encrypted="yes")
    assert (browser.status, provider.behaviour.fault, provider.behaviour.encrypted) == (303, Fault.EXPIRED, True)
    for page in ("/", "/faults", urlsplit(request())._replace(scheme="", netloc="").geturl()):
        assert "A fault is switched on: Expired assertion." in browser.get(page).text
    browser.post("/faults", fault="none", signed="assertion")
    assert "A fault is switched on" not in browser.get("/").text


@pytest.mark.parametrize("fields", [{"fault": "nonsense", "signed": "both"}, {"fault": "none"}, {}])
def test_a_switch_that_does_not_exist_is_refused(
    browser: Browser, provider: IdentityProvider, fields: dict[str, str]
) -> None:
    assert browser.post("/faults", **fields).status == 400
    assert provider.behaviour.fault is Fault.NONE


def test_another_site_cannot_turn_the_switches(browser: Browser, provider: IdentityProvider) -> None:
    assert browser.post("/faults", origin="http://thief.example", fault="expired", signed="both").status == 403
    assert provider.behaviour.fault is Fault.NONE


def test_the_key_stays_the_same_and_is_for_its_owner_only(provider: IdentityProvider, folder: Path) -> None:
    again = IdentityProvider(address=ADDRESS, metadata_url="http://localhost:1/", folder=folder)
    assert again.metadata == provider.metadata
    assert (folder / "acme-idp.pem").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("page", ["/", "/faults"])
def test_pages_carry_a_strict_policy_and_need_nothing_from_elsewhere(browser: Browser, page: str) -> None:
    headers = dict(browser.get(page).headers)
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert headers["Cache-Control"] == "no-store"
    assert "http" not in browser.text.replace(ADDRESS, "")
    assert browser.get("/look.css").status == browser.get("/icon.svg").status == browser.get("/onward.js").status == 200
