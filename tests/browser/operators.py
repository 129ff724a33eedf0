"""The console's entrance, as operators go through it."""

from playwright.sync_api import expect

from tests.browser.visitor import Visitor

OLGA = "olga@acme.example"
OSCAR = "oscar@acme.example"
OWN_PASSWORD = "a quiet river bends twice"


def enter(visitor: Visitor, email: str, *, password: str) -> None:
    """Send the console's sign-in form."""
    visitor.page.goto(visitor.demonstration.console)
    visitor.page.get_by_label("E-mail address").fill(email)
    visitor.page.get_by_label("Password").fill(password)
    visitor.page.get_by_role("button", name="Sign in").click()


def choose_password(visitor: Visitor, *, old: str, new: str) -> None:
    """Send the form that changes an operator's password."""
    visitor.page.get_by_label("Old password").fill(old)
    visitor.page.get_by_label("New password", exact=False).first.fill(new)
    visitor.page.get_by_label("New password confirmation").fill(new)
    visitor.page.get_by_role("button", name="Change password").click()


def enter_first_time(visitor: Visitor, email: str, *, password: str) -> None:
    """Sign in by a one-time password, and choose an own one."""
    enter(visitor, email, password=password)
    choose_password(visitor, old=password, new=OWN_PASSWORD)


def approve(operator: Visitor, about: str) -> None:
    """Approve what waits for this operator, by the inbox."""
    page = operator.page
    page.goto(f"{operator.demonstration.console}approvals/approval/")
    page.get_by_role("link", name=about).click()
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_text("is approved and in force.")).to_be_visible()
