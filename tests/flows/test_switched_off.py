"""An organisation that is switched off: no door of it opens any more, old or new."""

import pytest
from django.test import Client as DjangoClient

from broker.actors import SYSTEM
from broker.registry.registering.organisations import change_organisation
from tests.factories import make_identity_provider
from tests.flows.stage import Browser, answer_of, make_company

pytestmark = pytest.mark.django_db
OFFLINE = {"scope": "openid offline_access", "prompt": "consent"}


@pytest.fixture
def company():
    return make_company()


def switch_off(company) -> None:
    change_organisation(company.identity_provider.organisation, actor=SYSTEM, enabled=False)


def test_nobody_is_sent_to_its_identity_providers(company):
    make_identity_provider(slug="globex-idp", sso_url="https://globex.example/sso")
    switch_off(company)
    named = company.ask(Browser(), idp_hint="acme-idp")
    assert (named.status_code, "signon.identity_provider_disabled" in named.content.decode()) == (403, True)
    assert company.ask(Browser())["Location"].startswith("https://globex.example/sso?")


def test_an_answer_that_was_under_way_opens_nothing(company):
    browser = Browser()
    sent = company.ask(browser)
    switch_off(company)
    assert "signon.identity_provider_disabled" in company.answer(browser, sent).content.decode()


def test_its_sessions_and_tokens_end(company):
    browser = Browser()
    first = answer_of(company.sign_on(browser, ask=OFFLINE))["code"]
    tokens = company.redeem(first).json()
    second = answer_of(company.ask(browser))["code"]
    switch_off(company)
    assert answer_of(company.ask(browser, prompt="none"))["error"] == "login_required"
    assert company.redeem(second).json()["error"] == "invalid_grant"
    fields = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    assert company.redeem("", **fields).json()["error"] == "invalid_grant"
    bearer = {"authorization": f"Bearer {tokens['access_token']}"}
    assert DjangoClient().get("/oauth/userinfo", headers=bearer).status_code == 401
