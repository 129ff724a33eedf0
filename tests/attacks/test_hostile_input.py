"""Characters, encodings and lengths that only some databases, decoders and answers take."""

import logging
from urllib.parse import urlencode

import pytest
from django.db import OperationalError, connection
from django.test import Client as Http
from django.test.utils import CaptureQueriesContext

from broker.errors import BrokerError
from broker.registry.cache import parties
from federation.signon.views import pages
from tests.factories import make_identity_provider
from tests.flows.stage import REDIRECT_URI, Browser, answer_of, make_company

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
