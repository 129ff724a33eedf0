"""A policy is tried, brought into force by two operators, refuses somebody at sign-on, and goes out of force again."""

from playwright.sync_api import expect

from tests.browser.operators import approve
from tests.browser.visitor import Visitor

ASK_IN, ASK_OUT = "Ask to bring it into force", "Ask to take it out of force"


def test_a_policy_that_two_operators_brought_into_force_refuses_at_sign_on(
    olga: Visitor, oscar: Visitor, visitor: Visitor
) -> None:
    enter_hr(visitor)
    expect(visitor.page.get_by_role("heading", name="Hello, Gina Haddad")).to_be_visible()

    page = olga.page
    page.get_by_role("link", name="Policy versions").click()
    page.get_by_role("link", name="Entrance of the HR portal").click()
    expect(page.get_by_role("heading", name="While it was tried")).to_be_visible()
    expect(page.get_by_text("1 to no")).to_be_visible()
    olga.look("policy-tried")
    page.get_by_role("button", name=ASK_IN).click()
    expect(page.get_by_text("waits for a second operator")).to_be_visible()
    enter_hr(visitor)
    expect(visitor.page.get_by_role("heading", name="Hello, Gina Haddad")).to_be_visible()

    oscar.page.goto(f"{oscar.demonstration.console}approvals/approval/")
    oscar.page.get_by_role("link", name="Bring").click()
    oscar.look("approval-policy")
    approve(oscar, "Bring")
    enter_hr(visitor)
    expect(visitor.page.get_by_role("heading", name="You are not signed on")).to_be_visible()
    expect(visitor.page.get_by_text("access_denied")).to_be_visible()
    visitor.look("hr-not-permitted")

    page.goto(olga.demonstration.console)
    refusals = page.get_by_role("region", name="Latest refusals").get_by_role("row")
    refusals.filter(has_text="signon.not_permitted").first.get_by_role("link").click()
    expect(page.get_by_role("rowheader", name="may enter").first).to_be_visible()
    olga.look("console-trace-not-permitted")
    page.goto(f"{olga.demonstration.console}access/decision/?decision__exact=0")
    page.get_by_role("row").filter(has_text="sign_on").get_by_role("link").first.click()
    expect(page.get_by_role("heading", name="No, determined by no rule")).to_be_visible()
    olga.tab_to(page.get_by_role("button", name="Replay"))
    page.keyboard.press("Enter")
    expect(page.get_by_text("Made again")).to_be_visible()
    olga.look("decision-replayed")

    page.goto(f"{olga.demonstration.console}access/policyversion/?state__exact=active")
    page.get_by_role("link", name="Entrance of the HR portal").click()
    page.get_by_role("button", name=ASK_OUT).click()
    approve(oscar, "Take")
    enter_hr(visitor)
    expect(visitor.page.get_by_role("heading", name="Hello, Gina Haddad")).to_be_visible()


def enter_hr(visitor: Visitor) -> None:
    """Gina of Globex asks for the HR portal; from the second time on her session answers for her."""
    page = visitor.page
    page.goto(f"{visitor.demonstration.hr}/sign-on")
    if page.url.startswith(visitor.demonstration.hr):
        return
    visitor.come_from_globex()
    page.get_by_role("button", name="Gina Haddad").click()
    page.wait_for_url(f"{visitor.demonstration.hr}/*")
