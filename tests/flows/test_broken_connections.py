"""Every usual way of breaking a connection has a code of its own, and its trace names expected and actual.

`docs/broken_connections.md` is the table for operators: each of its rows is broken here, and compared.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from broker.refusals import CATALOGUE
from broker.traces.models import Trace
from broker.traces.services import read_trace
from tests.fakes.fake_op import FakeOpenIDProvider, http
from tests.fakes.saml_keys import key_pair
from tests.fakes.tokens import rs256, rsa_key
from tests.flows.openid_stage import OpenIDCompany, make_openid_company
from tests.flows.stage import Browser, make_company

pytestmark = pytest.mark.django_db
PAGE = Path(__file__).resolve().parents[2] / "docs" / "broken_connections.md"
ROWS = list(
    re.finditer(
        r"^\| (?P<way>[^|]+) \| `(?P<code>[a-z_.]+)` \| (?P<expected>[^|]+) \| (?P<actual>[^|]+) \|$",
        PAGE.read_text(),
        re.MULTILINE,
    )
)
SignOn = Callable[[FakeOpenIDProvider], Any]
TEN_MINUTES = timedelta(minutes=10)
LEAN = {"claims": {"email": ...}}
"""An ID token that leaves the e-mail address to userinfo."""


def saml(**options: Any) -> SignOn:
    """A SAML sign-on whose answer has these options."""
    return lambda _fake_op: make_company().sign_on(Browser(), **options)


def saml_by_a_clock(*, ahead: timedelta) -> SignOn:
    return lambda _fake_op: make_company().sign_on(Browser(), now=datetime.now(UTC) + ahead)


def saml_again(_fake_op: FakeOpenIDProvider) -> Any:
    company, browser = make_company(), Browser()
    sent = company.ask(browser)
    company.answer(browser, sent)
    return company.answer(browser, sent)


def saml_unasked(_fake_op: FakeOpenIDProvider) -> Any:
    company, browser = make_company(), Browser()
    answer = company.fake.answer(acs_url=company.acs_url, audience=company.audience, request_id=None)
    return browser.follow(browser.post(company.acs_url, {"SAMLResponse": answer}))


def saml_outside_the_domains(_fake_op: FakeOpenIDProvider) -> Any:
    company = make_company(outside_authority="refuse")
    return company.sign_on(Browser(), attributes={"mail": ["alice@elsewhere.example"]})


def openid(**options: Any) -> SignOn:
    """An OpenID sign-on whose answer has these options."""
    return lambda fake_op: make_openid_company(fake_op).sign_on(Browser(), **options)


def openid_after(change: Callable[[OpenIDCompany], None], **options: Any) -> SignOn:
    """An OpenID sign-on after `change`, whose answer has these options."""

    def sign_on(fake_op: FakeOpenIDProvider) -> Any:
        company = make_openid_company(fake_op)
        change(company)
        return company.sign_on(Browser(), **options)

    return sign_on


def openid_late(fake_op: FakeOpenIDProvider) -> Any:
    now = int(datetime.now(UTC).timestamp())
    return make_openid_company(fake_op).sign_on(Browser(), claims={"iat": now - 900, "exp": now - 600})


def reject_us(company: OpenIDCompany) -> None:
    company.fake.accepts = lambda _headers, _form: False


def answer_html(path: str) -> Callable[[OpenIDCompany], None]:
    def change(company: OpenIDCompany) -> None:
        company.fake.raw[path] = http("<html>", content_type="text/html")

    return change


def registered(**fields: Any) -> SignOn:
    """A SAML sign-on through an identity provider with these fields."""
    return lambda _fake_op: make_company(**fields).sign_on(Browser())


def switched_off(_fake_op: FakeOpenIDProvider) -> Any:
    company = make_company(enabled=False)
    return company.ask(Browser(), idp_hint=company.identity_provider.slug)


def another_browser(_fake_op: FakeOpenIDProvider) -> Any:
    company = make_company()
    return company.answer(Browser(), company.ask(Browser()))


def asked(**changes: Any) -> SignOn:
    """An application's request with these parameters."""
    return lambda _fake_op: make_company().ask(Browser(), **changes)


