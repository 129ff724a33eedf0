"""All four pairs of protocols, a step-up and a refusal in each protocol, clicked as the page of links says."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.browser.demonstration import Demonstration
from tests.browser.visitor import Visitor, find_row

MFA = "https://refeds.org/profile/mfa"


def follow_link(visitor: Visitor, label: str) -> None:
    """Click one of the links of what to click."""
    visitor.page.goto(f"{visitor.demonstration.broker}/")
    visitor.page.get_by_role("link", name=label, exact=True).click()


def hello(visitor: Visitor, name: str) -> None:
    expect(visitor.page.get_by_role("heading", name=f"Hello, {name}")).to_be_visible()


def test_all_four_pairs_are_clicked_in_order_with_a_step_up_at_the_end(visitor: Visitor) -> None:
    page, addresses = visitor.page, visitor.demonstration.addresses
    follow_link(visitor, "Sign on to Acme CRM")
    visitor.come_from_acme()
    page.get_by_role("button", name="Alice Moreau").click()
    hello(visitor, "Alice Moreau")

    asked: list[str] = []
    visitor.context.on("request", lambda request: asked.append(request.url))
    follow_link(visitor, "Sign on to Acme ERP")
    hello(visitor, "Alice Moreau")
    assert not [url for url in asked if url.startswith(addresses.identity_provider)]
    expect(find_row(page, "Encrypted")).to_contain_text("yes, for our key")
    alice = find_row(page, "NameID").get_by_role("cell").inner_text()
    visitor.look("erp-signed-on")

    follow_link(visitor, "Sign on to the CRM as somebody else")
    visitor.come_from_globex()
    visitor.look("globex-people")
    page.get_by_role("button", name="Gina Haddad").click()
    hello(visitor, "Gina Haddad")
    expect(find_row(page, "email").get_by_role("cell")).to_have_text(["gina@globex.example"] * 2)

    follow_link(visitor, "Sign on to the ERP again")
    hello(visitor, "Gina Haddad")
    assert find_row(page, "NameID").get_by_role("cell").inner_text() != alice
    expect(find_row(page, "AuthnContextClassRef")).not_to_contain_text(MFA)

    follow_link(visitor, "Ask for the second factor at the ERP")
    visitor.come_from_globex()
    expect(page.get_by_role("heading", name="One more step, Gina")).to_be_visible()
    visitor.look("globex-second-factor")
    page.get_by_role("button", name="Confirm on my phone").click()
    hello(visitor, "Gina Haddad")
    expect(find_row(page, "AuthnContextClassRef")).to_contain_text(MFA)


def test_a_second_factor_that_was_not_given_is_refused_at_the_erp(
    visitor: Visitor, demonstration: Demonstration
) -> None:
    page = visitor.page
    page.goto(f"{demonstration.addresses.erp}/sign-on?how=factor")
    visitor.come_from_globex()
    page.get_by_role("button", name="Henry Sato").click()
    page.get_by_role("button", name="Go on without it").click()
    expect(page.get_by_role("heading", name="You are not signed on")).to_be_visible()
    expect(page.get_by_text("Responder / NoAuthnContext")).to_be_visible()
    visitor.look("erp-refused")


def test_a_silent_request_is_refused_in_each_protocols_words(visitor: Visitor, demonstration: Demonstration) -> None:
    for address, words in ((demonstration.crm, "login_required"), (demonstration.addresses.erp, "NoPassive")):
        visitor.page.goto(f"{address}/sign-on?how=silent")
        expect(visitor.page.get_by_role("heading", name="You are not signed on")).to_be_visible()
        expect(visitor.page.get_by_text(words)).to_be_visible()


@pytest.fixture
def globex_at_fault(visitor: Visitor, demonstration: Demonstration) -> Iterator[Visitor]:
    """Somebody who was at Globex's switches, which are put back in the end."""

    def switch(label: str) -> None:
        visitor.page.goto(f"{demonstration.addresses.globex}/faults")
        visitor.page.get_by_label(label).check()
        visitor.page.get_by_role("button", name="Answer like this from now on").click()
        expect(visitor.page.get_by_label(label)).to_be_checked()

    switch("Wrong nonce")
    visitor.look("globex-faults")
    yield visitor
    switch("No fault")


def test_a_fault_at_globex_shows_its_code_and_its_trace(globex_at_fault: Visitor, demonstration: Demonstration) -> None:
    page = globex_at_fault.page
    page.goto(f"{demonstration.crm}/sign-on?how=fresh")
    globex_at_fault.come_from_globex()
    page.get_by_role("button", name="Gina Haddad").click()
    expect(page.get_by_text("oidc.nonce")).to_be_visible()
