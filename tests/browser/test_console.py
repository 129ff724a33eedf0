"""The security team's console: its entrance, and every page that its navigation leads to."""

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.demonstration import Demonstration
from tests.browser.operators import OLGA, OSCAR, OWN_PASSWORD, choose_password, enter, enter_first_time
from tests.browser.visitor import Visitor

TRIES = 5
LORNA = "lorna@acme.example"


def test_an_operator_chooses_an_own_password_before_anything_else(
    visitor: Visitor, demonstration: Demonstration
) -> None:
    page, one_time = visitor.page, demonstration.passwords[OSCAR]
    enter(visitor, OSCAR, password=one_time)
    expect(page.get_by_role("heading", name="Change your password")).to_be_visible()
    visitor.look("console-own-password")
    page.goto(f"{demonstration.console}traces/trace/")
    expect(page.get_by_role("heading", name="Change your password")).to_be_visible()
    choose_password(visitor, old=one_time, new="short")
    expect(page.get_by_text("This password is too short.")).to_be_visible()
    visitor.look("console-own-password-refused")
    choose_password(visitor, old=one_time, new=one_time)
    expect(page.get_by_text("The new password must be another than the old one.")).to_be_visible()
    choose_password(visitor, old=one_time, new=OWN_PASSWORD)
    expect(page.get_by_text("Your password is changed.")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Password")).to_be_visible()
    enter(visitor, OSCAR, password=one_time)
    expect(page.get_by_role("alert")).to_have_text("This e-mail address and password do not open the console.")
    visitor.look("console-sign-in-refused")
    enter(visitor, OSCAR, password=OWN_PASSWORD)
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()


def test_five_wrong_passwords_lock_an_account_until_an_operator_resets_it(olga: Visitor, browser: Browser) -> None:
    page = olga.page
    page.get_by_role("link", name="Operators").click()
    page.locator("a.addlink").click()
    expect(page.get_by_label("E-mail address")).to_be_visible()
    olga.look("console-add-operator")
    page.get_by_label("E-mail address").fill(LORNA)
    page.get_by_label("Name").fill("Lorna Locked")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("heading", name=f"One-time password of {LORNA}")).to_be_visible()
    one_time = page.locator(".cs-password").inner_text()
    olga.look("console-one-time-password")

    lorna = Visitor(browser, olga.demonstration)
    for _ in range(TRIES):
        enter(lorna, LORNA, password="not what was shown")
        expect(lorna.page.get_by_role("alert")).to_be_visible()
    expect(lorna.page.get_by_role("alert")).to_contain_text("Locked after too many wrong passwords.")
    lorna.look("console-locked")
    enter(lorna, LORNA, password=one_time)
    expect(lorna.page.get_by_role("alert")).to_contain_text("Locked after too many wrong passwords.")

    page.get_by_role("link", name="I have written it down").click()
    page.get_by_role("link", name="Reset password").click()
    expect(page.get_by_role("button", name="Reset password")).to_be_visible()
    olga.look("console-reset-password")
    page.get_by_role("button", name="Reset password").click()
    enter_first_time(lorna, LORNA, password=page.locator(".cs-password").inner_text())
    expect(lorna.page.get_by_role("heading", name="Overview")).to_be_visible()
    lorna.close()


@pytest.mark.usefixtures("olgas_state")
def test_signing_in_needs_no_mouse(visitor: Visitor) -> None:
    page = visitor.page
    page.goto(visitor.demonstration.console)
    visitor.look("console-sign-in")
    visitor.tab_to(page.get_by_label("E-mail address"))
    page.keyboard.type(OLGA)
    visitor.tab_to(page.get_by_label("Password"))
    page.keyboard.type(OWN_PASSWORD)
    visitor.tab_to(page.get_by_role("button", name="Sign in"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    visitor.tab_to(page.get_by_role("link", name="Skip to the content"))
    visitor.tab_to(page.get_by_role("link", name="Traces"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Traces")).to_be_visible()
    visitor.tab_to(page.get_by_role("button", name="Filters"))


def test_every_page_of_the_console_can_be_looked_at(olga: Visitor, visitor: Visitor) -> None:
    visitor.sign_on(visitor.demonstration.crm)
    page = olga.page
    entries = page.get_by_role("navigation").get_by_role("list").get_by_role("link").all()
    addresses = {one.inner_text().split("\n")[-1]: str(one.get_attribute("href")) for one in entries}
    assert {"Overview", "Traces", "Identity providers", "People", "Keys", "Events", "Operators"} <= addresses.keys()
    for title, address in addresses.items():
        name = f"console-{title.lower().replace(' ', '-')}"
        page.goto(f"{olga.demonstration.broker}{address}")
        olga.look(name)
        first = page.locator("#result_list tbody a").first
        one = first.get_attribute("href") if first.count() else None
        add = page.locator("a.addlink").first
        new = add.get_attribute("href") if add.count() else None
        for kind, href in (("one", one), ("add", new)):
            if href:
                page.goto(f"{olga.demonstration.broker}{href}")
                assert page.url.startswith(f"{olga.demonstration.broker}{address}")
                olga.look(f"{name}-{kind}")
