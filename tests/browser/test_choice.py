"""With two identity providers, the broker has to ask where a person comes from."""

import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from demo.keys import make_key_pair
from demo.saml_metadata import POST, REDIRECT, write_identity_provider
from tests.browser.demonstration import Demonstration
from tests.browser.visitor import Visitor, find_row

INITECH = """
organisations:
  - {{slug: initech, name: Initech, domains: [initech.example], owner: it@initech.example}}
identity_providers:
  - slug: initech
    organisation: initech
    name: Initech sign-on
    protocol: saml
    metadata_file: initech.xml
    home_realm_domains: [initech.example]
    enabled: {enabled}
"""
SECONDS_UNTIL_KNOWN = 15


@pytest.fixture(scope="module")
def initech(demonstration: Demonstration, browser: Browser) -> Iterator[str]:
    """A second identity provider, which wants its requests posted; the address that they go to."""
    sso_url = f"{demonstration.identity_provider}/initech"
    metadata = write_identity_provider(
        entity_id="https://idp.initech.example/saml",
        sso_url=sso_url,
        certificate=make_key_pair("idp.initech.example").certificate,
        scope="initech.example",
    )
    (demonstration.folder / "initech.xml").write_bytes(metadata.replace(REDIRECT.encode(), POST.encode()))
    demonstration.apply(INITECH.format(enabled="true"))
    _wait_until_offered(browser, demonstration)
    yield sso_url
    demonstration.apply(INITECH.format(enabled="false"))


@pytest.fixture
def chooser(visitor: Visitor, initech: str) -> Visitor:
    """A person who is asked where they work."""
    visitor.page.goto(f"{visitor.demonstration.crm}/sign-on")
    expect(visitor.page.get_by_role("heading", name="Where do you work?")).to_be_visible()
    return visitor


def test_the_page_names_the_application_and_the_companies(chooser: Visitor) -> None:
    expect(chooser.page.get_by_text("You are signing on to Acme CRM.")).to_be_visible()
    for name, company in (("Acme Identity", "Acme"), ("Initech sign-on", "Initech")):
        expect(chooser.page.get_by_role("listitem").filter(has_text=name)).to_have_text(f"{name} {company}")
    chooser.look("broker-choose")


def test_an_email_address_leads_to_its_companys_identity_provider(
    chooser: Visitor, demonstration: Demonstration
) -> None:
    chooser.page.get_by_label("Your e-mail address at work").fill("alice@acme.example")
    chooser.page.get_by_role("button", name="Continue").click()
    chooser.page.get_by_role("button", name="Alice Moreau").click()
    chooser.page.wait_for_url(f"{demonstration.crm}/")
    expect(find_row(chooser.page, "email").get_by_role("cell").first).to_have_text("alice@acme.example")


def test_an_address_that_nobody_serves_is_said_so_and_one_can_go_on(
    chooser: Visitor, demonstration: Demonstration
) -> None:
    chooser.page.get_by_label("Your e-mail address at work").fill("milton@nowhere.example")
    chooser.page.get_by_role("button", name="Continue").click()
    expect(chooser.page.get_by_role("alert")).to_contain_text("No sign-on is known for this e-mail address.")
    expect(chooser.page.get_by_label("Your e-mail address at work")).to_have_value("milton@nowhere.example")
    chooser.look("broker-choose-unknown")
    chooser.page.get_by_role("button", name="Acme Identity").click()
    chooser.page.get_by_role("button", name="Alice Moreau").click()
    chooser.page.wait_for_url(f"{demonstration.crm}/")


def test_what_is_no_address_is_not_sent(chooser: Visitor) -> None:
    before = chooser.page.url
    chooser.page.get_by_label("Your e-mail address at work").fill("milton")
    chooser.page.get_by_role("button", name="Continue").click()
    assert chooser.page.evaluate("document.querySelector('#email:invalid') !== null")
    assert chooser.page.url == before


def test_choosing_needs_no_mouse(chooser: Visitor) -> None:
    chooser.tab_to(chooser.page.get_by_role("button", name="Continue"))
    chooser.tab_to(chooser.page.get_by_role("button", name="Acme Identity"))
    chooser.page.keyboard.press("Enter")
    expect(chooser.page.get_by_role("heading", name="Who are you?")).to_be_visible()


def test_typing_an_address_needs_no_mouse(chooser: Visitor) -> None:
    expect(chooser.page.get_by_label("Your e-mail address at work")).to_be_focused()
    chooser.page.keyboard.type("carol@acme.example")
    chooser.page.keyboard.press("Enter")
    expect(chooser.page.get_by_role("heading", name="Who are you?")).to_be_visible()


def test_a_request_that_is_posted_can_be_sent_by_hand_where_scripts_do_not_run(chooser: Visitor, initech: str) -> None:
    chooser.page.route("**/post_form*.js", lambda route: route.fulfill(content_type="text/javascript", body=""))
    chooser.page.route(initech, lambda route: route.fulfill(status=204))
    chooser.page.get_by_role("button", name="Initech sign-on").click()
    expect(chooser.page.get_by_role("heading", name="Passing you on")).to_be_visible()
    chooser.look("broker-post-form")
    with chooser.page.expect_request(initech) as sent:
        chooser.page.get_by_role("button", name="Continue").click()
    assert "SAMLRequest=" in (sent.value.post_data or "")


def test_a_request_that_is_posted_goes_by_itself(chooser: Visitor, initech: str) -> None:
    chooser.page.route(initech, lambda route: route.fulfill(status=204))
    with chooser.page.expect_request(initech) as sent:
        chooser.page.get_by_role("button", name="Initech sign-on").click()
    assert sent.value.method == "POST"


def _wait_until_offered(browser: Browser, demonstration: Demonstration) -> None:
    """The web server looks for changes of the registry twice a second."""
    somebody = Visitor(browser, demonstration)
    deadline = time.monotonic() + SECONDS_UNTIL_KNOWN
    while not somebody.page.get_by_role("button", name="Initech sign-on").is_visible():
        assert time.monotonic() < deadline, "Initech is not among the companies to choose from"
        somebody.page.goto(f"{demonstration.crm}/sign-on")
    somebody.close()
