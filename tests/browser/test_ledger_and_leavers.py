"""A leaver of whom nobody can be told: the queue is cleared and the leaver's page is worked through by keyboard."""

from playwright.sync_api import expect

from tests.browser.visitor import Visitor

CAROL = "Carol Lindqvist"
OWNED = """
clients:
  - client_id: carols-report
    owner: carol@acme.example
    authentication: private_key_jwt
    workload:
      issuer: https://cluster.acme.example
      subject: report
      audience: countersign
      jwks_url: https://cluster.acme.example/jwks
"""
ROUNDS = 40


def test_what_a_leaver_leaves_open_is_closed_without_a_mouse(olga: Visitor, visitor: Visitor) -> None:
    console, page = olga.demonstration.console, olga.page
    visitor.sign_on(olga.demonstration.crm, person=CAROL)
    olga.demonstration.apply(OWNED)
    register_webhook(olga)
    set_account(olga, CAROL, "Close the accounts")

    olga.wait_for(
        f"{console}delivery/delivery/?q=webhook%3Aabsent%3A1",
        page.locator("#result_list a[href*='/change/']"),
        looks=ROUNDS,
    )
    olga.look("console-deliveries-waiting")
    first = str(page.locator("#result_list tbody a").first.get_attribute("href"))
    olga.wait_for(f"{olga.demonstration.broker}{first}", page.locator("textarea[name=reason]"), looks=ROUNDS)
    olga.look("console-delivery-waiting")
    skip_navigation(olga)
    olga.tab_to(page.get_by_label("Reason, needed to write it off"))
    page.keyboard.type("Nobody listens there.")
    olga.tab_to(page.get_by_role("button", name="Write off"))
    page.keyboard.press("Enter")
    expect(page.get_by_text("It is written off.")).to_be_visible()

    olga.wait_for(f"{console}leaver/case/", page.locator("#result_list a[href*='/change/']"), looks=ROUNDS)
    page.get_by_role("link", name=CAROL).click()
    expect(page.get_by_role("heading", name="Item by item")).to_be_visible()
    expect(page.get_by_role("row").filter(has_text="carols-report")).to_contain_text("Needs a new owner")
    olga.look("console-leaver-open")
    skip_navigation(olga)
    olga.tab_to(page.get_by_label("E-mail address of the new owner"))
    page.keyboard.type("it@acme.example")
    olga.tab_to(page.get_by_role("button", name="Hand over"))
    page.keyboard.press("Enter")
    expect(page.get_by_text("1 thing has a new owner.")).to_be_visible()
    expect(page.get_by_role("row").filter(has_text="carols-report").get_by_text("Open")).to_have_count(0)
    skip_navigation(olga)
    olga.tab_to(page.get_by_role("link", name="Certificate", exact=True))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Leaver's certificate")).to_be_visible()
    olga.look("leaver-certificate")

    set_account(olga, CAROL, "Open the accounts again")
    page.goto(f"{console}notify/subscription/")
    page.get_by_role("link", name="absent").click()
    page.get_by_role("link", name="Retire").click()
    page.get_by_role("button", name="Retire").click()


def register_webhook(olga: Visitor) -> None:
    """Of events about people, for somebody who is not there."""
    page = olga.page
    page.goto(f"{olga.demonstration.console}notify/subscription/add/")
    page.get_by_label("Slug").fill("absent")
    page.get_by_label("Name").fill("Absent")
    page.get_by_label("Owner").fill("it@acme.example")
    page.get_by_label("Url").fill("https://absent.invalid/hooks")
    page.get_by_label("Types of event").fill("person.*")
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url(lambda url: "/add/" not in url)


def set_account(olga: Visitor, name: str, action: str) -> None:
    """Close or open somebody's account from the list of people."""
    page = olga.page
    page.goto(f"{olga.demonstration.console}directory/person/?q={name.partition(' ')[2]}")
    page.locator("input[name=_selected_action]").first.check()
    page.locator("select[name=action]").select_option(label=action)
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_text("1 account is")).to_be_visible()


def skip_navigation(olga: Visitor) -> None:
    """As somebody does who has only a keyboard."""
    olga.page.get_by_role("link", name="Skip to the content").focus()
    olga.page.keyboard.press("Enter")
