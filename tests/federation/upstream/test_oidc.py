"""mozilla-django-oidc is under our walk, and nothing of what it would do by itself can be reached."""

import inspect
from typing import Any

import pytest
import requests
from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone
from mozilla_django_oidc import auth, views
from mozilla_django_oidc.auth import OIDCAuthenticationBackend

from broker.console.models import Operator
from broker.errors import BrokerError
from broker.registry.openid import discovery_of
from broker.traces.collector import Collector
from federation.upstream.base import UpstreamRequest
from federation.upstream.connectors import connector_for
from federation.upstream.oidc import Exchange, OIDCConnector, RelyingParty
from tests.fakes.tokens import hs256, unsigned
from tests.flows.openid_stage import make_openid_company
from tests.flows.stage import Browser, answer_of

pytestmark = pytest.mark.django_db

UNREACHABLE = (
    "retrieve_matching_jwk", "get_payload_data", "_verify_jws", "raise_token_response_error", "update_user",
    "get_username", "describe_user_by_claims", "get_user",
)  # fmt: skip
REPLACED = {
    "get_token", "verify_token", "store_tokens", "get_userinfo", "verify_claims", "filter_users_by_claims",
    "create_user", *UNREACHABLE,
}  # fmt: skip
KEPT = {"authenticate", "get_or_create_user"}
"""The library's walk, which calls the others."""


def make_party(company: Any) -> RelyingParty:
    row = company.identity_provider
    exchange = Exchange(row, discovery_of(row), UpstreamRequest("_1", "state", False, None))
    return RelyingParty(exchange, now=timezone.now(), trace=Collector())


def test_every_step_of_the_librarys_backend_is_replaced_or_known():
    own = {name for name, value in vars(OIDCAuthenticationBackend).items() if inspect.isroutine(value)}
    assert own - {"__init__", "get_settings"} == REPLACED | KEPT
    for name in REPLACED:
        assert getattr(RelyingParty, name) is not getattr(OIDCAuthenticationBackend, name)
    for name in KEPT:
        assert getattr(RelyingParty, name) is getattr(OIDCAuthenticationBackend, name)


def test_the_sign_on_really_walks_through_the_library(company, monkeypatch):
    walked = []

    def note(owner: Any, name: str) -> None:
        original = getattr(owner, name)

        def noted(*arguments: Any, **named: Any) -> Any:
            walked.append(name)
            return original(*arguments, **named)

        monkeypatch.setattr(owner, name, noted)

    note(OIDCAuthenticationBackend, "authenticate")
    note(OIDCAuthenticationBackend, "get_or_create_user")
    note(views.OIDCAuthenticationRequestView, "get")
    answer_of(company.sign_on(Browser()))
    assert walked == ["get", "authenticate", "get_or_create_user"]


def test_the_library_never_gets_to_its_own_way_out(company, monkeypatch):
    def unwanted(*arguments: Any, **named: Any) -> None:
        pytest.fail("requests was called")

    monkeypatch.setattr(requests.Session, "request", unwanted)
    monkeypatch.setattr(auth.requests, "get", unwanted)
    monkeypatch.setattr(auth.requests, "post", unwanted)
    answer_of(company.sign_on(Browser(), claims={"email": ...}))


@pytest.mark.parametrize("name", UNREACHABLE)
def test_what_the_library_would_do_by_itself_is_a_fault(company, name):
    with pytest.raises(BrokerError) as caught:
        getattr(make_party(company), name)("x", "y")
    assert caught.value.code == "service.fault"


def test_nobody_is_found_by_an_e_mail_address(company):
    Operator.objects.create(email="alice@globex.example", created_at=timezone.now())
    assert make_party(company).filter_users_by_claims({"email": "alice@globex.example"}) == []


def test_no_account_of_djangos_is_made_and_nobody_is_logged_in(company):
    browser = Browser()
    answer_of(company.sign_on(browser))
    assert not Operator.objects.exists()
    assert set(browser.http.cookies) == {"countersign-flow", "countersign-session"}
    assert not any("oidc" in backend for backend in django_settings.AUTHENTICATION_BACKENDS)
    assert not any("mozilla" in app for app in django_settings.INSTALLED_APPS)


SETTINGS = {
    "OIDC_ALLOW_UNSECURED_JWT": True,
    "OIDC_RP_SIGN_ALGO": "HS256",
    "OIDC_RP_CLIENT_SECRET": "another",
    "OIDC_RP_CLIENT_ID": "another",
    "OIDC_OP_TOKEN_ENDPOINT": "https://evil.example/token",
    "OIDC_OP_USER_ENDPOINT": "https://evil.example/userinfo",
    "OIDC_OP_JWKS_ENDPOINT": "https://evil.example/jwks",
    "OIDC_OP_AUTHORIZATION_ENDPOINT": "https://evil.example/authorize",
    "OIDC_RP_IDP_SIGN_KEY": "-----BEGIN PUBLIC KEY-----",
    "OIDC_RP_SCOPES": "openid evil",
    "OIDC_VERIFY_JWT": False,
    "OIDC_VERIFY_SSL": False,
    "OIDC_VERIFY_KID": False,
    "OIDC_USE_NONCE": False,
    "OIDC_USE_PKCE": False,
    "OIDC_CREATE_USER": False,
    "OIDC_STORE_ID_TOKEN": True,
    "OIDC_STORE_ACCESS_TOKEN": True,
    "OIDC_AUTH_REQUEST_EXTRA_PARAMS": {"redirect_uri": "https://evil.example/"},
    "OIDC_TOKEN_USE_BASIC_AUTH": False,
    "OIDC_PROXY": {"http": "http://evil.example"},
    "OIDC_USERNAME_ALGO": "evil.algo",
}


