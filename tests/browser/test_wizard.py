"""An operator takes up an identity provider and tries it out, by keyboard alone; a person ends sessions elsewhere."""

from collections.abc import Callable

from playwright.sync_api import Browser, Locator, expect

from tests.browser.demonstration import Demonstration
from tests.browser.visitor import Visitor

WELL_KNOWN = "/.well-known/openid-configuration"


def write(visitor: Visitor, field: Locator, text: str) -> None:
    """Walk to a field and write into it, in place of what stands there."""
    visitor.tab_to(field)
    visitor.page.keyboard.press("ControlOrMeta+A")
    visitor.page.keyboard.type(text)


def press(visitor: Visitor, target: Locator) -> None:
    """Walk to a button or link and press it."""
    visitor.tab_to(target)
    visitor.page.keyboard.press("Enter")


def test_the_wizard_leads_from_metadata_to_the_test_by_keyboard_alone(
    olga: Visitor, demonstration: Demonstration
) -> None:
    page = olga.page
    page.get_by_role("link", name="Identity providers").click()
    press(olga, page.get_by_role("link", name="Connect an identity provider"))
    expect(page.get_by_role("heading", name="Where does it describe itself?")).to_be_visible()
    olga.look("wizard-source")
    press(olga, page.get_by_role("button", name="Continue"))
    expect(page.get_by_role("alert")).to_contain_text("exactly one of the three")
    olga.look("wizard-source-refused")
    write(olga, page.get_by_label("Address"), f"{demonstration.identity_provider}/nothing-here")
    press(olga, page.get_by_role("button", name="Continue"))
    expect(page.get_by_text("(outgoing.refused)")).to_be_visible()
    write(olga, page.get_by_label("Address"), f"{demonstration.identity_provider}/metadata")
    press(olga, page.get_by_role("button", name="Continue"))
    expect(page.get_by_role("heading", name="This was found")).to_be_visible()
    expect(page.get_by_text("The identity provider acme-idp has the same issuer.")).to_be_visible()
    olga.look("wizard-preview")
    write(olga, page.get_by_label("Short name").first, "acme-idp")
    press(olga, page.get_by_role("button", name="Save and test"))
    expect(page.get_by_text("An identity provider with this short name is registered already.")).to_be_visible()
    olga.look("wizard-preview-refused")
    write(olga, page.get_by_label("Short name").first, "acme-second")
    olga.tab_to(page.get_by_label("E-mail domains that lead here"))
    page.keyboard.press("ControlOrMeta+A")
    page.keyboard.press("Delete")
    press(olga, page.get_by_role("button", name="Save and test"))
    expect(page.get_by_text("is registered and not enabled yet")).to_be_visible()
    expect(page.get_by_text("/saml/sp/acme-second/acs")).to_be_visible()
    olga.look("wizard-ready-for-the-test")
    press(olga, page.get_by_role("link", name="Start the test"))
    # The demonstration's provider knows only the service provider that it was set up with.
    expect(page.get_by_text("We do not know the service provider")).to_be_visible()


def test_the_wizard_reads_a_discovery_document(olga: Visitor, demonstration: Demonstration) -> None:
    page = olga.page
    page.goto(f"{demonstration.console}connections/new/")
    write(olga, page.get_by_label("Address"), f"{demonstration.addresses.globex}{WELL_KNOWN}")
    press(olga, page.get_by_role("button", name="Continue"))
    expect(page.get_by_text("OpenID Connect", exact=True)).to_be_visible()
    olga.look("wizard-preview-openid")


def test_a_connection_is_tried_out_and_the_result_explains_itself(olga: Visitor) -> None:
    page = olga.page
    page.get_by_role("link", name="Identity providers").click()
    page.get_by_role("link", name="acme-idp").click()
    press(olga, page.get_by_role("link", name="Test"))
    press(olga, page.get_by_role("link", name="Start the test"))
    page.get_by_role("button", name="Alice Moreau").click()
    expect(page.get_by_role("heading", name="The test passed.")).to_be_visible()
    expect(page.get_by_role("heading", name="What each application would be told")).to_be_visible()
    olga.look("test-passed")
    page.goto(olga.demonstration.broker)
    expect(page.get_by_role("heading", name="You are not signed on here")).to_be_visible()


def test_a_test_that_fails_says_what_was_expected(olga: Visitor, switch_fault: Callable[[str], None]) -> None:
    switch_fault("Expired assertion")
    page = olga.page
    page.goto(f"{olga.demonstration.console}connections/acme-idp/test/")
    page.get_by_role("link", name="Start the test").click()
    page.get_by_role("button", name="Alice Moreau").click()
    expect(page.get_by_role("heading", name="The test failed:")).to_be_visible()
    expect(page.get_by_text("saml.expired", exact=True).first).to_be_visible()
    olga.look("test-failed")


def test_a_person_ends_a_session_in_another_browser(
    visitor: Visitor, browser: Browser, demonstration: Demonstration
) -> None:
    # Another test may have left a session of hers.
    before = Visitor(browser, demonstration)
    before.sign_on(demonstration.crm, person="Carol Lindqvist")
    before.page.goto(demonstration.broker)
    everywhere = before.page.get_by_role("button", name="Sign out everywhere")
    press(before, everywhere if everywhere.is_visible() else before.page.get_by_role("button", name="Sign out"))
    expect(before.page.get_by_role("heading", name="You are signed out")).to_be_visible()
    before.close()
    elsewhere = Visitor(browser, demonstration)
    for one in (elsewhere, visitor):
        one.sign_on(demonstration.crm, person="Carol Lindqvist")
        one.page.goto(demonstration.broker)
    page = visitor.page
    expect(page.get_by_role("heading", name="In another browser")).to_be_visible()
    visitor.look("home-two-sessions")
    press(visitor, page.get_by_role("button", name="End this session"))
    expect(page.get_by_role("heading", name="In another browser")).to_be_hidden()
    expect(page.get_by_role("heading", name="You are signed on, Carol Lindqvist")).to_be_visible()
    elsewhere.page.reload()
    expect(elsewhere.page.get_by_role("heading", name="You are not signed on here")).to_be_visible()
    elsewhere.close()
