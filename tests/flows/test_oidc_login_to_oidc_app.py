"""The main job once more: a person signs on at an OpenID provider and arrives in an OpenID application."""

import json
import logging
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from django.apps import apps
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from broker import limits
from broker.directory.models import LinkedIdentity, Person
from broker.events.models import Event
from broker.keys import jose
from broker.keys.services import public_keys
from broker.keys.values import Expectation
from broker.registry.cache import raise_version
from broker.sessions.models import Participant, Session
from broker.traces.models import Trace
from broker.traces.services import read_trace
from federation.claims.models import ContextMapping
from federation.signon.models import LoginRequest
from tests.factories import link, make_application, make_client, make_person
from tests.fakes.fake_op import ALICE, CLIENT_ID, CLIENT_SECRET, read_request, s256
from tests.flows.openid_stage import OpenIDCompany, make_openid_company
from tests.flows.stage import Browser, Company, answer_of, make_company, unverified_claims

pytestmark = pytest.mark.django_db
MFA = "https://refeds.org/profile/mfa"


@pytest.fixture
def company(fake_op) -> OpenIDCompany:
    return make_openid_company(fake_op)


@pytest.fixture
def browser() -> Browser:
    return Browser()


def refused(response, code: str) -> None:
    """Asserts a refusal page with its code, trace and event, and that no door opened."""
    assert response.status_code >= 400, response["Location"]
    assert code in response.content.decode()
    trace = Trace.objects.get(pk=response["Countersign-Trace"])
    assert (trace.outcome, trace.code) == ("refused", code)
    assert Event.objects.filter(type="login.refused", code=code, trace_id=trace.pk).exists()


def entries(name: str = "") -> list[dict]:
    found = [entry for trace in Trace.objects.all() for hop in read_trace(trace.pk) for entry in hop["entries"]]
    return [entry for entry in found if name in (entry.get("name", ""), entry.get("title", ""), "")]


# Arriving -------------------------------------------------------------------------------------------------------------


def test_a_person_arrives_with_the_released_claims(company, browser):
    tokens = company.redeem(answer_of(company.sign_on(browser))["code"]).json()
    claims = unverified_claims(tokens["id_token"])
    person = Person.objects.get()
    assert claims["sub"] == str(person.pk) != ALICE["sub"]
    assert claims["iss"] == "http://localhost:8000"
    assert claims["nonce"] == "the-nonce"
    assert (claims["email"], claims["given_name"]) == ("alice@globex.example", "Alice")
    assert claims["groups"] == ["engineering", "on call"]
    linked = LinkedIdentity.objects.get()
    assert (linked.issuer, linked.subject) == (company.fake.issuer, ALICE["sub"])


def test_every_step_leaves_its_evidence(company, browser):
    company.sign_on(browser)
    trace = Trace.objects.get()
    assert (trace.outcome, trace.connection) == ("succeeded", "globex")
    assert [hop["name"] for hop in read_trace(trace.pk)] == ["GET authorization request", "GET OpenID callback"]
    checks = [entry for entry in entries() if entry["type"] == "check"]
    assert len(checks) > 30
    assert all(check["passed"] for check in checks)
    assert {"answer issuer", "jwt.check_signature", "ID token nonce"} <= {check["name"] for check in checks}
    assert json.loads(entries("ID token claims")[0]["text"])["sub"] == ALICE["sub"]


def test_the_request_says_who_we_are_and_is_bound_to_this_sign_on(company, browser):
    asked = read_request(company.ask(browser)["Location"])
    login = LoginRequest.objects.get()
    assert asked["response_type"] == "code"
    assert asked["client_id"] == CLIENT_ID
    assert asked["redirect_uri"] == company.callback_url
    assert asked["scope"] == "openid profile email"
    assert asked["state"] == login.relay_state
    assert asked["code_challenge_method"] == "S256"
    assert len(asked["code_challenge"]) == len(asked["nonce"]) == 43
    assert not {"prompt", "max_age", "acr_values", "login_hint", "next", "client_secret"} & asked.keys()