WAYS: dict[str, SignOn] = {
    "SAML: the signing certificate was replaced, and nobody told us": saml(flaw="unknown_key"),
    "SAML: signing was switched off": saml(flaw="unsigned"),
    "SAML: signing was set to SHA-1": saml(flaw="sha1"),
    "SAML: the identity provider's clock is ten minutes late": saml_by_a_clock(ahead=-TEN_MINUTES),
    "SAML: the identity provider's clock is ten minutes ahead": saml_by_a_clock(ahead=TEN_MINUTES),
    "SAML: the audience is an old entityID of ours": saml(audience="https://old.example/saml"),
    "SAML: the destination is an old address of ours": saml(destination="https://old.example/acs"),
    "SAML: the identity provider got a new entityID": saml(issuer="https://new.example/saml"),
    "SAML: the NameID became transient": saml(flaw="transient"),
    "SAML: assertions are encrypted for an old key of ours": saml(
        encrypt="gcm", encryption_certificate=key_pair("an old key of ours").der
    ),
    "SAML: the person was not assigned to us": saml(status=("Responder", "RequestDenied")),
    "SAML: a tile of the identity provider's portal was clicked": saml_unasked,
    "SAML: the answer was sent again with the back button": saml_again,
    "SAML: the e-mail address is at a domain that nobody proved": saml_outside_the_domains,
    "OpenID: our secret there ran out": openid_after(reject_us),
    "OpenID: it signs with a key that it does not publish": openid(header={"kid": "new"}),
    "OpenID: the published key is not the one that signs": openid(sign=rs256(rsa_key(number=3))),
    "OpenID: its key set is a page in HTML": openid_after(answer_html("/jwks")),
    "OpenID: the issuer became that of another tenant": openid(claims={"iss": "https://other-tenant.example"}),
    "OpenID: the ID token is meant for another client": openid(claims={"aud": "another-client"}),
    "OpenID: the ID token was kept back for ten minutes": openid_late,
    "OpenID: the nonce is lost": openid(claims={"nonce": "another"}),
    "OpenID: the answer names another issuer": openid(answer={"iss": "https://other-tenant.example"}),
    "OpenID: userinfo is about somebody else": openid(userinfo={"sub": "somebody-else"}, **LEAN),
    "OpenID: userinfo answers with a page in HTML": openid_after(answer_html("/userinfo"), **LEAN),
    "OpenID: the person was not assigned to us": openid(answer={"code": ..., "error": "access_denied"}),
    "Registration: the identity provider is switched off": switched_off,
    "Registration: unknown people are refused, and this one is unknown": registered(unknown_person="refuse"),
    "Browser: its cookies are blocked": another_browser,
    "Application: the redirect URI is not the registered one": asked(redirect_uri="https://crm.example/new"),
    "Application: it asks for a scope that nobody offers": asked(scope="openid payroll"),
    "Application: it sends no PKCE challenge": asked(code_challenge=None, code_challenge_method=None),
}


def test_the_page_has_every_way_and_no_other() -> None:
    assert [row["way"] for row in ROWS] == list(WAYS)


def test_every_way_has_a_code_of_its_own() -> None:
    codes = [row["code"] for row in ROWS]
    assert len(codes) == len(set(codes)) >= 15
    assert set(codes) <= {refusal.code for refusal in CATALOGUE}


@pytest.mark.parametrize("way", WAYS)
def test_a_broken_connection_says_what_was_expected_and_what_came(way: str, fake_op: FakeOpenIDProvider) -> None:
    response = WAYS[way](fake_op)
    [row] = [row for row in ROWS if row["way"] == way]
    trace = Trace.objects.get(pk=response["Countersign-Trace"])
    checks = [entry for hop in read_trace(trace.pk) for entry in hop["entries"] if entry["type"] == "check"]
    failed = [(entry["expected"], entry["actual"]) for entry in checks if not entry["passed"]]
    assert (trace.outcome, trace.code) == ("refused", row["code"]), failed
    assert any(fits(expected, row["expected"]) and fits(actual, row["actual"]) for expected, actual in failed), failed


def fits(value: str, told: str) -> bool:
    """Whether the page tells this value; its … stands for what differs from case to case."""
    return re.fullmatch(".+".join(re.escape(part) for part in told.split("…")), value, re.DOTALL) is not None
