"""A target that its vendor emptied: what the console says of it, and how its accounts come back."""

import json
import urllib.request

from playwright.sync_api import expect

from demo.fetching import ask
from demo.staff import FIRST
from tests.browser.demonstration import Demonstration
from tests.browser.operators import approve
from tests.browser.visitor import PAUSE, Visitor

ROUNDS = 60
TAKEN = "Ask to take it for empty"


def test_an_emptied_target_gets_its_accounts_again_once_two_operators_say_so(olga: Visitor, oscar: Visitor) -> None:
    page, demonstration = olga.page, olga.demonstration
    assert len(accounts_of(demonstration)) >= len(FIRST)
    for account in accounts_of(demonstration):
        assert send(demonstration, "DELETE", f"/{account['id']}")[0] == 204

    page.goto(f"{demonstration.console}planning/plan/")
    page.locator("select[name=target]").select_option(value="crm-accounts")
    page.get_by_role("button", name="Reconcile").click()
    page.wait_for_url("**/planning/run/*/change/")
    olga.wait_for(page.url, page.get_by_role("button", name=TAKEN), looks=ROUNDS)
    expect(page.get_by_role("heading", level=2).first).to_contain_text("nothing was checked")
    assert not accounts_of(demonstration), "nothing is made before somebody says so"
    olga.look("console-run-of-an-emptied-target")
    page.get_by_role("button", name=TAKEN).click()
    expect(page.get_by_text("A second operator finds it among the approvals.")).to_be_visible()
    approve(oscar, "Take Accounts of Acme CRM for empty")

    for _ in range(ROUNDS):
        if len(accounts_of(demonstration)) >= len(FIRST):
            break
        page.wait_for_timeout(PAUSE)
    assert len(accounts_of(demonstration)) >= len(FIRST)
    page.goto(f"{demonstration.console}outbound/target/")
    page.get_by_role("link", name="crm-accounts").click()
    expect(page.get_by_text("caught up with; people looked at:")).to_be_visible()
    olga.look("console-target-caught-up")


def accounts_of(demonstration: Demonstration) -> list[dict[str, str]]:
    """Who has one at the CRM, as the CRM says."""
    status, raw = send(demonstration, "GET", "?count=200")
    assert status == 200
    return list(json.loads(raw).get("Resources") or [])


def send(demonstration: Demonstration, method: str, path: str) -> tuple[int, bytes]:
    """As its vendor would, with the token that we have."""
    token = (demonstration.folder / "var" / "demo" / "crm-accounts.secret").read_text()
    headers = {"Authorization": f"Bearer {token}"}
    return ask(urllib.request.Request(f"{demonstration.crm}/scim/v2/Users{path}", headers=headers, method=method))