def test_pkce_is_sent_always_even_to_a_provider_that_does_not_announce_it(fake_op, browser):
    fake_op.document = {"code_challenge_methods_supported": ...}
    company = make_openid_company(fake_op)
    assert read_request(company.ask(browser)["Location"])["code_challenge_method"] == "S256"
    answer_of(company.sign_on(browser))
    _, form = fake_op.token_requests[0]
    assert 43 <= len(form["code_verifier"]) <= 128


def test_each_sign_on_has_its_own_state_nonce_and_challenge(company):
    asked = [read_request(company.ask(Browser())["Location"]) for _ in range(2)]
    for name in ("state", "nonce", "code_challenge"):
        assert asked[0][name] != asked[1][name]


def test_another_provider_gets_another_nonce_and_challenge_for_the_same_sign_on(company, browser):
    make_company()
    flow = company.ask(browser)["Location"].partition("flow=")[2]
    choice = {"flow": flow, "identity_provider": "globex"}
    first, second = (read_request(browser.post("/signon/choose", choice)["Location"]) for _ in range(2))
    assert first["state"] == second["state"]
    assert first["nonce"] != second["nonce"]
    assert first["code_challenge"] != second["code_challenge"]


def test_the_scopes_of_the_row_are_asked_for(fake_op, browser):
    company = make_openid_company(fake_op, scopes=["openid", "groups", "offline"])
    assert read_request(company.ask(browser)["Location"])["scope"] == "openid groups offline"


def test_an_endpoint_with_a_query_of_its_own_keeps_it(fake_op, browser):
    fake_op.document = {"authorization_endpoint": f"{fake_op.issuer}/authorize?policy=b2c"}
    company = make_openid_company(fake_op)
    asked = read_request(company.ask(browser)["Location"])
    assert (asked["policy"], asked["response_type"]) == ("b2c", "code")


def test_the_login_hint_is_passed_on(company, browser):
    sent = company.ask(browser, login_hint="alice@globex.example")
    assert read_request(sent["Location"])["login_hint"] == "alice@globex.example"


def test_a_second_application_needs_no_second_sign_on_across_the_protocols(company, browser):
    saml = make_company()
    company.sign_on(browser, ask={"idp_hint": "globex"})
    other = Company(saml.identity_provider, saml.fake, make_client(application=make_application()))
    other.client.redirect_uris = ["https://crm.example/callback"]
    other.client.save()
    assert "code" in answer_of(other.ask(browser))
    assert (Session.objects.count(), Participant.objects.count()) == (1, 2)


def test_a_returning_person_is_the_same_person_and_what_changed_follows(company):
    company.sign_on(Browser())
    company.sign_on(Browser(), person={**ALICE, "name": "Alice Berg", "groups": ["sales"]})
    person = Person.objects.get()
    assert person.name == "Alice Berg"
    assert list(person.groups.values_list("name", flat=True)) == ["sales"]


def test_keys_are_fetched_once_for_many_sign_ons(company, fake_op):
    for _ in range(3):
        answer_of(company.sign_on(Browser()))
    assert fake_op.count("/jwks") == 1


def test_a_provider_may_sign_with_an_elliptic_curve(fake_op, browser):
    from tests.fakes.tokens import ec_key

    fake_op.keys = {"op-ec": ec_key(number=7)}
    assert "code" in answer_of(make_openid_company(fake_op).sign_on(browser))


def test_headers_as_microsoft_sends_them_are_accepted(company, browser):
    assert "code" in answer_of(company.sign_on(browser, header={"x5t": "dGh1bWI", "typ": ...}))


# Who we are -----------------------------------------------------------------------------------------------------------


