"""Sign-ons that an identity provider begins: off by default, judged like any other, and no way to others' sessions."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from django.conf import settings
from django.utils import timezone

from broker import limits
from broker.directory.models import LinkedIdentity, Person
from broker.events.models import Event
from broker.registry.cache import raise_version
from broker.registry.models import Application, Client, IdentityProvider
from broker.sessions.models import Participant, Session
from broker.tokens.models import AuthorizationCode
from broker.traces.models import Trace
from broker.traces.services import read_trace
from federation.signon.models import LoginRequest
from tests.factories import make_application
from tests.fakes.fake_idp import FLAWS
from tests.flows.saml_stage import make_erp
from tests.flows.stage import ATTRIBUTES, Browser, Company, answer_of, make_company

pytestmark = pytest.mark.django_db
START = "https://crm.example/start"
OF_A_REQUEST = {"wrong_in_response_to", "wrong_confirmation_in_response_to", "no_confirmation_in_response_to"}


@pytest.fixture
def company() -> Company:
    """Acme, whose portal may begin sign-ons, and a CRM that says where it wants them to begin."""
    company = make_company(idp_initiated=True)
    Client.objects.filter(pk=company.client.pk).update(initiate_login_uri=START)
    return company


def slug_of(company: Company) -> str:
    assert company.client.application
    return company.client.application.slug


def bring(company: Company, browser: Browser, *, relay_state: str | None = None, **options: Any) -> Any:
    """The portal posts an answer without a request; returns what our ACS says."""
    options = {"request_id": None, "acs_url": company.acs_url, "audience": company.audience} | options
    options = {"attributes": ATTRIBUTES} | options
    fields = {"SAMLResponse": company.fake.answer(**options)}
    relay_state = slug_of(company) if relay_state is None else relay_state
    return browser.post(company.acs_url, fields | ({"RelayState": relay_state} if relay_state else {}))


def arrive(company: Company, browser: Browser, **options: Any) -> Any:
    """The whole way of an answer without a request, up to where the browser leaves us."""
    return browser.follow(bring(company, browser, **options))


def refused(response: Any, code: str) -> bool:
    assert 400 <= response.status_code < 500, response
    return f"<code>{code}</code>" in response.content.decode()


def test_the_person_arrives_at_the_applications_own_start_and_is_signed_on_from_there(company):
    browser = Browser()
    start = arrive(company, browser)
    assert start.status_code == 303
    address = urlsplit(start["Location"])
    assert f"{address.scheme}://{address.netloc}{address.path}" == START
    assert parse_qs(address.query) == {"iss": [settings.BROKER_BASE_URL]}
    assert not Participant.objects.exists(), "no application was answered yet"
    assert not AuthorizationCode.objects.exists()
    session = Session.objects.get()
    assert session.person == Person.objects.get()
    assert "code" in answer_of(company.ask(browser)), "its own request is answered from the session"
    assert Participant.objects.get().session == session


def test_the_sign_on_is_one_trace_and_one_event(company):
    arrive(company, Browser())
    trace = Trace.objects.get()
    assert (trace.outcome, trace.connection, trace.application) == ("succeeded", "acme-idp", slug_of(company))
    assert [hop["name"] for hop in read_trace(trace.pk)] == [
        "POST assertion consumer service",
        "GET answer that nobody asked for",
    ]
    event = Event.objects.get(type="login.succeeded")
    assert (event.trace_id, event.details["unsolicited"]) == (trace.pk, True)


@pytest.mark.parametrize("target", ["", "https://crm.example/home"])
def test_the_start_names_us_and_the_home_page(company, target):
    Application.objects.filter(slug=slug_of(company)).update(home_url=target)
    Client.objects.update(initiate_login_uri=f"{START}?tenant=a")
    query = parse_qs(urlsplit(arrive(company, Browser())["Location"]).query)
    expected = {"tenant": ["a"], "iss": [settings.BROKER_BASE_URL]}
    assert query == (expected | {"target_link_uri": [target]} if target else expected)


def test_an_application_without_such_an_address_is_started_at_its_home_page(company):
    Client.objects.update(initiate_login_uri="")
    Application.objects.update(home_url="https://crm.example/home")
    assert arrive(company, Browser())["Location"] == "https://crm.example/home"


def test_an_application_without_any_address_is_refused_before_anything_is_stored(company):
    Client.objects.update(initiate_login_uri="")
    assert refused(arrive(company, Browser()), "signon.no_start")
    assert not LoginRequest.objects.exists()


def test_without_relay_state_the_setting_names_the_application(company):
    portal = make_application(slug="portal", home_url="https://portal.example/")
    IdentityProvider.objects.update(idp_initiated_application=portal)
    raise_version()
    assert arrive(company, Browser(), relay_state="")["Location"] == "https://portal.example/"
    assert arrive(company, Browser(), relay_state=slug_of(company))["Location"].startswith(START)


@pytest.mark.parametrize(
    "relay_state",
    ["", "nobody", "CRM", "https://evil.example/", "//evil.example", "crm\x00", "x" * 5000, "A" * 32, "' OR 1=1 --"],
)
def test_no_other_relay_state_leads_anywhere(company, relay_state):
    Application.objects.filter(slug=slug_of(company)).update(slug="crm")
    response = arrive(company, Browser(), relay_state=relay_state)
    assert refused(response, "signon.no_application")
    assert "evil.example" not in response.content.decode()
    assert not Session.objects.exists()
    assert not LoginRequest.objects.exists()


@pytest.mark.parametrize("change", [{"enabled": False}, {"retired_at": timezone.now()}])
def test_an_application_that_is_not_in_use_is_none(company, change):
    Application.objects.filter(slug=slug_of(company)).update(**change)
    assert refused(arrive(company, Browser()), "signon.no_application")


def test_by_default_an_answer_that_nobody_asked_for_is_refused():
    company = make_company()
    response = arrive(company, Browser())
    assert refused(response, "saml.unsolicited")
    assert not LoginRequest.objects.exists()
    assert not Session.objects.exists()


def test_switched_off_meanwhile_it_is_refused_at_the_second_step(company):
    browser = Browser()
    stored = bring(company, browser)
    IdentityProvider.objects.update(idp_initiated=False)
    raise_version()
    assert refused(browser.follow(stored), "saml.unsolicited")
    assert not Session.objects.exists()


def test_a_disabled_provider_brings_nobody(company):
    IdentityProvider.objects.update(enabled=False)
    raise_version()
    assert refused(arrive(company, Browser()), "signon.identity_provider_disabled")


@pytest.mark.parametrize("flaw", sorted(FLAWS.keys() - OF_A_REQUEST))
def test_each_flaw_is_refused_by_the_same_guard_and_strangers_store_nothing(company, flaw):
    response = arrive(company, Browser(), flaw=flaw)
    assert refused(response, FLAWS[flaw])
    assert not LoginRequest.objects.exists()
    assert not Session.objects.exists()
    assert not Person.objects.exists()
    assert Event.objects.get(type="login.refused").code == FLAWS[flaw]


@pytest.mark.parametrize(
    "told", [{"request_id": "_stolen"}, {"confirmation_in_response_to": "_stolen"}, {"in_response_to": "_stolen"}]
)
def test_an_answer_to_somebodys_request_does_not_come_in_by_this_door(company, told):
    """The answer to another browser's request, stolen, and brought without its RelayState."""
    assert refused(arrive(company, Browser(), **told), "saml.in_response_to")
    assert not Session.objects.exists()


