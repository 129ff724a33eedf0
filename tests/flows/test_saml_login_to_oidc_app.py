"""The main job: a person signs on at a SAML identity provider and arrives in an OpenID application."""

from datetime import timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest
import time_machine
from django.test import Client as DjangoClient
from django.utils import timezone

from broker import limits
from broker.directory.models import Group, LinkedIdentity, Person
from broker.events.models import Event
from broker.keys.services import saml_encryption_certificate
from broker.registry.cache import raise_version
from broker.sessions.models import Participant, Session
from broker.traces.models import Trace
from broker.traces.services import read_trace
from federation.signon.models import LoginRequest
from tests.factories import link, make_application, make_client, make_identity_provider, make_person, make_session
from tests.fakes.fake_idp import instant
from tests.flows.stage import (
    ATTRIBUTES,
    Browser,
    Company,
    answer_of,
    make_company,
    read_request,
    unverified_claims,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def company() -> Company:
    return make_company()


@pytest.fixture
def browser() -> Browser:
    return Browser()


def refused(response, code: str) -> str:
    """Asserts a refusal page with its code, trace and event, and returns the trace id."""
    assert 400 <= response.status_code < 500, response.status_code
    assert code in response.content.decode()
    trace_id = response["Countersign-Trace"]
    assert trace_id in response.content.decode()
    trace = Trace.objects.get(pk=trace_id)
    assert (trace.outcome, trace.code) == ("refused", code)
    assert Event.objects.filter(type="login.refused", code=code, trace_id=trace_id).exists()
    return trace_id


def test_a_person_arrives_with_the_released_claims(company, browser):
    came_back = answer_of(company.sign_on(browser))
    assert came_back["state"] == "the-state"
    assert came_back["iss"] == "http://localhost:8000"
    tokens = company.redeem(came_back["code"]).json()
    claims = unverified_claims(tokens["id_token"])
    person = Person.objects.get()
    assert claims["sub"] == str(person.pk)
    assert claims["nonce"] == "the-nonce"
    assert claims["email"] == "alice@acme.example"
    assert claims["given_name"] == "Alice"
    assert claims["groups"] == ["engineering", "on call"]
    userinfo = (
        DjangoClient().get("/oauth/userinfo", headers={"authorization": f"Bearer {tokens['access_token']}"}).json()
    )
    assert userinfo["sub"] == claims["sub"]
    assert userinfo["email"] == "alice@acme.example"


def test_every_step_leaves_its_evidence(company, browser):
    response = company.sign_on(browser)
    trace = Trace.objects.get()
    assert (trace.outcome, trace.connection) == ("succeeded", "acme-idp")
    assert response["Countersign-Trace"] == trace.pk
    hops = [hop["name"] for hop in read_trace(trace.pk)]
    assert hops == [
        "GET authorization request",
        "GET assertion consumer service",
    ]
    checks = [entry for hop in read_trace(trace.pk) for entry in hop["entries"] if entry["type"] == "check"]
    assert len(checks) > 20
    assert all(check["passed"] for check in checks)
    event = Event.objects.get(type="login.succeeded")
    assert (event.trace_id, event.connection, event.actor_kind) == (trace.pk, "acme-idp", "person")


def test_the_request_is_signed_and_bound_to_the_login(company, browser):
    sent = company.ask(browser)
    assert sent["Location"].startswith("https://acme-idp.example/sso?SAMLRequest=")
    assert "&SigAlg=" in sent["Location"]
    request = read_request(sent)
    login = LoginRequest.objects.get()
    assert request.get("ID") == login.upstream_request_id
    assert request.get("AssertionConsumerServiceURL") == company.acs_url


@pytest.mark.parametrize("sign", ["response", "assertion", "both"])
@pytest.mark.parametrize("encrypt", [None, "gcm", "cbc128"])
def test_every_way_of_signing_and_encrypting_is_accepted(company, browser, sign, encrypt):
    options = {"encrypt": encrypt, "encryption_certificate": saml_encryption_certificate()} if encrypt else {}
    assert "code" in answer_of(company.sign_on(browser, sign=sign, **options))


def test_a_second_application_needs_no_second_sign_on(company, browser):
    company.sign_on(browser)
    other = Company(
        company.identity_provider,
        company.fake,
        make_client(application=make_application(), redirect_uris=["https://crm.example/callback"]),
    )
    came_back = answer_of(other.ask(browser))
    assert "code" in came_back
    assert Session.objects.count() == 1
    assert Participant.objects.count() == 2
    assert LoginRequest.objects.count() == 1


def test_a_request_by_post_finds_the_session_and_leaves_other_tabs_their_cookie(company, browser):
    """A browser sends Lax cookies with the GET that follows another site's POST, and not with the POST itself."""
    company.sign_on(browser)
    asked = dict(parse_qsl(urlsplit(company.ask(browser, prompt="login").wsgi_request.get_full_path()).query))
    posted = DjangoClient().post("/oauth/authorize", asked | {"prompt": "none"})
    assert (posted.status_code, posted.cookies.output()) == (303, "")
    assert "code" in answer_of(browser.get(posted["Location"]))


def test_an_id_token_that_was_posted_is_put_into_no_address(company, browser):
    posted = DjangoClient().post("/oauth/authorize", {"id_token_hint": "a.b.c"})
    assert (posted.status_code, "Location" in posted) == (400, False)


def test_prompt_login_goes_upstream_with_force_authn(company, browser):
    company.sign_on(browser)
    sent = company.ask(browser, prompt="login")
    assert read_request(sent).get("ForceAuthn") == "true"


def test_a_forced_sign_on_needs_a_fresh_authentication(company, browser):
    company.sign_on(browser)
    an_hour_ago = instant(timezone.now() - timedelta(hours=1))
    stale = company.answer(browser, company.ask(browser, prompt="login"), authn_instant=an_hour_ago)
    refused(stale, "saml.authentication_too_old")


def test_a_fresh_authentication_renews_the_same_session_under_a_new_handle(company, browser):
    company.sign_on(browser)
    before = Session.objects.get()
    sent = company.ask(browser, prompt="login")
    came_back = answer_of(company.answer(browser, sent, authn_instant=instant(timezone.now() + timedelta(seconds=1))))
    after = Session.objects.get()
    assert "code" in came_back
    assert after.pk == before.pk
    assert after.handle_hash != before.handle_hash
    assert after.authenticated_at > before.authenticated_at


def test_max_age_is_obeyed(company, browser):
    company.sign_on(browser)
    assert "code" in answer_of(company.ask(browser, max_age="300"))
    with time_machine.travel(timezone.now() + timedelta(minutes=10), tick=False):
        sent = company.ask(browser, max_age="300")
        assert read_request(sent).get("ForceAuthn") == "true"


def test_prompt_none_answers_from_the_session_or_says_login_required(company, browser):
    assert answer_of(company.ask(browser, prompt="none")) == {
        "error": "login_required",
        "error_description": answer_of(company.ask(Browser(), prompt="none"))["error_description"],
        "state": "the-state",
        "iss": "http://localhost:8000",
    }
    company.sign_on(browser)
    assert "code" in answer_of(company.ask(browser, prompt="none"))


def test_a_session_is_renewed_where_it_came_from_without_asking_the_person(company, browser):
    make_identity_provider()
    company.sign_on(browser, ask={"idp_hint": "acme-idp"})
    assert company.ask(browser, prompt="login")["Location"].startswith("https://acme-idp.example/sso?")
    assert company.ask(browser, prompt="select_account")["Location"].startswith("/signon/choose?flow=")


def test_another_person_in_the_same_browser_ends_the_first_session(company, browser):
    company.sign_on(browser)
    first = Session.objects.get()
    sent = company.ask(browser, prompt="select_account")
    attributes = {**ATTRIBUTES, "mail": ["bob@acme.example"]}
    now = instant(timezone.now() + timedelta(seconds=1))
    company.answer(browser, sent, subject="bob", attributes=attributes, authn_instant=now)
    first.refresh_from_db()
    assert first.ended_at is not None
    assert Session.objects.filter(ended_at=None).count() == 1


def test_groups_follow_the_last_assertion(company, browser):
    company.sign_on(browser)
    company.sign_on(Browser(), attributes={**ATTRIBUTES, "groups": ["sales"]})
    assert list(Person.objects.get().groups.values_list("name", flat=True)) == ["sales"]
    assert Group.objects.count() == 3


def test_groups_and_roles_that_are_no_longer_sent_are_no_longer_told(browser):
    company = make_company(claims={})
    company.sign_on(browser, attributes={**ATTRIBUTES, "roles": ["admin"]})
    company.sign_on(Browser(), attributes={"mail": ["alice@acme.example"]})
    person = Person.objects.get()
    assert (list(person.groups.all()), person.claims["roles"]) == ([], [])


def test_a_returning_person_is_the_same_person(company, browser):
    company.sign_on(browser)
    company.sign_on(Browser(), attributes={**ATTRIBUTES, "displayName": ["Alice Berg"]})
    person = Person.objects.get()
    assert person.name == "Alice Berg"
    assert LinkedIdentity.objects.count() == 1


# Home realm -----------------------------------------------------------------------------------------------------------


def test_the_domain_of_the_login_hint_chooses_the_identity_provider(company, browser):
    make_identity_provider(home_realm_domains=("globex.example",), sso_url="https://globex.example/sso")
    sent = company.ask(browser, login_hint="homer@globex.example")
    assert sent["Location"].startswith("https://globex.example/sso?")


def test_the_application_may_name_the_identity_provider(company, browser):
    make_identity_provider()
    assert company.ask(browser, idp_hint="acme-idp")["Location"].startswith("https://acme-idp.example/sso?")
    refused(company.ask(browser, idp_hint="nobody"), "signon.no_identity_provider")


def test_the_person_is_asked_and_may_choose_by_button_or_e_mail(company, browser):
    make_identity_provider(home_realm_domains=("globex.example",), sso_url="https://globex.example/sso")
    sent = company.ask(browser)
    assert sent["Location"].startswith("/signon/choose?flow=")
    page = browser.get(sent["Location"])
    assert "Acme sign-on" in page.content.decode()
    flow = sent["Location"].partition("flow=")[2]
    chosen = browser.post("/signon/choose", {"flow": flow, "identity_provider": "acme-idp"})
    assert chosen["Location"].startswith("https://acme-idp.example/sso?")
    other = browser.post("/signon/choose", {"flow": flow, "email": "homer@globex.example"})
    assert other["Location"].startswith("https://globex.example/sso?")
    unknown = browser.post("/signon/choose", {"flow": flow, "email": "moe@nowhere.example"})
    assert unknown.status_code == 400
    assert "No sign-on is known" in unknown.content.decode()


def test_without_any_identity_provider_the_page_says_so(company, browser):
    company.identity_provider.enabled = False
    company.identity_provider.save()
    page = browser.follow(company.ask(browser))
    assert "No company is registered here yet" in page.content.decode()


# Accounts -------------------------------------------------------------------------------------------------------------


def test_an_equal_e_mail_never_links_two_identities(company, browser):
    company.sign_on(browser)
    other = make_company(slug="acme-second", organisation=company.identity_provider.organisation)
    refused(other.sign_on(Browser(), ask={"idp_hint": "acme-second"}), "authority.identifier_taken")
    assert Person.objects.count() == 1
    assert Session.objects.count() == 1


def test_the_same_subject_at_two_identity_providers_is_two_people(company, browser):
    company.sign_on(browser, ask={"idp_hint": "acme-idp"})
    other = make_company(slug="globex-idp")
    other.sign_on(Browser(), attributes={}, ask={"idp_hint": "globex-idp"})
    assert Person.objects.count() == 2
    assert LinkedIdentity.objects.filter(subject="alice").count() == 2


def test_a_foreign_domains_e_mail_is_dropped_and_shown(company, browser):
    answer_of(company.sign_on(browser, attributes={**ATTRIBUTES, "mail": ["ceo@globex.example"]}))
    assert not Person.objects.get().identifiers.exists()
    entries = [entry for hop in read_trace(Trace.objects.get().pk) for entry in hop["entries"]]
    assert any(entry.get("name") == "authority" and not entry["passed"] for entry in entries)


def test_a_foreign_domains_e_mail_refuses_where_so_set(browser):
    company = make_company(outside_authority="refuse")
    response = company.sign_on(browser, attributes={**ATTRIBUTES, "mail": ["ceo@globex.example"]})
    refused(response, "authority.scope")
    assert not Session.objects.exists()
    assert not Person.objects.exists()


def test_a_subdomain_wants_a_proof_of_its_own(browser):
    company = make_company(outside_authority="refuse")
    response = company.sign_on(browser, attributes={**ATTRIBUTES, "mail": ["alice@mail.acme.example"]})
    refused(response, "authority.scope")


def test_unknown_people_are_refused_where_so_set(browser):
    company = make_company(unknown_person="refuse")
    refused(company.sign_on(browser), "account.unknown")
    assert not Person.objects.exists()


def test_a_match_rule_joins_hrs_person_exactly(browser):
    company = make_company(match_claim="employee_id", match_person="external_id", unknown_person="refuse")
    hr = make_person(organisation=company.identity_provider.organisation, external_id="E-1001")
    answer_of(company.sign_on(browser, attributes={**ATTRIBUTES, "employeeNumber": ["E-1001"]}))
    assert LinkedIdentity.objects.get().person == hr
    response = company.sign_on(Browser(), subject="x", attributes={**ATTRIBUTES, "employeeNumber": ["e-1001"]})
    refused(response, "account.unknown")


def test_a_closed_account_opens_no_session(company, browser):
    person = make_person(organisation=company.identity_provider.organisation, is_active=False)
    link(person, company.identity_provider, "alice")
    refused(company.sign_on(browser), "account.inactive")
    assert not Session.objects.exists()


def test_a_retired_identity_providers_links_are_dead_for_its_successor(company, browser):
    company.sign_on(browser)
    company.identity_provider.retired_at = timezone.now()
    company.identity_provider.save()
    successor = make_company(slug="acme-idp", organisation=company.identity_provider.organisation)
    refused(successor.sign_on(Browser()), "authority.identifier_taken")
    assert successor.identity_provider.linked_identities.count() == 0


@pytest.mark.parametrize(
    "lookalike",
    ["Alice", "alice ", "ａlice", "аlice", "alice\u200b"],
    ids=["case", "space", "wide", "cyrillic", "hidden"],
)
def test_a_subject_that_only_looks_like_the_victims_is_never_the_victim(company, browser, lookalike):
    company.sign_on(browser)
    victim = Person.objects.get()
    company.sign_on(Browser(), subject=lookalike, attributes={})
    assert set(LinkedIdentity.objects.filter(person=victim).values_list("subject", flat=True)) == {"alice"}


# The flow -------------------------------------------------------------------------------------------------------------


def test_an_answer_is_good_once(company, browser):
    sent = company.ask(browser)
    request = read_request(sent)
    answer = company.fake.answer(request_id=request.get("ID"), acs_url=company.acs_url, audience=company.audience)
    relay_state = LoginRequest.objects.get().relay_state
    fields = {"SAMLResponse": answer, "RelayState": relay_state}
    answer_of(browser.follow(browser.post(company.acs_url, fields)))
    refused(browser.post(company.acs_url, fields), "saml.replayed")
    assert Session.objects.count() == 1


def test_an_assertion_is_good_once_even_for_a_second_request(company, browser):
    company.sign_on(browser, assertion_id="_the-same")
    refused(company.sign_on(Browser(), assertion_id="_the-same"), "saml.replayed")


def test_the_continuation_is_good_once(company, browser):
    company.sign_on(browser)
    relay_state = LoginRequest.objects.get().relay_state
    refused(browser.get(company.acs_url, flow=relay_state), "saml.replayed")


def test_an_answer_without_a_request_is_refused(company, browser):
    answer = company.fake.answer(request_id="_1", acs_url=company.acs_url, audience=company.audience)
    refused(browser.post(company.acs_url, {"SAMLResponse": answer}), "saml.unsolicited")
    refused(browser.post(company.acs_url, {"SAMLResponse": answer, "RelayState": "x" * 30}), "saml.unsolicited")


@pytest.mark.parametrize(
    "relay_state",
    ["https://evil.example/", "//evil.example", "javascript:alert(1)", "%2f%2fevil.example", "x" * 5000, "\x00", "é"],
)
def test_a_hostile_relay_state_leads_nowhere(company, browser, relay_state):
    response = browser.post(company.acs_url, {"SAMLResponse": "PGEvPg==", "RelayState": relay_state})
    refused(response, "saml.unsolicited")
    assert "Location" not in response


def test_an_answer_in_another_browser_is_refused_and_spoils_nothing(company, browser):
    sent = company.ask(browser)
    thief = Browser()
    refused(company.answer(thief, sent), "signon.other_browser")
    assert not Session.objects.exists()
    relay_state = LoginRequest.objects.get().relay_state
    assert "code" in answer_of(browser.get(company.acs_url, flow=relay_state))


def test_an_answer_at_another_identity_providers_address_is_refused(company, browser):
    other = make_company(slug="globex-idp")
    sent = company.ask(browser, idp_hint="acme-idp")
    request = read_request(sent)
    answer = company.fake.answer(request_id=request.get("ID"), acs_url=company.acs_url, audience=company.audience)
    fields = {"SAMLResponse": answer, "RelayState": LoginRequest.objects.get().relay_state}
    refused(browser.post(other.acs_url, fields), "saml.unsolicited")


def test_a_sign_on_that_took_too_long_is_refused(company, browser):
    sent = company.ask(browser)
    with time_machine.travel(timezone.now() + limits.LOGIN_REQUEST_LIFETIME + timedelta(seconds=1), tick=False):
        refused(company.answer(browser, sent), "saml.unsolicited")


def test_a_disabled_identity_provider_answers_nobody(company, browser):
    sent = company.ask(browser)
    company.identity_provider.enabled = False
    company.identity_provider.save()
    raise_version()
    refused(company.answer(browser, sent), "signon.identity_provider_disabled")
    assert not Session.objects.exists()


def test_a_session_of_a_closed_account_opens_nothing(company, browser):
    company.sign_on(browser)
    Person.objects.update(is_active=False)
    assert answer_of(company.ask(browser, prompt="none"))["error"] == "login_required"


@pytest.mark.parametrize("elapsed", [limits.SESSION_IDLE, limits.SESSION_ABSOLUTE])
def test_a_session_that_is_over_opens_nothing(company, browser, elapsed):
    company.sign_on(browser)
    with time_machine.travel(timezone.now() + elapsed + timedelta(seconds=1), tick=False):
        assert answer_of(company.ask(browser, prompt="none"))["error"] == "login_required"


def test_a_foreign_session_cookie_opens_nothing(company, browser):
    make_session(identity_provider=company.identity_provider)
    browser.http.cookies["countersign-session"] = "another-value-0123456789abcdef"
    assert answer_of(company.ask(browser, prompt="none"))["error"] == "login_required"


def test_the_stored_answer_is_sealed_and_emptied_once_judged(company, browser):
    sent = company.ask(browser)
    request = read_request(sent)
    answer = company.fake.answer(request_id=request.get("ID"), acs_url=company.acs_url, audience=company.audience)
    login = LoginRequest.objects.get()
    there = browser.post(company.acs_url, {"SAMLResponse": answer, "RelayState": login.relay_state})
    login.refresh_from_db()
    assert login.raw_answer
    assert answer[:40] not in login.raw_answer
    browser.follow(there)
    login.refresh_from_db()
    assert login.raw_answer == ""


def test_the_error_page_leads_back_to_the_application(company, browser):
    page = company.sign_on(browser, flaw="wrong_audience").content.decode()
    assert "Back to the application" in page
    assert "error=access_denied" in page


def test_another_person_than_the_hint_names_is_told_to_the_application(company, browser):
    tokens = company.redeem(answer_of(company.sign_on(browser))["code"]).json()
    attributes = {**ATTRIBUTES, "mail": ["bob@acme.example"]}
    ask = {"id_token_hint": tokens["id_token"]}
    told = answer_of(company.sign_on(Browser(), ask=ask, subject="bob", attributes=attributes))
    assert (told["error"], told["state"]) == ("login_required", "the-state")
    assert Session.objects.count() == 1
    assert Event.objects.filter(type="login.refused", code="oauth.login_required").exists()
