"""A person signs on, goes on to a second application, and signs out."""

from playwright.sync_api import Page, expect

from tests.browser.demonstration import Demonstration
from tests.browser.visitor import Visitor, find_row


def test_a_login_is_clicked_through_from_the_first_page_to_the_claims(visitor: Visitor) -> None:
    page = visitor.page
    page.goto(f"{visitor.demonstration.broker}/")
    visitor.look("broker-home-signed-off")
    page.get_by_role("link", name="Acme CRM", exact=True).click()
    expect(page.get_by_role("heading", name="Welcome to Acme CRM")).to_be_visible()
    visitor.look("crm-signed-off")
    page.get_by_role("link", name="Sign on", exact=True).click()
    visitor.come_from_acme()
    visitor.look("identity-provider-people")
    page.get_by_role("button", name="Alice Moreau").click()
    expect(page.get_by_role("heading", name="Hello, Alice Moreau")).to_be_visible()
    assert page.url == f"{visitor.demonstration.crm}/"
    expect(find_row(page, "email").get_by_role("cell")).to_have_text(["alice@acme.example"] * 2)
    expect(find_row(page, "groups").get_by_role("cell").first).to_have_text("crm-editors, sales")
    expect(find_row(page, "iss").get_by_role("cell").first).to_have_text(visitor.demonstration.broker)
    visitor.look("crm-signed-on")


def test_a_second_application_needs_no_second_login_and_learns_other_claims(
    visitor: Visitor, demonstration: Demonstration
) -> None:
    page = visitor.page
    visitor.sign_on(demonstration.crm)
    subject = find_row(page, "sub").get_by_role("cell").first.inner_text()
    asked: list[str] = []
    visitor.context.on("request", lambda request: asked.append(request.url))
    page.goto(demonstration.hr)
    page.get_by_role("link", name="Sign on", exact=True).click()
    expect(page.get_by_role("heading", name="Hello, Alice Moreau")).to_be_visible()
    assert not [url for url in asked if url.startswith(demonstration.identity_provider)]
    expect(find_row(page, "employee_id").get_by_role("cell").first).to_have_text("A-1001")
    expect(find_row(page, "sub").get_by_role("cell").first).to_have_text(subject)
    expect(find_row(page, "groups")).to_have_count(0)
    visitor.look("hr-signed-on")
    page.goto(f"{demonstration.broker}/")
    expect(page.get_by_role("heading", name="You are signed on, Alice Moreau")).to_be_visible()
    visitor.look("broker-home-signed-on")


def test_a_fresh_login_asks_again_although_a_session_lives(visitor: Visitor, demonstration: Demonstration) -> None:
    page = visitor.page
    visitor.sign_on(demonstration.crm)
    page.get_by_role("link", name="Sign on freshly").click()
    visitor.come_from_acme()
    expect(page.get_by_text("A fresh sign-on is wanted, although Alice is signed on.")).to_be_visible()
    visitor.look("identity-provider-people-again")
    page.get_by_role("button", name="Alice Moreau").click()
    expect(page.get_by_role("heading", name="Hello, Alice Moreau")).to_be_visible()


def test_somebody_else_may_take_over_the_browser_by_a_fresh_login(
    visitor: Visitor, demonstration: Demonstration
) -> None:
    page = visitor.page
    visitor.sign_on(demonstration.crm)
    visitor.sign_on(demonstration.crm, person="Bob Okafor", how="?how=fresh")
    expect(page.get_by_role("heading", name="Hello, Bob Okafor")).to_be_visible()
    page.goto(f"{demonstration.broker}/")
    expect(page.get_by_role("heading", name="You are signed on, Bob Okafor")).to_be_visible()


def test_tokens_are_refreshed_within_the_same_session(visitor: Visitor, demonstration: Demonstration) -> None:
    page = visitor.page
    visitor.sign_on(demonstration.crm)
    before = read_claims(page)
    page.get_by_role("button", name="Refresh the tokens").click()
    expect(find_row(page, "at_hash").get_by_role("cell").first).not_to_have_text(before["at_hash"])
    after = read_claims(page)
    assert {name: after[name] for name in ("sub", "sid", "auth_time")} == {
        name: before[name] for name in ("sub", "sid", "auth_time")
    }


def test_who_is_not_signed_on_is_not_signed_on_silently(visitor: Visitor, demonstration: Demonstration) -> None:
    visitor.page.goto(demonstration.crm)
    visitor.page.get_by_role("link", name="Sign on silently").click()
    expect(visitor.page.get_by_role("heading", name="You are not signed on")).to_be_visible()
    expect(visitor.page.get_by_text("login_required")).to_be_visible()
    visitor.look("crm-silent-refused")


def test_signing_out_at_an_application_ends_the_brokers_session(visitor: Visitor, demonstration: Demonstration) -> None:
    page = visitor.page
    visitor.sign_on(demonstration.crm)
    page.get_by_role("button", name="Sign out", exact=True).click()
    page.wait_for_url(f"{demonstration.crm}/signed-out*")
    visitor.look("crm-signed-out")
    page.goto(f"{demonstration.broker}/")
    expect(page.get_by_role("heading", name="You are not signed on here")).to_be_visible()
    page.goto(f"{demonstration.hr}/sign-on?how=silent")
    expect(page.get_by_text("login_required")).to_be_visible()


def test_signing_out_at_the_application_alone_leaves_the_brokers_session(
    visitor: Visitor, demonstration: Demonstration
) -> None:
    page = visitor.page
    visitor.sign_on(demonstration.crm)
    page.get_by_role("button", name="Sign out here only").click()
    page.get_by_role("link", name="Sign on silently").click()
    expect(page.get_by_role("heading", name="Hello, Alice Moreau")).to_be_visible()


def test_signing_out_at_the_broker_reaches_the_applications(visitor: Visitor, demonstration: Demonstration) -> None:
    page = visitor.page
    visitor.sign_on(demonstration.crm)
    page.goto(f"{demonstration.broker}/oauth/logout")
    expect(page.get_by_role("heading", name="Sign out?")).to_be_visible()
    expect(page.get_by_role("listitem")).to_have_text("Acme CRM")
    visitor.look("broker-confirm-logout")
    page.get_by_role("link", name="Stay signed on").click()
    expect(page.get_by_role("heading", name="You are signed on, Alice Moreau")).to_be_visible()
    page.get_by_role("button", name="Sign out", exact=True).click()
    expect(page.get_by_role("heading", name="You are signed out")).to_be_visible()
    expect(page.get_by_role("term")).to_have_text("Acme CRM")
    visitor.look("broker-signed-out")
    expect(page.get_by_role("definition")).to_contain_text("Signed you out at", timeout=20_000)
    visitor.look("broker-signed-out-and-told")
    page.goto(demonstration.crm)
    expect(page.get_by_text("Countersign ended your session at")).to_be_visible()
    visitor.look("crm-told-of-the-sign-out")


def test_every_link_of_what_to_click_opens(visitor: Visitor) -> None:
    visitor.page.goto(f"{visitor.demonstration.broker}/")
    links = [str(link.get_attribute("href")) for link in visitor.page.locator("ol.steps a").all()]
    assert links
    for number, link in enumerate(links, start=1):
        answer = visitor.page.goto(link)
        assert answer is not None
        assert answer.ok, link
        visitor.look(f"what-to-click-{number}")


def read_claims(page: Page) -> dict[str, str]:
    """What the application shows of the ID token, by claim."""
    rows = page.get_by_role("row").filter(has=page.get_by_role("cell")).all()
    return {row.get_by_role("rowheader").inner_text(): row.get_by_role("cell").first.inner_text() for row in rows}
