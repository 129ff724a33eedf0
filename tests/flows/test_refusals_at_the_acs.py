"""Each flaw of an answer, brought in by a real browser flow: its own code, a trace, an event, and no session."""

from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client as DjangoClient
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker import limits
from broker.directory.models import Person
from broker.events.models import Event
from broker.keys.services import saml_encryption_certificate
from broker.sessions.models import Session
from broker.throttling import throttle
from broker.traces import bounded
from broker.traces.models import Trace
from broker.traces.services import read_trace
from federation.signon.models import LoginRequest
from tests.fakes.fake_idp import FLAWS
from tests.flows.stage import Browser, Company, make_company

pytestmark = pytest.mark.django_db


@pytest.fixture
def company() -> Company:
    return make_company()


@pytest.mark.parametrize("flaw", sorted(FLAWS))
def test_a_flawed_answer_opens_no_session_and_is_explained(company, flaw):
    response = company.sign_on(Browser(), flaw=flaw)
    code = FLAWS[flaw]
    page = response.content.decode()
    assert 400 <= response.status_code < 500
    assert f"<code>{code}</code>" in page
    trace = Trace.objects.get()
    assert trace.pk in page
    assert (trace.outcome, trace.code, trace.connection) == ("refused", code, "acme-idp")
    last = read_trace(trace.pk)[-1]["entries"]
    assert any(entry["type"] == "check" and not entry["passed"] for entry in last)
    event = Event.objects.get(type="login.refused")
    assert (event.code, event.trace_id) == (code, trace.pk)
    assert not Session.objects.exists()
    assert not Person.objects.exists()
    assert LoginRequest.objects.get().state == "done"


@pytest.mark.parametrize("flaw", ["unsigned", "unknown_key", "sha1"])
def test_encryption_hides_no_flaw_of_the_signature(company, flaw):
    response = company.sign_on(
        Browser(), flaw=flaw, sign="assertion", encrypt="gcm", encryption_certificate=saml_encryption_certificate()
    )
    assert response.status_code == 400
    assert not Session.objects.exists()


@pytest.mark.parametrize("skew", [-59, 59])
def test_clocks_within_the_skew_are_accepted(company, skew):
    response = company.sign_on(Browser(), now=datetime.now(UTC) + timedelta(seconds=skew))
    assert response.status_code == 303


def test_a_post_above_the_limit_is_refused_before_it_is_parsed(company):
    body = {"SAMLResponse": "A" * (limits.SAML_POST_BYTES + 1)}
    response = Browser().post(company.acs_url, body)
    assert response.status_code == 413
    assert "saml.too_large" in response.content.decode()
    assert not LoginRequest.objects.exists()


def test_an_answer_above_the_limit_is_refused(company):
    browser = Browser()
    response = company.sign_on(browser, attributes={"groups": ["x" * 1000] * 300})
    assert response.status_code == 413
    assert "saml.too_large" in response.content.decode()


@pytest.mark.parametrize(
    "fields",
    [{}, {"SAMLResponse": ["a", "b"]}, {"SAMLResponse": "a", "RelayState": ["a", "b"]}],
    ids=["missing", "twice", "relay state twice"],
)
def test_a_form_that_is_none_is_refused(company, fields):
    response = Browser().post(company.acs_url, fields)
    assert response.status_code == 400
    assert "request.malformed" in response.content.decode()


@pytest.mark.parametrize("body", [b"\xff\xfe", b"SAMLResponse=%ff%00", b"&&&===", b"{}"])
@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "multipart/form-data", "text/xml", "x" * 300])
def test_no_body_makes_us_stumble(company, body, kind):
    response = Browser().http.post("/saml/sp/acme-idp/acs", body, content_type=kind)
    assert 400 <= response.status_code < 500


ANYTHING = st.text(max_size=60) | st.sampled_from(["", "0", "-1", "9" * 30, "\x00", "💥", "{}", "none login", "openid"])
NAMES = [
    "client_id",
    "redirect_uri",
    "response_type",
    "scope",
    "state",
    "nonce",
    "prompt",
    "max_age",
    "login_hint",
    "code_challenge",
    "code_challenge_method",
    "response_mode",
    "idp_hint",
    "request",
    "flow",
    "email",
    "search",
]
PARAMETERS = st.dictionaries(st.sampled_from(NAMES), ANYTHING | st.lists(ANYTHING, max_size=2), max_size=8)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parameters=PARAMETERS, with_client=st.booleans(), cookie=st.text(st.characters(codec="latin-1"), max_size=80))
def test_no_parameter_or_cookie_makes_us_stumble(company, parameters, with_client, cookie):
    browser = Browser()
    browser.http.cookies["countersign-session"] = cookie
    browser.http.cookies["countersign-flow"] = cookie
    if with_client:
        parameters = {
            "client_id": company.client.client_id,
            "redirect_uri": "https://crm.example/callback",
        } | parameters
    for path in ("/oauth/authorize", "/signon/choose", "/saml/sp/acme-idp/acs"):
        assert browser.get(path, **parameters).status_code < 500
        assert browser.post(path, parameters).status_code < 500


@pytest.mark.parametrize("path", ["/saml/sp/nobody/acs", "/saml/sp/nobody/metadata", "/nowhere", "/signon/"])
def test_an_unknown_address_is_a_page_of_its_own(db, path):
    response = Browser().get(path)
    assert response.status_code == 404
    assert "request.not_found" in response.content.decode()


def test_other_methods_are_not_taken(company):
    assert Browser().http.put("/oauth/authorize").status_code == 405
    assert Browser().http.delete("/saml/sp/acme-idp/acs").status_code == 405


def test_a_form_of_another_site_chooses_nothing(company):
    response = DjangoClient(enforce_csrf_checks=True).post("/signon/choose", {"flow": "x"})
    assert response.status_code == 403
    assert "request.csrf" in response.content.decode()


def test_a_flood_of_refusals_is_counted_and_does_not_fill_the_tables(company, monkeypatch, time_machine):
    # No shared store, also where the suite has one, and no window that ends in the middle.
    monkeypatch.setattr(throttle, "_lease", None)
    time_machine.move_to(timezone.now(), tick=False)
    written = 0
    for _ in range(bounded.BUDGET.permits):
        response = DjangoClient().post(company.acs_url, {"SAMLResponse": "bm90aGluZw=="})
        assert response.status_code == 400
        assert "<code>saml." in response.content.decode()
        written = Event.objects.filter(type="login.refused").count()
    assert 0 < written < bounded.BUDGET.permits
    assert Trace.objects.count() == written
    assert Event.objects.filter(type="refusals.counted").exists()