def test_basic_credentials_are_form_encoded_and_stand_nowhere_else(company, browser, fake_op):
    answer_of(company.sign_on(browser))
    headers, form = fake_op.token_requests[0]
    assert headers["authorization"].startswith("Basic ")
    assert not {"client_id", "client_secret", "client_assertion"} & form.keys()


def test_a_provider_that_does_not_decode_gets_the_secret_by_post(fake_op, browser):
    company = make_openid_company(fake_op, authentication="client_secret_post")
    answer_of(company.sign_on(browser))
    headers, form = fake_op.token_requests[0]
    assert "authorization" not in headers
    assert (form["client_id"], form["client_secret"]) == (CLIENT_ID, CLIENT_SECRET)


@pytest.mark.parametrize("audience", ["issuer", "token_endpoint"])
def test_a_client_assertion_is_signed_by_a_published_key_for_this_provider_alone(fake_op, browser, audience):
    fake_op.accepts = lambda headers, form: "client_assertion" in form and "authorization" not in headers
    company = make_openid_company(fake_op, authentication="private_key_jwt", assertion_audience=audience)
    answer_of(company.sign_on(browser))
    answer_of(company.sign_on(Browser()))
    (_, form), (_, later) = fake_op.token_requests
    assert form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    assert "client_secret" not in form
    verified = jose.verify(
        form["client_assertion"],
        Expectation(
            keys=public_keys("token"),
            types=frozenset({"JWT"}),
            max_bytes=limits.JWT_BEARER_BYTES,
            issuer=CLIENT_ID,
            audience=frozenset({fake_op.issuer if audience == "issuer" else f"{fake_op.issuer}/token"}),
            greatest_age=timedelta(seconds=30),
            greatest_lifetime=limits.OIDC_CLIENT_ASSERTION_LIFETIME,
            skew=timedelta(0),
            after_expiry=timedelta(0),
            required=frozenset({"sub", "jti"}),
            now=timezone.now(),
        ),
    )
    assert verified.claims["sub"] == CLIENT_ID
    assert unverified_claims(later["client_assertion"])["jti"] != verified.claims["jti"]


# Claims ---------------------------------------------------------------------------------------------------------------


def test_what_the_id_token_leaves_open_comes_from_userinfo(company, browser, fake_op):
    lean = dict.fromkeys(("email", "name", "given_name", "family_name", "groups"), ...)
    answer_of(company.sign_on(browser, claims=lean))
    assert fake_op.count("/userinfo") == 1
    assert Person.objects.get().given_name == "Alice"
    assert Person.objects.get().groups.count() == 2


def test_userinfo_is_not_asked_when_the_id_token_says_all(company, browser, fake_op):
    answer_of(company.sign_on(browser))
    assert fake_op.count("/userinfo") == 0


def test_userinfo_is_asked_for_a_claim_that_only_the_mapping_wants(fake_op, browser):
    company = make_openid_company(fake_op, claims={"department": ["dept", "ou"]})
    person = {**ALICE, "dept": "R&D"}
    answer_of(company.sign_on(browser, person=person, claims={"dept": ...}))
    assert fake_op.count("/userinfo") == 1
    assert Person.objects.get().claims["department"] == ["R&D"]


def test_the_signed_claim_comes_before_the_one_of_userinfo(company, browser):
    answer_of(company.sign_on(browser, claims={"email": ...}, userinfo={"name": "Mallory"}))
    assert Person.objects.get().name == "Alice Ålesund"


def test_a_provider_without_userinfo_is_not_asked(fake_op, browser):
    fake_op.document = {"userinfo_endpoint": ...}
    company = make_openid_company(fake_op)
    answer_of(company.sign_on(browser, claims={"email": ...}))
    assert fake_op.count("/userinfo") == 0


