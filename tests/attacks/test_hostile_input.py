"""Characters, encodings and lengths that only some databases, decoders and answers take."""

import logging
from urllib.parse import urlencode

import pytest
from django.db import OperationalError, connection
from django.test import Client as Http
from django.test.utils import CaptureQueriesContext

from broker.directory.models import Identifier, Person
from broker.errors import BrokerError
from broker.registry.cache import parties
from broker.traces.models import Trace
from broker.traces.services import read_trace
from federation.signon.views import pages
from tests.factories import make_identity_provider
from tests.flows.stage import ATTRIBUTES, REDIRECT_URI, Browser, answer_of, make_company

pytestmark = pytest.mark.django_db


@pytest.fixture
def company():
    return make_company()


@pytest.fixture
def flow(company):
    """A sign-on under way in `browser`, at the page that asks."""
    make_identity_provider()
    browser = Browser()
    return browser, company.ask(browser)["Location"].partition("flow=")[2]


def test_a_nul_never_reaches_the_database(flow):
    """PostgreSQL takes it not even in a question, and says so by an error."""
    browser, handle = flow
    with CaptureQueriesContext(connection) as captured:
        answers = [
            browser.get("/saml/sp/acme-idp/acs", flow="\0"),
            browser.post("/saml/sp/acme-idp/acs", {"RelayState": "\0", "SAMLResponse": "\0"}),
            browser.get("/signon/choose", flow="\0"),
            browser.get("/signon/choose", flow=handle, search="\0"),
            browser.post("/signon/choose", {"flow": handle, "email": "a@b.\0"}),
            browser.post("/signon/choose", {"flow": handle, "identity_provider": "acme-idp\0"}),
        ]
    assert [answer.status_code for answer in answers] == [400, 400, 400, 200, 400, 400]
    assert not any("\0" in query["sql"] for query in captured)


def test_names_that_no_party_can_have_do_not_fill_the_memory_of_parties(company, flow):
    browser, handle = flow
    before = len(parties._entries)
    for name in ("x" * 65, "X", "../acme-idp", "é"):
        Browser().get(f"/saml/sp/{name}/acs")
        company.ask(Browser(), idp_hint=name)
        browser.post("/signon/choose", {"flow": handle, "email": f"a@{name}"})
    assert len(parties._entries) == before


def test_a_state_that_grows_in_the_answer_is_echoed_all_the_same(company):
    browser, state = Browser(), "(" * 8_000
    company.sign_on(browser)
    asked = {"client_id": company.client.client_id, "redirect_uri": REDIRECT_URI, "response_type": "code"}
    pkce = {"scope": "openid", "code_challenge": "x" * 43, "code_challenge_method": "S256"}
    response = browser.http.get(f"/oauth/authorize?{urlencode(asked | pkce)}&state={state}")
    assert answer_of(response)["state"] == state


class Canary(Exception):
    """A fault whose text holds what somebody sent."""


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Canary("canary-7"), 500, "service.fault"),
        (OperationalError("canary-7"), 503, "service.unavailable"),
        (BrokerError("service.unavailable", detail="canary-7"), 503, "service.unavailable"),
    ],
)
def test_a_fault_is_logged_by_kind_and_place_and_never_by_its_text(monkeypatch, caplog, error, status, code):
    def fail(*_arguments, **_options):
        raise error

    monkeypatch.setattr(pages, "find_live_session", fail)
    with caplog.at_level(logging.INFO):
        response = Http(raise_request_exception=False).get("/")
    assert (response.status_code, code in response.content.decode()) == (status, True)
    assert ("Retry-After" in response) is (status == 503)
    assert "canary-7" not in caplog.text + response.content.decode()
    if not isinstance(error, BrokerError):
        assert type(error).__name__ in caplog.text
        assert "pages.py" in caplog.text


ASTRAL = "".join(chr(0x20000 + i * 7919 % 40000) for i in range(1024))
"""1,024 characters in 4,096 bytes that no index can compress."""


@pytest.mark.parametrize(
    ("claim", "attribute", "value"),
    [
        ("name", "displayName", "x" * 301),
        ("given_name", "givenName", "x" * 201),
        ("family_name", "sn", "x" * 201),
        ("email", "mail", "x" * 308 + "@acme.example"),
        ("email", "mail", "\ufdfa" * 30 + "@acme.example"),  # a ligature of 18 characters
        ("groups", "groups", "x" * 257),
    ],
)
def test_a_value_that_has_no_room_is_left_out_and_noted(company, claim, attribute, value):
    """PostgreSQL would refuse it, and the whole sign-on with it."""
    answer_of(company.sign_on(Browser(), attributes=ATTRIBUTES | {attribute: [value]}))
    person = Person.objects.get()
    kept = [getattr(person, claim, ""), *person.identifiers.values_list("value", flat=True)]
    assert value not in [*kept, *person.groups.values_list("name", flat=True)]
    notes = [entry for entry in read_trace(Trace.objects.get().pk)[-1]["entries"] if entry["type"] == "note"]
    assert claim in [note["values"].get("claims") for note in notes]


def test_a_value_beside_one_without_room_is_kept(company):
    answer_of(company.sign_on(Browser(), attributes=ATTRIBUTES | {"groups": ["x" * 257, "staff"]}))
    assert list(Person.objects.get().groups.values_list("name", flat=True)) == ["staff"]


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"subject": ASTRAL}, "saml.subject"),
        ({"context": "urn:" + "x" * 297}, "saml.structure"),
        ({"session_index": "x" * 1025}, "saml.structure"),
    ],
)
def test_what_a_session_cannot_keep_is_refused(company, said, code):
    response = company.sign_on(Browser(), **said)
    assert (response.status_code, code in response.content.decode()) == (400, True)


def test_what_fills_its_column_is_kept(company):
    full = {"displayName": ["x" * 300], "mail": ["x" * 307 + "@acme.example"], "groups": ["é" * 256]}
    said = {"subject": "é" * 512, "context": "urn:" + "x" * 296, "session_index": ASTRAL}
    answer_of(company.sign_on(Browser(), attributes=full, **said))
    assert Identifier.objects.get().value == full["mail"][0]
