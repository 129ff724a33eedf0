"""What a company's identity provider does wrong is refused with its code, and no application hears of anybody."""

from collections.abc import Callable

import pytest

from tests.peers.broker import BASE_URL, Broker
from tests.peers.browser import Browser, Page
from tests.peers.companies import Company
from tests.peers.relying_parties import RelyingParty
from tests.peers.simplesamlphp import IdentityProvider

NewBrowser = Callable[..., Browser]
IDENTITY_PROVIDERS = dict[str, IdentityProvider]


def refused(broker: Broker, page: Page, code: str) -> None:
    """Asserts that `page` is the broker's refusal, and that trace and book say the same."""
    assert page.url.startswith(BASE_URL), f"{page.status} at {page.url}: {page.text[:300]}"
    assert 400 <= page.status < 500
    assert code in page.text
    assert page.trace_id in page.text
    told = broker.trace(page.trace_id)
    assert (told["header"]["outcome"], told["header"]["code"]) == ("refused", code)
    assert ("login.refused", code) in [(event["type"], event["code"]) for event in told["events"]]


@pytest.mark.parametrize(
    ("slug", "code"),
    [
        ("transient", "saml.subject"),
        ("unsigned", "saml.unsigned"),
        ("sha1", "saml.algorithm"),
        ("slow", "saml.expired"),
        ("fast", "saml.not_yet_valid"),
    ],
)
def test_a_flawed_answer_is_refused(
    slug: str,
    code: str,
    broker: Broker,
    openid_client: RelyingParty,
    companies: dict[str, Company],
    new_browser: NewBrowser,
) -> None:
    browser = new_browser(companies[slug])
    refused(broker, browser.visit(openid_client.at("/whoami")), code)
    browser.forget_hops()
    browser.visit(openid_client.at("/whoami"))
    assert browser.went_to(companies[slug].base), "a refused answer has opened a session"


def test_a_key_that_was_never_registered_is_refused(
    broker: Broker,
    identity_providers: IDENTITY_PROVIDERS,
    mozilla: RelyingParty,
    companies: dict[str, Company],
    new_browser: NewBrowser,
) -> None:
    before, after = new_browser(companies["rekeyed"]), new_browser(companies["rekeyed"])
    assert before.visit(mozilla.at("/whoami")).json["email"] == "alice@rekeyed.example"
    identity_providers["rekeyed"].make_key()
    refused(broker, after.visit(mozilla.at("/whoami")), "saml.signature")


def test_a_key_is_accepted_once_its_metadata_is_applied(
    broker: Broker,
    identity_providers: IDENTITY_PROVIDERS,
    openid_client: RelyingParty,
    companies: dict[str, Company],
    new_browser: NewBrowser,
) -> None:
    identity_providers["rekeyed"].make_key()
    broker.apply()
    told = new_browser(companies["rekeyed"]).visit(openid_client.at("/whoami")).json
    assert told["userinfo"]["email"] == "alice@rekeyed.example"


def test_an_answer_that_nobody_asked_for_is_refused(
    broker: Broker, companies: dict[str, Company], new_browser: NewBrowser
) -> None:
    browser = new_browser(companies["both"])
    entity_id = f"{BASE_URL}/saml/sp/both/metadata"
    page = browser.visit(f"{companies['both'].base}/saml2/idp/SSOService.php?spentityid={entity_id}")
    refused(broker, page, "saml.unsolicited")


def test_an_e_mail_address_of_another_company_is_dropped(
    broker: Broker, openid_client: RelyingParty, companies: dict[str, Company], new_browser: NewBrowser
) -> None:
    browser = new_browser(companies["foreign"])
    told = browser.visit(openid_client.at("/whoami")).json
    assert told["userinfo"]["given_name"] == "Alice"
    assert "email" not in told["userinfo"]
    assert "email" not in told["claims"]
    failed = [
        entry["expected"]
        for trace_id in browser.trace_ids
        for hop in broker.trace(trace_id)["hops"]
        for entry in hop["entries"]
        if entry["type"] == "check" and not entry["passed"]
    ]
    assert failed == ["email in foreign.example"]


def test_an_application_that_needs_the_dropped_address_lets_nobody_in(
    broker: Broker, mozilla: RelyingParty, companies: dict[str, Company], new_browser: NewBrowser
) -> None:
    page = new_browser(companies["foreign"]).visit(mozilla.at("/whoami"))
    assert (page.url, page.status) == (mozilla.at("/failed"), 403)
