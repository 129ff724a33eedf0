"""A person of a company with SimpleSAMLphp arrives in applications on two foreign OpenID Connect libraries."""

from collections.abc import Callable

import pytest

from tests.peers.broker import BASE_URL, Broker
from tests.peers.browser import Browser
from tests.peers.companies import Company
from tests.peers.relying_parties import RelyingParty

ACCEPTED = (
    "response",
    "assertion",
    "both",
    "encrypted",
    "encrypted-response",
    "encrypted-assertion",
    "email",
    "attribute",
)
NAMES = {"saml": "urn:oasis:names:tc:SAML:2.0:assertion", "ds": "http://www.w3.org/2000/09/xmldsig#"}
NewBrowser = Callable[..., Browser]


def signed_parts(browser: Browser) -> tuple[str, bool]:
    """How the last answer was signed on the wire, as `Habits.signed`, and whether its assertion was encrypted."""
    response = browser.last_message("SAMLResponse")
    places = {"response": "ds:Signature", "assertion": "saml:Assertion/ds:Signature"}
    parts = [part for part, path in places.items() if response.find(path, NAMES) is not None]
    return "both" if len(parts) == 2 else "".join(parts), response.find("saml:EncryptedAssertion", NAMES) is not None


@pytest.mark.parametrize("slug", ACCEPTED)
def test_a_person_arrives_in_mozilla_django_oidc(
    slug: str, broker: Broker, mozilla: RelyingParty, companies: dict[str, Company], new_browser: NewBrowser
) -> None:
    company = companies[slug]
    browser = new_browser(company)
    page = browser.visit(mozilla.at("/whoami"))
    assert page.json == {"peer": "mozilla-django-oidc", "email": f"alice@{company.domain}"}
    visible = {"both": "response", "assertion": ""} if company.habits.encrypted else {}
    signed = visible.get(company.habits.signed, company.habits.signed)
    assert signed_parts(browser) == (signed, company.habits.encrypted)


@pytest.mark.parametrize("slug", ACCEPTED)
def test_a_person_arrives_in_openid_client(
    slug: str, broker: Broker, openid_client: RelyingParty, companies: dict[str, Company], new_browser: NewBrowser
) -> None:
    company = companies[slug]
    told = new_browser(company).visit(openid_client.at("/whoami")).json
    assert told["claims"]["iss"] == BASE_URL
    assert told["claims"]["sub"] == told["userinfo"]["sub"]
    wanted = {
        "email": f"alice@{company.domain}",
        "name": "Alice Ålesund",
        "given_name": "Alice",
        "family_name": "Ålesund",
        "groups": ["engineering", "on call"],
    }
    assert {claim: told["userinfo"].get(claim) for claim in wanted} == wanted


def test_names_arrive_letter_by_letter(
    broker: Broker, openid_client: RelyingParty, companies: dict[str, Company], new_browser: NewBrowser
) -> None:
    told = new_browser(companies["encrypted"], name="bob").visit(openid_client.at("/whoami")).json
    assert told["userinfo"]["family_name"] == "O'Brien & <Sons>"


@pytest.mark.parametrize("slug", ["both", "email", "attribute"])
def test_a_person_who_comes_back_is_the_same_and_a_colleague_is_another(
    slug: str, broker: Broker, openid_client: RelyingParty, companies: dict[str, Company], new_browser: NewBrowser
) -> None:
    walks = [new_browser(companies[slug], name) for name in ("alice", "alice", "bob")]
    first, again, colleague = (browser.visit(openid_client.at("/whoami")).json["claims"]["sub"] for browser in walks)
    assert first == again
    assert first != colleague


def test_a_second_application_needs_no_second_sign_on(
    broker: Broker,
    mozilla: RelyingParty,
    openid_client: RelyingParty,
    companies: dict[str, Company],
    new_browser: NewBrowser,
) -> None:
    company = companies["both"]
    browser = new_browser(company)
    browser.visit(mozilla.at("/whoami"))
    assert browser.passwords_typed == 1
    browser.forget_hops()
    told = browser.visit(openid_client.at("/whoami")).json
    assert told["userinfo"]["email"] == f"alice@{company.domain}"
    assert not browser.went_to(company.base)


def test_tokens_are_renewed_and_still_tell_who_it_is(
    broker: Broker, openid_client: RelyingParty, companies: dict[str, Company], new_browser: NewBrowser
) -> None:
    browser = new_browser(companies["both"])
    before = browser.visit(openid_client.at("/whoami")).json
    for _ in range(3):
        after = browser.visit(openid_client.at("/refresh")).json
        assert after["rotated"]
        assert after["userinfo"] == before["userinfo"]


def test_a_logout_by_the_application_ends_the_session(
    broker: Broker, openid_client: RelyingParty, companies: dict[str, Company], new_browser: NewBrowser
) -> None:
    company = companies["both"]
    browser = new_browser(company)
    browser.visit(openid_client.at("/whoami"))
    assert browser.visit(openid_client.at("/logout")).json == {"signedOut": True}
    browser.forget_hops()
    browser.visit(openid_client.at("/whoami"))
    assert browser.went_to(company.base)
