"""No secret, token, code or assertion stands in a log line, or in clear in any table."""

import logging

import pytest
from django.apps import apps
from django.conf import settings
from django.test import Client as DjangoClient

from broker.keys.services import saml_decryption_keys
from tests.factories import CLIENT_SECRET
from tests.flows.stage import Browser, answer_of, make_company

pytestmark = pytest.mark.django_db


def dump() -> str:
    """Every value of every row of every table."""
    return "\n".join(
        repr(row) for model in apps.get_models(include_auto_created=True) for row in model._base_manager.values_list()
    )


def log_of(caplog: pytest.LogCaptureFixture) -> str:
    """Every record of the login, with all that it carries."""
    return "\n".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.get_records("setup"))


@pytest.fixture
def secrets_of_a_login(caplog) -> dict[str, str]:
    """What a whole login and a refresh bring into the world; the log of it is in `caplog`."""
    caplog.set_level(logging.DEBUG)
    company, browser = make_company(), Browser()
    sent = company.ask(browser, scope="openid profile email offline_access", prompt="consent")
    response = company.answer(browser, sent)
    code = answer_of(response)["code"]
    tokens = company.redeem(code).json()
    again = company.redeem("", grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    assert again.status_code == 200, again.content
    bearer = {"authorization": f"Bearer {tokens['access_token']}"}
    assert DjangoClient().get("/oauth/userinfo", headers=bearer).status_code == 200
    company.redeem(code)
    company.redeem("a-code-that-nobody-issued-0123456789")
    key = saml_decryption_keys()[0].private_numbers()
    return {
        "client secret": CLIENT_SECRET,
        "code": code,
        "unknown code": "a-code-that-nobody-issued-0123456789",
        "code verifier": company.verifier,
        "access token": tokens["access_token"],
        "ID token": tokens["id_token"],
        "refresh token": tokens["refresh_token"],
        "refresh token's child": again.json()["refresh_token"],
        "session handle": browser.http.cookies["countersign-session"].value,
        "flow cookie": browser.http.cookies["countersign-flow"].value,
        "private key": f"{key.d:x}"[:40],
        "secret key": settings.SECRET_KEY,
    }


def test_no_log_line_holds_a_secret(secrets_of_a_login, caplog):
    logged = log_of(caplog)
    assert "oauth/token" in logged, "the log has to be captured for this test to mean anything"
    assert [name for name, value in secrets_of_a_login.items() if value in logged] == []


def test_no_log_line_holds_a_persons_name_or_address(secrets_of_a_login, caplog):
    logged = log_of(caplog)
    for value in ("alice@acme.example", "Ålesund", "engineering"):
        assert value not in logged


def test_no_table_holds_a_secret_in_clear(secrets_of_a_login):
    rows = dump()
    assert "acme-idp" in rows, "the dump has to hold rows for this test to mean anything"
    assert [name for name, value in secrets_of_a_login.items() if value in rows] == []