@pytest.mark.parametrize("name", SETTINGS)
def test_no_setting_of_the_librarys_changes_anything(company, settings, name):
    setattr(settings, name, SETTINGS[name])
    assert "code" in answer_of(company.sign_on(Browser()))


@pytest.mark.parametrize("header", [{"alg": "none"}, {"alg": "HS256"}])
def test_an_unsigned_token_passes_by_no_setting(refusal_of, settings, header):
    for name, value in SETTINGS.items():
        setattr(settings, name, value)
    sign = unsigned if header["alg"] == "none" else hs256(b"another")
    assert refusal_of(header=header, sign=sign) == (401, "oidc.algorithm")


def test_a_setting_that_the_library_asks_for_and_the_row_does_not_know_is_its_default_or_a_fault(company):
    party = make_party(company)
    assert party.get_settings("OIDC_ALLOW_UNSECURED_JWT", False) is False
    with pytest.raises(ImproperlyConfigured):
        party.get_settings("OIDC_ALLOW_UNSECURED_JWT")


def test_the_callback_is_ours_whatever_host_a_browser_names(company, fake_op):
    browser = Browser()
    sent = browser.http.get(
        "/oauth/authorize",
        {
            "client_id": company.client.client_id,
            "redirect_uri": "https://crm.example/callback",
            "response_type": "code",
            "scope": "openid",
            "code_challenge": "A" * 43,
            "code_challenge_method": "S256",
        },
        headers={"host": "127.0.0.1:9"},
    )
    assert (
        f"redirect_uri=http%3A%2F%2Flocalhost%3A8000%2Foidc%2F{company.identity_provider.slug}%2F" in sent["Location"]
    )


def test_a_row_without_its_document_asks_and_answers_nothing(company):
    row = company.identity_provider
    row.discovery = {}
    request = UpstreamRequest("_1", "state", False, None)
    for attempt in (
        lambda: OIDCConnector().start(row, request, trace=Collector()),
        lambda: OIDCConnector().finish(row, request, "state=state&code=x", trace=Collector()),
    ):
        with pytest.raises(BrokerError) as caught:
            attempt()
        assert caught.value.code == "oidc.not_registered"


def test_a_secret_that_does_not_open_sends_nothing(refusal_of, company, fake_op):
    company.identity_provider.client_secret_sealed = "k1.AAAA"
    company.identity_provider.save()
    assert refusal_of() == (503, "oidc.not_registered")
    assert not fake_op.token_requests


def test_an_answer_without_its_state_is_refused_by_the_connector_itself(company):
    request = UpstreamRequest("_1", "state", False, None)
    connector = connector_for(company.identity_provider)
    for query in ("code=x", "code=x&state=", "code=x&state=other"):
        with pytest.raises(BrokerError) as caught:
            connector.finish(company.identity_provider, request, query, trace=Collector())
        assert caught.value.code == "oidc.answer"


def test_nonce_and_verifier_follow_from_the_whole_question_and_differ(company):
    row = company.identity_provider
    questions = [UpstreamRequest(one, two, False, None) for one, two in (("_1", "a"), ("_2", "a"), ("_1", "b"))]
    exchanges = [Exchange(row, discovery_of(row), question) for question in questions]
    drawn = {value for exchange in exchanges for value in (exchange.nonce, exchange.code_verifier)}
    assert len(drawn) == 6
    again = Exchange(row, discovery_of(row), questions[0])
    assert (again.nonce, again.code_verifier) == (exchanges[0].nonce, exchanges[0].code_verifier)


def test_two_exchanges_share_nothing_though_the_librarys_settings_are_global(company, fake_op):
    other = make_openid_company(fake_op, "initech", client_id="other")
    first, second = make_party(company), make_party(other)
    assert first.get_settings("OIDC_RP_CLIENT_ID") == first.OIDC_RP_CLIENT_ID == company.identity_provider.client_id
    assert second.get_settings("OIDC_RP_CLIENT_ID") == second.OIDC_RP_CLIENT_ID == "other"


def test_the_operator_is_told_what_to_register(company):
    row = company.identity_provider
    assert dict(OIDCConnector().our_addresses(row)) == {
        "Redirect URI": company.callback_url,
        "Back-channel logout URI": company.callback_url.replace("/callback", "/backchannel-logout"),
    }
    row.authentication = "private_key_jwt"
    assert OIDCConnector().our_addresses(row)["JWK set"] == "http://localhost:8000/oauth/jwks"
