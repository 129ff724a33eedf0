"""The pages of the demonstration's ERP: what it asks the broker, and whose answer it takes."""

import base64
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from broker.traces.collector import Collector
from demo.erp import ACS_PATH, ENTITY_ID, ERP, SECOND_FACTOR, SESSION_COOKIE, make_metadata, make_party
from demo.saml_metadata import read_service_provider, write_identity_provider
from demo.saml_request import AuthnRequest, read_authn_request
from demo.web import Site
from federation.saml.encrypting import EncryptionKey, choose_recipient
from federation.saml.logout import (
    REASON_USER,
    Leaving,
    LogoutExpectation,
    LogoutNotDone,
    VerifiedLogout,
    make_request_id,
    verify_logout_response,
    write_logout_request,
)
from federation.saml.metadata import read_service_provider as read_as_the_broker_does
from federation.saml.responses import Envelope, SignedOn, write_refusal, write_response
from federation.saml.verified import NameID
from tests.demo.browser import Browser
from tests.fakes.saml_keys import key_pair
from tests.fakes.server import saying, serving

ADDRESS = "http://localhost:8005"
BROKER = "http://localhost:8000"
ENTITY = f"{BROKER}/saml/idp/metadata"
SSO = f"{BROKER}/saml/idp/sso"
KEY = key_pair("demo broker")
SIGNER: Any = SimpleNamespace(private_key=KEY.rsa, certificate=KEY.der)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all, since making keys takes its time."""
    return tmp_path_factory.mktemp("demo")


@pytest.fixture
def browser(folder: Path) -> Iterator[Browser]:
    xml = write_identity_provider(entity_id=ENTITY, sso_url=SSO, certificate=KEY.der, scope="acme.example")
    head = f"HTTP/1.0 200 OK\r\nContent-Length: {len(xml)}\r\n\r\n".encode()
    with serving(saying(head + xml)) as server:
        party = make_party(folder, address=ADDRESS, metadata_url=f"http://127.0.0.1:{server.port}/")
        erp = ERP(party, metadata=make_metadata(folder, address=ADDRESS), broker=BROKER)
        yield Browser(Site(ADDRESS, erp.pages(), on_fault=erp.on_fault, open_to_all=frozenset({ACS_PATH})))


def asked(browser: Browser, folder: Path) -> AuthnRequest:
    """The request that the browser carries, as another identity provider verifies it."""
    service_provider = read_service_provider(make_metadata(folder, address=ADDRESS))
    parts = urlsplit(browser.location)
    return read_authn_request(parts.query, service_provider=service_provider, sso_url=SSO, now=datetime.now(UTC))


def relay_state(browser: Browser) -> str:
    return parse_qs(urlsplit(browser.location).query)["RelayState"][0]


def answer(browser: Browser, folder: Path, *, xml: bytes | None = None, **fields: str) -> Browser:
    """The broker's answer to what the browser carries, posted from the broker's page."""
    request = asked(browser, folder)
    fields = {"RelayState": relay_state(browser), "SAMLResponse": encode(xml or response(request, folder)), **fields}
    return browser.post(ACS_PATH, origin=BROKER, **fields).follow()


def encode(xml: bytes) -> str:
    return base64.b64encode(xml).decode()


def envelope(request: AuthnRequest) -> Envelope:
    return Envelope(ENTITY, request.acs_url, request.request_id, datetime.now(UTC))


def response(request: AuthnRequest, folder: Path) -> bytes:
    certificate = request.service_provider.encryption_certificate
    assert certificate
    now = datetime.now(UTC)
    name_id = NameID("f81d", "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent", ENTITY, ENTITY_ID)
    return write_response(
        envelope(request),
        SignedOn(name_id, now, "urn:any", "https://idp.example", "_s", now + timedelta(hours=1), []),
        audience=ENTITY_ID,
        signer=SIGNER,
        sign_response=True,
        sign_assertion=True,
        recipient=choose_recipient([EncryptionKey(certificate)]),
        trace=Collector(),
    )


@pytest.mark.parametrize(
    ("how", "force", "passive", "contexts"),
    [
        ("", False, False, ()),
        ("?how=fresh", True, False, ()),
        ("?how=silent", False, True, ()),
        ("?how=factor", False, False, (SECOND_FACTOR,)),
    ],
)
def test_each_button_asks_for_what_it_says(
    browser: Browser, folder: Path, how: str, force: bool, passive: bool, contexts: tuple[str, ...]
) -> None:
    request = asked(browser.get(f"/sign-on{how}"), folder)
    assert (request.force, request.passive, request.contexts) == (force, passive, contexts)
    assert request.acs_url == f"{ADDRESS}/acs"


def test_each_request_is_new(browser: Browser, folder: Path) -> None:
    first, second = (asked(browser.get("/sign-on"), folder) for _time in range(2))
    assert first.request_id != second.request_id
    assert first.relay_state != second.relay_state


def test_the_brokers_answer_signs_on(browser: Browser, folder: Path) -> None:
    answer(browser.get("/sign-on"), folder)
    assert (browser.status, browser.location) == (303, "/")
    assert "Hello, f81d" in browser.follow().text
    assert "yes, for our key" in browser.text


def test_an_answer_counts_once_and_in_its_own_browser(browser: Browser, folder: Path) -> None:
    browser.get("/sign-on")
    fields = {"RelayState": relay_state(browser), "SAMLResponse": encode(response(asked(browser, folder), folder))}
    stranger = Browser(browser.site)
    assert stranger.post(ACS_PATH, origin=BROKER, **fields).follow().status == 400
    onward = browser.post(ACS_PATH, origin=BROKER, **fields).location
    assert stranger.get(onward).status == 400
    assert browser.post(ACS_PATH, origin=BROKER, **fields).follow().status == 303
    assert browser.get(onward).status == 400
    assert browser.post(ACS_PATH, origin=BROKER, **fields).follow().status == 400
    assert "No sign-on is under way" in browser.text


def test_an_answer_to_another_request_signs_nobody_on(browser: Browser, folder: Path) -> None:
    old = response(asked(browser.get("/sign-on"), folder), folder)
    assert answer(browser.get("/sign-on"), folder, xml=old).status == 400
    assert "answers another request" in browser.text
    assert SESSION_COOKIE not in browser.cookies


def test_another_relay_state_is_refused(browser: Browser, folder: Path) -> None:
    assert answer(browser.get("/sign-on"), folder, RelayState="another").status == 400


def test_a_refusal_is_shown_with_its_status(browser: Browser, folder: Path) -> None:
    codes = tuple(f"urn:oasis:names:tc:SAML:2.0:status:{code}" for code in ("Responder", "NoPassive"))
    browser.get("/sign-on?how=silent")
    refusal = write_refusal(envelope(asked(browser, folder)), codes, "Nobody is <here>.", signer=SIGNER)
    assert answer(browser, folder, xml=refusal).status == 400
    assert "<code>Responder / NoPassive</code>" in browser.text
    assert "Nobody is &lt;here&gt;." in browser.text


def test_only_the_brokers_answer_may_come_from_another_site(browser: Browser, folder: Path) -> None:
    answer(browser.get("/sign-on"), folder)
    assert browser.post("/sign-out-here", origin="http://thief.example").status == 403
    assert browser.post("/sign-out-here").status == 303
    assert "Welcome" in browser.get("/").text


def test_the_broker_reads_the_metadata_as_it_is_meant(browser: Browser) -> None:
    read = read_as_the_broker_does(browser.get("/metadata").text.encode())
    assert read.entity_id == ENTITY_ID
    assert list(read.oddities) == [f"The address {ADDRESS}/{path} is not https." for path in ("acs", "slo")]
    assert read.soap_logout_url == f"{ADDRESS}/slo"


# --- Told of the end of a session, over SOAP
NAME = NameID("f81d", "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent", ENTITY, ENTITY_ID)


def logout_request(
    *,
    request_id: str = "_1",
    now: datetime | None = None,
    name_id: NameID = NAME,
    signer: Any = SIGNER,
    **changes: str,
) -> bytes:
    fields = {"issuer": ENTITY, "destination": f"{ADDRESS}/slo", "session_index": "_s", "reason": REASON_USER}
    leaving = Leaving(name_id=name_id, **(fields | changes))
    return write_logout_request(leaving, request_id=request_id, now=now or datetime.now(UTC), signer=signer)


def tell(browser: Browser, envelope: bytes) -> Browser:
    """The broker's own connection: no browser, no cookies."""
    told = Browser(browser.site)
    return told._ask("POST", "/slo", envelope, {"HTTP_COOKIE": ""})