OVERAGES = {
    "distributed": {"groups": ..., "_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {"endpoint": "x"}}},
    "distributed beside some": {"groups": ["sales"], "_claim_names": {"groups": "src1"}},
    "hasgroups": {"groups": ..., "hasgroups": True},
    "hasgroups as text": {"groups": ..., "hasgroups": "true"},
    "more than can be believed": {"groups": [f"g{number}" for number in range(limits.OIDC_GROUPS + 1)]},
}


@pytest.mark.parametrize("overage", OVERAGES.values(), ids=OVERAGES.keys())
def test_groups_that_are_told_in_part_are_left_as_they_were_and_marked(company, overage):
    company.sign_on(Browser())
    answer_of(company.sign_on(Browser(), claims=overage, userinfo={"groups": ...}))
    assert set(Person.objects.get().groups.values_list("name", flat=True)) == {"engineering", "on call"}
    notes = [entry for entry in entries() if entry.get("text") == "Told only in part, so left as they were."]
    assert [note["values"] for note in notes] == [{"claims": "groups"}]
    first, second = Event.objects.filter(type="login.succeeded").order_by("pk")
    assert (first.details.get("incomplete"), second.details.get("incomplete")) == (None, ["groups"])


def test_as_many_groups_as_can_be_believed_are_all_kept(company, browser):
    groups = [f"g{number}" for number in range(limits.OIDC_GROUPS)]
    answer_of(company.sign_on(browser, claims={"groups": groups}))
    assert Person.objects.get().groups.count() == limits.OIDC_GROUPS


def test_no_groups_at_all_are_no_overage(company):
    company.sign_on(Browser())
    answer_of(company.sign_on(Browser(), claims={"groups": []}, userinfo={"groups": []}))
    assert Person.objects.get().groups.count() == 0


def test_claims_of_odd_shapes_are_named_and_not_read(company, browser):
    odd = {
        "address": {"locality": "Oslo"},
        "email_verified": True,
        "shoe_size": 41,
        "mixed": ["a", {"b": 1}],
        "no": None,
    }
    answer_of(company.sign_on(browser, claims=odd))
    assert [entry["values"]["names"] for entry in entries() if "shape" in entry.get("text", "")] == ["address, mixed"]


def test_the_subject_may_be_an_attribute_with_its_tenant(fake_op, browser):
    company = make_openid_company(fake_op, subject="attribute: oid with tid")
    answer_of(company.sign_on(browser, claims={"oid": "0a1b", "tid": "t-1"}))
    assert LinkedIdentity.objects.get().subject == "t-1/0a1b"


# Accounts -------------------------------------------------------------------------------------------------------------


def test_the_same_subject_of_the_same_issuer_at_two_registrations_is_two_people(fake_op):
    first = make_openid_company(fake_op)
    first.sign_on(Browser(), ask={"idp_hint": "globex"})
    second = make_openid_company(fake_op, "initech")
    second.sign_on(Browser(), ask={"idp_hint": "initech"}, claims={"email": ...}, userinfo={"email": ...})
    assert Person.objects.count() == LinkedIdentity.objects.filter(subject=ALICE["sub"]).count() == 2


def test_an_equal_e_mail_links_nobody(company, browser):
    organisation = company.identity_provider.organisation
    acme = make_company(organisation=organisation)
    acme.sign_on(Browser(), attributes={"mail": ["alice@globex.example"]}, ask={"idp_hint": "acme-idp"})
    refused(company.sign_on(browser, ask={"idp_hint": "globex"}), "authority.identifier_taken")
    assert Person.objects.count() == Session.objects.count() == 1


def test_a_foreign_domains_e_mail_is_dropped_even_when_it_is_called_verified(company, browser):
    answer_of(company.sign_on(browser, claims={"email": "ceo@acme.example", "email_verified": True}))
    assert not Person.objects.get().identifiers.exists()


@pytest.mark.parametrize("unverified", [False, "false"])
@pytest.mark.parametrize("place", ["claims", "userinfo"])
def test_an_e_mail_that_the_provider_calls_unverified_is_nobodys(company, browser, unverified, place):
    """Anybody may have entered the director's address as their own (nOAuth)."""
    told = {"email": "director@globex.example", "email_verified": unverified}
    lean = {} if place == "claims" else {"claims": {"email": ...}}
    answer_of(company.sign_on(browser, **{place: told}, **lean))
    assert not Person.objects.get().identifiers.exists()
    assert any("calls them unverified" in entry.get("text", "") for entry in entries())


def test_a_closed_account_opens_no_session(company, browser):
    person = make_person(organisation=company.identity_provider.organisation, is_active=False)
    link(person, company.identity_provider, ALICE["sub"])
    refused(company.sign_on(browser), "account.inactive")
    assert not Session.objects.exists()


@pytest.mark.parametrize(
    "subject",
    ["Alice-at-globex", "аlice-at-globex", "ａlice-at-globex"],
    ids=["case", "cyrillic", "wide"],
)
def test_a_subject_that_only_looks_like_the_victims_is_never_the_victim(company, subject):
    company.sign_on(Browser())
    victim = Person.objects.get()
    company.sign_on(Browser(), person={"sub": subject})
    assert list(LinkedIdentity.objects.filter(person=victim).values_list("subject", flat=True)) == [ALICE["sub"]]


@pytest.mark.parametrize(
    "subject",
    [" alice", "alice ", "ali\u200bce", "alice\u202e", "ali\nce", "e\u0301", "x" * (limits.OIDC_SUBJECT_CHARS + 1)],
)
def test_a_subject_that_two_readers_could_see_differently_is_refused(company, browser, subject):
    refused(company.sign_on(browser, person={"sub": subject}), "oidc.subject")
    assert not Person.objects.exists()


def test_a_subject_of_the_greatest_length_is_accepted(company, browser):
    answer_of(company.sign_on(browser, person={"sub": "x" * limits.OIDC_SUBJECT_CHARS}))


# Strength and freshness -----------------------------------------------------------------------------------------------


def test_prompt_login_and_max_age_go_upstream_and_are_judged(company, browser):
    company.sign_on(browser)
    sent = company.ask(browser, prompt="login")
    asked = read_request(sent["Location"])
    assert (asked["prompt"], asked["max_age"]) == ("login", "0")
    hour_ago = int((timezone.now() - timedelta(hours=1)).timestamp())
    refused(company.answer(browser, sent, claims={"auth_time": hour_ago}), "oidc.authentication_too_old")
    missing = company.answer(browser, company.ask(browser, prompt="login"), claims={"auth_time": ...})
    refused(missing, "oidc.authentication_too_old")
    assert "code" in answer_of(company.answer(browser, company.ask(browser, prompt="login")))


def test_max_age_is_passed_on_in_seconds(company, browser):
    company.sign_on(browser)
    with time_machine.travel(timezone.now() + timedelta(minutes=10), tick=False):
        asked = read_request(company.ask(browser, max_age="300")["Location"])
        assert (asked["prompt"], asked["max_age"]) == ("login", "300")


def test_a_session_knows_how_and_when_the_person_authenticated(company, browser):
    told = int((timezone.now() - timedelta(hours=1)).timestamp())
    company.sign_on(browser, claims={"auth_time": told, "acr": "urn:x", "amr": ["pwd", "otp"], "sid": "s-1"})
    session = Session.objects.get()
    assert int(session.authenticated_at.timestamp()) == told
    assert (session.context, list(session.methods)) == ("urn:x", ["pwd", "otp"])
    assert session.upstream == {"sub": ALICE["sub"], "sid": "s-1"}


def test_an_authentication_in_the_future_counts_as_now(company, browser):
    company.sign_on(browser, claims={"auth_time": int(timezone.now().timestamp()) + 3600})
    assert Session.objects.get().authenticated_at <= timezone.now()


def test_a_step_up_is_asked_in_the_providers_words_and_told_truthfully(company, browser):
    ContextMapping.objects.create(identity_provider=company.identity_provider, contexts={"loa3": "mfa"})
    raise_version()
    company.sign_on(browser, claims={"acr": "loa1"})
    sent = company.ask(browser, acr_values=MFA)
    assert read_request(sent["Location"])["acr_values"] == "loa3"
    stepped_up = company.answer(browser, sent, claims={"acr": "loa3"})
    assert unverified_claims(company.redeem(answer_of(stepped_up)["code"]).json()["id_token"])["acr"] == MFA
    weak = company.sign_on(Browser(), ask={"acr_values": MFA}, claims={"acr": "loa1"})
    assert unverified_claims(company.redeem(answer_of(weak)["code"]).json()["id_token"])["acr"] == "loa1"


# The callback: this browser, this sign-on, once -----------------------------------------------------------------------


def test_a_callback_without_this_browsers_state_is_refused_and_changes_no_session(company, browser, fake_op):
    company.sign_on(browser)
    before = Session.objects.values().get()
    for query in ("", "?code=x", "?state=&code=x", f"?state={'x' * 32}&code=x", "?state=%00&code=x"):
        refused(browser.get(company.callback_url + query), "signon.unknown")
    assert Session.objects.values().get() == before
    assert len(fake_op.token_requests) == 1


def test_an_answer_in_another_browser_is_refused_and_spoils_nothing(company, browser, fake_op):
    url = fake_op.authorize(company.ask(browser)["Location"])
    refused(Browser().get(url), "signon.other_browser")
    assert not fake_op.token_requests
    assert "code" in answer_of(browser.get(url))


def test_an_answer_is_good_once(company, browser, fake_op):
    url = fake_op.authorize(company.ask(browser)["Location"])
    answer_of(browser.get(url))
    refused(browser.get(url), "oidc.replayed")
    assert len(fake_op.token_requests) == 1
    assert Session.objects.count() == 1


def test_a_refused_answer_is_not_tried_twice(company, browser, fake_op):
    sent = company.ask(browser)
    refused(company.answer(browser, sent, claims={"nonce": "another"}), "oidc.nonce")
    refused(company.answer(browser, sent), "oidc.replayed")


def test_a_sign_on_that_took_too_long_is_refused(company, browser, fake_op):
    sent = company.ask(browser)
    with time_machine.travel(timezone.now() + limits.LOGIN_REQUEST_LIFETIME + timedelta(seconds=1), tick=False):
        refused(company.answer(browser, sent), "signon.expired")
    assert not fake_op.token_requests


def test_a_disabled_provider_answers_nobody(company, browser, fake_op):
    sent = company.ask(browser)
    company.identity_provider.enabled = False
    company.identity_provider.save()
    raise_version()
    refused(company.answer(browser, sent), "signon.identity_provider_disabled")
    assert not fake_op.token_requests


@pytest.mark.parametrize("name", ["code", "iss", "error"])
def test_a_parameter_that_stands_twice_is_refused(company, browser, fake_op, name):
    refused(company.sign_on(browser, answer={name: ["a", "b"]}), "oidc.answer")
    assert not fake_op.token_requests


def test_an_answer_without_a_code_is_refused(company, browser):
    refused(company.sign_on(browser, answer={"code": ...}), "oidc.answer")
    refused(company.sign_on(Browser(), answer={"code": ""}), "oidc.answer")


def test_a_query_that_is_no_text_is_refused(company, browser, fake_op):
    url = fake_op.authorize(company.ask(browser)["Location"], answer={"code": ...})
    refused(browser.http.get(f"{urlsplit(url).path}?{urlsplit(url).query}&code=%ff%fe"), "oidc.answer")


def test_the_providers_refusal_is_shown_in_the_trace(company, browser, fake_op):
    answer = {"code": ..., "error": "access_denied", "error_description": "not assigned to this app"}
    refused(company.sign_on(browser, answer=answer), "oidc.refused")
    assert entries("oidc.refused")[0]["actual"] == "access_denied: not assigned to this app"
    assert not fake_op.token_requests


def test_a_provider_that_cannot_reach_what_was_asked_says_so_through_us(company, browser, fake_op):
    error = {"code": ..., "error": "unmet_authentication_requirements", "error_description": "no second factor"}
    answer = company.sign_on(browser, ask={"acr_values": "https://refeds.org/profile/mfa"}, answer=error)
    assert answer_of(answer)["error"] == "unmet_authentication_requirements"
    assert entries("signon.context_not_reached")[0]["expected"] == "https://refeds.org/profile/mfa"
    assert not fake_op.token_requests


def test_a_provider_that_misses_a_context_nobody_asked_for_has_refused(company, browser):
    error = {"code": ..., "error": "unmet_authentication_requirements"}
    refused(company.sign_on(browser, answer=error), "oidc.refused")


def test_an_error_beside_a_code_is_an_error(company, browser, fake_op):
    refused(company.sign_on(browser, answer={"error": "server_error"}), "oidc.refused")
    assert not fake_op.token_requests


def test_the_error_page_leads_back_to_the_application(company, browser):
    page = company.sign_on(browser, claims={"nonce": "x"}).content.decode()
    assert "Back to the application" in page
    assert "error=access_denied" in page


def test_the_callback_is_for_openid_providers_and_by_get_only(company, browser):
    make_company()
    assert browser.get("/oidc/acme-idp/callback").status_code == 404
    assert browser.get("/oidc/nobody/callback").status_code == 404
    assert browser.post(company.callback_url, {"state": "x", "code": "x"}).status_code == 405
    assert browser.post("/saml/sp/globex/acs", {"SAMLResponse": "x"}).status_code == 404


# Cost and silence -----------------------------------------------------------------------------------------------------


def test_a_login_stays_within_the_budget_of_queries(fake_op, monkeypatch):
    monkeypatch.setattr(limits, "REGISTRY_POLL_INTERVAL", timedelta(hours=1))
    monkeypatch.setattr(limits, "KEY_POLL_INTERVAL", timedelta(hours=1))
    company = make_openid_company(fake_op)
    company.redeem(answer_of(company.sign_on(Browser()))["code"])
    with CaptureQueriesContext(connection) as captured:
        assert company.redeem(answer_of(company.sign_on(Browser()))["code"]).status_code == 200
    control = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE")
    counted = [query["sql"][:120] for query in captured if not query["sql"].startswith(control)]
    assert len(counted) <= 25, "\n".join(counted)


def test_no_secret_of_a_login_stands_in_a_log_line_a_table_or_a_trace(company, browser, fake_op, caplog):
    caplog.set_level(logging.DEBUG)
    url = fake_op.authorize(
        company.ask(browser)["Location"], claims={"email": ...}, tokens={"refresh_token": "rt-canary"}
    )
    answer_of(browser.get(url))
    _, form = fake_op.token_requests[0]
    sign_on = next(iter(fake_op._tokens.values()))
    secrets = {
        "code": form["code"],
        "code verifier": form["code_verifier"],
        "access token": sign_on.access_token,
        "refresh token": "rt-canary",
        "nonce": sign_on.request["nonce"],
        "client secret": CLIENT_SECRET,
        "session handle": browser.http.cookies["countersign-session"].value,
    }
    assert s256(form["code_verifier"]) == sign_on.request["code_challenge"]
    logged = "\n".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)
    rows = "\n".join(
        repr(row) for model in apps.get_models(include_auto_created=True) for row in model._base_manager.values_list()
    )
    traced = json.dumps(entries(), ensure_ascii=False)
    assert "oidc/" in logged
    assert fake_op.issuer in rows
    assert ALICE["sub"] in traced
    for place in (logged, rows, traced):
        assert [name for name, value in secrets.items() if value in place] == []
    for value in ("alice@globex.example", "Ålesund", ALICE["sub"]):
        assert value not in logged
    assert parse_qs(urlsplit(url).query)["code"] == [form["code"]]
