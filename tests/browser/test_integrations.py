"""What integrations hold, as two operators give it and take it away at the console."""

import json
from urllib.error import HTTPError

import pytest
from playwright.sync_api import Page, expect

from demo.integrations import EXPORT, GATEWAY, SYNC, Integrations
from tests.browser.demonstration import Demonstration
from tests.browser.visitor import Visitor, text_of

PURPOSE = "The warehouse corrects orders that were picked"


@pytest.fixture
def integrations(demonstration: Demonstration) -> Integrations:
    return Integrations(demonstration.addresses, demonstration.folder / "var" / "demo")


def test_what_was_asked_for_is_proposed_and_approved_by_a_second_operator_without_a_mouse(
    olga: Visitor, oscar: Visitor, integrations: Integrations
) -> None:
    assert refusal_of(integrations, SYNC, "orders.change") == "flow.scope"
    page = olga.page
    page.goto(olga.demonstration.console)
    olga.look("console-overview-asked")
    olga.tab_to(page.get_by_role("link", name="Asked for, nobody's yet"))
    page.keyboard.press("Enter")
    page.get_by_role("row").filter(has_text=SYNC).get_by_role("link").first.click()
    expect(page.get_by_role("heading", name=f"{SYNC} asked for this, and no flow allows it")).to_be_visible()
    olga.look("flow-asked-for")
    page.get_by_role("link", name="Complete and propose").click()
    page.get_by_label("Purpose").fill(PURPOSE)
    page.get_by_label("Owner").fill("erp-team@acme.example")
    page.get_by_label("Data classes").fill("personal data")
    olga.look("flow-propose")
    page.get_by_label("Last day").fill("2027-06-30")
    olga.tab_to(page.get_by_role("button", name="Propose"))
    page.keyboard.press("Enter")
    expect(page.get_by_text("It waits for a second operator now.")).to_be_visible()
    olga.look("flow-proposed")
    assert refusal_of(integrations, SYNC, "orders.change") == "flow.scope"

    page = oscar.page
    page.get_by_role("link", name="Approvals").click()
    oscar.look("approvals-waiting")
    page.get_by_role("row").filter(has_text=SYNC).get_by_role("link").first.click()
    expect(page.get_by_role("heading", name="Your decision")).to_be_visible()
    expect(page.get_by_text(PURPOSE)).to_be_visible()
    oscar.look("approval-waiting")
    oscar.tab_to(page.get_by_role("button", name="Refuse"))
    page.keyboard.press("Enter")
    expect(page.get_by_text("Say why, so that it can be mended.")).to_be_visible()
    oscar.tab_to(page.get_by_role("button", name="Approve"))
    page.keyboard.press("Enter")
    expect(page.get_by_text("is approved and in force.")).to_be_visible()
    oscar.look("approvals-none-waits")
    page.goto(f"{oscar.demonstration.console}approvals/approval/?turn=all")
    page.get_by_role("row").filter(has_text=SYNC).get_by_role("link").first.click()
    expect(page.get_by_role("heading", name="Your decision")).to_be_hidden()
    assert text_of(page, "State") == "Approved"
    oscar.look("approval-decided")
    assert integrations.get_token(SYNC, "orders.change")


def test_a_new_secret_is_live_beside_the_old_one_until_that_is_ended(olga: Visitor, integrations: Integrations) -> None:
    page = olga.page
    open_client(olga, GATEWAY)
    olga.look("client-credentials")
    olga.tab_to(page.get_by_role("link", name="Rotate the secret"))
    page.keyboard.press("Enter")
    olga.look("client-rotate")
    olga.tab_to(page.get_by_role("button", name="Rotate"))
    page.keyboard.press("Enter")
    shown = page.locator(".cs-password")
    expect(shown).to_be_visible()
    new = shown.inner_text()
    olga.look("client-new-secret")
    old = integrations.secrets[GATEWAY]
    for secret in (old, new):
        integrations.secrets[GATEWAY] = secret
        integrations.ask_once()
    open_client(olga, GATEWAY)
    expect(page.get_by_text(new)).to_have_count(0)
    olga.look("client-two-secrets")


def test_a_flow_that_was_ended_issues_nothing_from_the_next_request_on(
    olga: Visitor, integrations: Integrations
) -> None:
    assert integrations.get_token(EXPORT, "orders.read")
    page = olga.page
    page.goto(f"{olga.demonstration.console}registry/flow/?standing=ending")
    page.get_by_role("row").filter(has_text=EXPORT).get_by_role("link").first.click()
    olga.look("flow-ends-soon")
    page.get_by_role("link", name="End now").click()
    olga.look("flow-end")
    page.get_by_role("button", name="End now").click()
    expect(page.get_by_text("It has ended")).to_be_visible()
    olga.look("flow-ended")
    assert refusal_of(integrations, EXPORT, "orders.read") == "flow.ended"


def refusal_of(integrations: Integrations, client: str, scope: str) -> str:
    """The code with which a token is refused."""
    with pytest.raises(HTTPError) as refused:
        integrations.get_token(client, scope)
    return str(json.loads(refused.value.read())["code"])


def open_client(operator: Visitor, client: str) -> Page:
    """The client's page, by the list."""
    page = operator.page
    page.goto(f"{operator.demonstration.console}registry/client/")
    page.get_by_role("link", name=client, exact=True).click()
    expect(page.get_by_role("link", name="Rotate the secret").first).to_be_attached()
    return page