def judged(told: Browser, folder: Path, *, request_id: str) -> VerifiedLogout:
    """The ERP's answer, as the broker verifies it."""
    metadata = read_as_the_broker_does(make_metadata(folder, address=ADDRESS))
    expectation = LogoutExpectation(
        issuer=ENTITY_ID,
        certificates=[one.der for one in metadata.signing_certificates],
        request_id=request_id,
        destination=f"{BROKER}/saml/idp/slo",
    )
    return verify_logout_response(told.text.encode(), expectation, trace=Collector())


def test_the_broker_ends_the_session_and_believes_the_answer(browser: Browser, folder: Path) -> None:
    answer(browser.get("/sign-on"), folder).follow()
    assert "Hello, f81d" in browser.text
    request_id = make_request_id()
    told = tell(browser, logout_request(request_id=request_id))
    assert (told.status, dict(told.headers)["Content-Type"]) == (200, "text/xml; charset=utf-8")
    assert judged(told, folder, request_id=request_id).status_codes[0].endswith(":Success")
    assert "Countersign ended your session at" in browser.get("/").text


def test_who_signed_out_here_before_is_signed_out(browser: Browser, folder: Path) -> None:
    assert judged(tell(browser, logout_request()), folder, request_id="_1")


@pytest.mark.parametrize(
    "changes",
    [{"session_index": "_other"}, {"name_id": NameID("somebody", NAME.format)}],
    ids=["another session", "another person"],
)
def test_another_session_goes_on(browser: Browser, folder: Path, changes: dict[str, Any]) -> None:
    answer(browser.get("/sign-on"), folder)
    tell(browser, logout_request(**changes))
    assert "Hello, f81d" in browser.get("/").text


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "https://other.example"},
        {"destination": "http://localhost:8005/other"},
        {"now": datetime.now(UTC) - timedelta(minutes=10)},
    ],
    ids=["issuer", "destination", "old"],
)
def test_a_request_that_is_not_for_now_and_here_is_denied_with_a_signature(
    browser: Browser, folder: Path, changes: dict[str, Any]
) -> None:
    answer(browser.get("/sign-on"), folder)
    told = tell(browser, logout_request(**changes))
    with pytest.raises(LogoutNotDone) as refused:
        judged(told, folder, request_id="_1")
    assert refused.value.status_codes[-1].endswith(":RequestDenied")
    assert "Hello, f81d" in browser.get("/").text


@pytest.mark.parametrize(
    "envelope",
    [
        b"",
        b"<a/>",
        b"<!DOCTYPE a><a/>",
        logout_request(signer=SimpleNamespace(private_key=key_pair("thief").rsa, certificate=KEY.der)),
        logout_request().replace(b"_s<", b"_t<"),
    ],
    ids=["nothing", "no envelope", "a document type", "another key", "altered"],
)
def test_what_the_broker_did_not_sign_ends_nothing(browser: Browser, folder: Path, envelope: bytes) -> None:
    answer(browser.get("/sign-on"), folder)
    told = tell(browser, envelope)
    assert (told.status, "faultstring" in told.text) == (500, True)
    assert "Hello, f81d" in browser.get("/").text