def test_an_answer_to_our_own_request_cannot_lose_its_relay_state(company):
    victim, thief = Browser(), Browser()
    sent = company.ask(victim)
    request_id = LoginRequest.objects.get().upstream_request_id
    assert refused(arrive(company, thief, request_id=request_id), "saml.in_response_to")
    assert answer_of(company.answer(victim, sent))["code"]


def test_an_answer_without_a_request_does_not_answer_one(company):
    """Brought with the RelayState of a sign-on under way it is judged as its answer, and refused."""
    browser = Browser()
    sent = company.ask(browser)
    assert refused(company.answer(browser, sent, request_id=None), "saml.in_response_to")
    assert not Session.objects.exists()


def test_it_counts_once(company):
    options = {"assertion_id": "_the-same", "sign": "assertion"}
    assert arrive(company, Browser(), **options).status_code == 303
    assert refused(arrive(company, Browser(), **options), "saml.replayed")
    assert Session.objects.count() == 1


def test_it_counts_once_also_when_it_was_stored_twice_before(company):
    first, second = Browser(), Browser()
    options = {"assertion_id": "_the-same", "sign": "assertion"}
    stored = [bring(company, browser, **options) for browser in (first, second)]
    assert first.follow(stored[0]).status_code == 303
    assert refused(second.follow(stored[1]), "saml.replayed")


def test_the_second_step_is_taken_once_and_in_the_same_browser_only(company):
    browser, other = Browser(), Browser()
    stored = bring(company, browser)
    assert refused(other.get(stored["Location"]), "signon.other_browser")
    assert not Session.objects.exists()
    assert browser.get(stored["Location"]).status_code == 303
    assert refused(browser.get(stored["Location"]), "signon.other_browser"), "the cookie has done its service"
    assert Session.objects.count() == 1


def test_the_second_step_waits_two_minutes_at_most(company):
    browser = Browser()
    with time_machine.travel(datetime.now(UTC), tick=False) as clock:
        stored = bring(company, browser)
        clock.shift(limits.ARRIVAL_LIFETIME + timedelta(seconds=1))
        assert refused(browser.follow(stored), "signon.expired")


