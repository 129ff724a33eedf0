"""Step-up: asked again only where the session is too weak, and what was reached is told truthfully."""

import pytest

from broker.events.models import Event
from broker.registry.cache import raise_version
from broker.sessions.models import Session
from federation.claims.models import ContextMapping
from tests.flows.stage import Browser, Company, answer_of, make_company, read_request, unverified_claims

pytestmark = pytest.mark.django_db
PASSWORD = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"
MFA = "https://refeds.org/profile/mfa"
OWN_MFA = "urn:acme:otp"
NS = {"samlp": "urn:oasis:names:tc:SAML:2.0:protocol", "saml": "urn:oasis:names:tc:SAML:2.0:assertion"}


@pytest.fixture
def company() -> Company:
    company = make_company()
    ContextMapping.objects.create(identity_provider=company.identity_provider, contexts={OWN_MFA: "mfa"})
    raise_version()
    return company


def acr_of(company, response) -> str:
    return unverified_claims(company.redeem(answer_of(response)["code"]).json()["id_token"])["acr"]


def test_a_weak_session_is_stepped_up_in_the_providers_own_words(company):
    browser = Browser()
    assert acr_of(company, company.sign_on(browser)) == PASSWORD
    sent = company.ask(browser, acr_values=MFA)
    asked = read_request(sent).findall(".//saml:AuthnContextClassRef", NS)
    assert [one.text for one in asked] == [OWN_MFA]
    assert acr_of(company, company.answer(browser, sent, context=OWN_MFA)) == MFA
    assert Session.objects.count() == 1


def test_a_strong_session_answers_weaker_and_equal_demands_without_going_upstream(company):
    browser = Browser()
    company.sign_on(browser, ask={"acr_values": MFA}, context=OWN_MFA)
    assert acr_of(company, company.ask(browser, acr_values=MFA)) == MFA
    assert acr_of(company, company.ask(browser, acr_values=PASSWORD)) == PASSWORD
    assert acr_of(company, company.ask(browser)) == MFA


def test_what_was_not_reached_is_told_as_it_is(company):
    assert acr_of(company, company.sign_on(Browser(), ask={"acr_values": MFA}, context=PASSWORD)) == PASSWORD


def test_a_weak_session_does_not_answer_a_passive_demand(company):
    browser = Browser()
    company.sign_on(browser)
    assert answer_of(company.ask(browser, acr_values=MFA, prompt="none"))["error"] == "login_required"
    assert Event.objects.get(type="login.refused").code == "signon.interaction_required"


def test_a_provider_that_cannot_reach_what_was_asked_is_told_in_openids_words(company):
    browser = Browser()
    answer = company.answer(browser, company.ask(browser, acr_values=MFA), status=("Responder", "NoAuthnContext"))
    assert answer_of(answer)["error"] == "unmet_authentication_requirements"
    assert Event.objects.get(type="login.refused").code == "signon.context_not_reached"
    assert not Session.objects.exists()


@pytest.mark.parametrize("acr_values", [" ".join(f"c{n}" for n in range(11)), "x" * 301])
def test_too_many_or_too_long_contexts_are_refused(company, acr_values):
    assert answer_of(company.ask(Browser(), acr_values=acr_values))["error"] == "invalid_request"