def test_the_second_step_belongs_to_the_provider_that_brought_it(company):
    other = make_company(slug="globex-idp", idp_initiated=True)
    browser = Browser()
    handle = parse_qs(urlsplit(bring(company, browser)["Location"]).query)["arrival"][0]
    path = f"/saml/sp/{other.identity_provider.slug}/arrival"
    assert refused(browser.get(path, arrival=handle), "signon.unknown")


@pytest.mark.parametrize("handle", ["", "x", "\x00", "A" * 32])
def test_no_handle_opens_what_never_arrived(company, handle):
    assert refused(Browser().get("/saml/sp/acme-idp/arrival", arrival=handle), "signon.unknown")


def test_a_sign_on_cannot_be_finished_by_this_door_and_the_other_way_round(company):
    browser = Browser()
    company.ask(browser)
    asked = LoginRequest.objects.get()
    browser.http.cookies[settings.ARRIVAL_COOKIE_NAME] = browser.http.cookies[settings.FLOW_COOKIE_NAME].value
    assert refused(browser.get("/saml/sp/acme-idp/arrival", arrival=asked.relay_state), "signon.unknown")
    stored = bring(company, browser)
    handle = parse_qs(urlsplit(stored["Location"]).query)["arrival"][0]
    browser.http.cookies[settings.FLOW_COOKIE_NAME] = browser.http.cookies[settings.ARRIVAL_COOKIE_NAME].value
    for path, name in (("/saml/sp/acme-idp/acs", "flow"), ("/signon/choose", "flow"), ("/signon/test", "flow")):
        assert refused(browser.get(path, **{name: handle}), "signon.unknown")
    assert not Session.objects.exists()


def test_nobodys_session_is_replaced_by_an_answer_that_somebody_else_brings(company):
    """Login CSRF: a page of Mallory's posts Mallory's answer from Alice's browser."""
    browser = Browser()
    answer_of(company.sign_on(browser, subject="alice"))
    before = (Session.objects.values().get(), browser.http.cookies[settings.SSO_COOKIE_NAME].value)
    mallory = {"subject": "mallory", "attributes": {"mail": ["mallory@acme.example"]}}
    assert refused(arrive(company, browser, **mallory), "signon.other_person")
    assert (Session.objects.values().get(), browser.http.cookies[settings.SSO_COOKIE_NAME].value) == before
    assert LinkedIdentity.objects.get().subject == "alice", "and nothing of Mallory is recorded"


def test_ones_own_session_is_renewed_and_keeps_its_applications(company):
    browser = Browser()
    answer_of(company.sign_on(browser))
    session, handle = Session.objects.get(), browser.http.cookies[settings.SSO_COOKIE_NAME].value
    assert arrive(company, browser).status_code == 303
    assert Session.objects.get().pk == session.pk
    assert browser.http.cookies[settings.SSO_COOKIE_NAME].value != handle
    assert Participant.objects.get().session_id == session.pk


def test_a_sign_on_in_another_tab_goes_on(company):
    """The flow cookie of the tab in which an application has asked is not touched."""
    browser = Browser()
    sent = company.ask(browser)
    flow = browser.http.cookies[settings.FLOW_COOKIE_NAME].value
    assert arrive(company, browser).status_code == 303
    assert browser.http.cookies[settings.FLOW_COOKIE_NAME].value == flow
    assert answer_of(company.answer(browser, sent))["code"]


def test_the_stored_answer_is_sealed_and_emptied_once_judged(company):
    browser = Browser()
    stored = bring(company, browser)
    raw = LoginRequest.objects.get().raw_answer
    assert raw
    assert base64.b64encode(b"alice")[:6].decode() not in raw
    browser.follow(stored)
    login = LoginRequest.objects.get()
    assert (login.state, login.raw_answer, login.purpose) == ("done", "", "arrival")


def test_a_closed_account_stays_closed(company):
    arrive(company, Browser())
    Person.objects.update(is_active=False)
    Session.objects.all().delete()
    assert refused(arrive(company, Browser()), "account.inactive")


def test_a_saml_application_that_takes_answers_it_did_not_ask_for_is_started_by_us(company):
    erp = make_erp(company=company, idp_initiated=True)
    page = arrive(company, Browser(), relay_state=erp.application.slug)
    assert erp.read(page, request_id=None).name_id
    assert Participant.objects.get().application == erp.application


def test_a_saml_application_that_does_not_is_started_at_its_home_page(company):
    erp = make_erp(company=company)
    assert refused(arrive(company, Browser(), relay_state=erp.application.slug), "signon.no_start")
    Application.objects.filter(pk=erp.application.pk).update(home_url="https://erp.example/")
    assert arrive(company, Browser(), relay_state=erp.application.slug)["Location"] == "https://erp.example/"
