"""The demonstration's second tour: HR hires, the CRM lies, and the certificate stays red until that is mended."""

import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from tests.browser.visitor import Visitor

NORA = "Nora Berg"
ROUNDS = 120
UNTIL_SEALED = 10_000
VERIFIED, WRONG = 0, 1


def test_the_certificate_stays_red_while_the_crm_lies_and_turns_green_once_it_is_mended(
    olga: Visitor, tmp_path: Path
) -> None:
    page, demonstration = olga.page, olga.demonstration
    page.goto(f"{demonstration.broker}/")
    expect(page.get_by_role("heading", name="People and accounts")).to_be_visible()
    olga.look("what-to-click")
    olga.tab_to(page.get_by_role("link", name="Hire somebody"))
    page.keyboard.press("Enter")
    expect(page.get_by_label("Given name")).to_have_value("Nora")
    olga.look("hr-system")
    olga.tab_to(page.get_by_role("button", name="Hire", exact=True))
    page.keyboard.press("Enter")
    expect(page.get_by_text("Countersign was told, and answered 201.")).to_be_visible()
    expect(page.get_by_role("heading", name="POST /Users")).to_be_visible()
    account = olga.wait_for(f"{demonstration.crm}/accounts", row_of(page, NORA).filter(has_text="active"), looks=ROUNDS)
    expect(account).to_contain_text("Sales")
    olga.look("crm-accounts")

    behave(olga, "Say “closed” and leave it open")
    olga.look("crm-accounts-lie")
    page.goto(demonstration.hr_system)
    page.get_by_role("link", name=NORA).click()
    expect(page.get_by_role("heading", name=NORA)).to_be_visible()
    olga.look("hr-system-person")
    olga.tab_to(page.get_by_role("button", name=f"{NORA} leaves"))
    page.keyboard.press("Enter")
    expect(page.get_by_text("Countersign was told, and answered 200.")).to_be_visible()
    expect(page.get_by_text('"value": "False"')).to_be_visible()
    olga.look("hr-system-left")

    case = open_case(olga)
    olga.wait_for(case, page.get_by_role("heading", name="Late"), looks=ROUNDS)
    crm = page.get_by_role("region", name="Item by item").get_by_role("row").filter(has_text="Accounts of Acme CRM")
    expect(crm).to_contain_text("the target lied")
    olga.look("leaver-lied")
    ask_again(olga)
    olga.wait_for(case, page.get_by_role("heading", name="Late"), looks=ROUNDS)
    page.get_by_role("link", name="Certificate", exact=True).click()
    expect(page.get_by_role("heading", name="Leaver's certificate")).to_be_visible()
    expect(page.get_by_text("This is no proof of closing.")).to_be_visible()
    expect(page.get_by_text("Accounts of Acme CRM")).to_be_visible()
    olga.look("leaver-certificate-red")

    behave(olga, "Do what we are told")
    page.goto(case)
    ask_again(olga)
    olga.wait_for(case, page.get_by_role("heading", name="Green"), looks=ROUNDS)
    page.goto(f"{demonstration.crm}/accounts")
    olga.look("crm-accounts-closed")
    olga.tab_to(page.get_by_role("button", name=f"Turn on {NORA} again"))
    page.keyboard.press("Enter")
    expect(row_of(page, NORA)).to_contain_text("active")
    page.goto(case)
    expect(page.get_by_role("heading", name="Green")).to_be_visible()
    ask_again(olga)
    olga.wait_for(case, crm.filter(has_text="access came back"), looks=ROUNDS)
    olga.wait_for(case, page.get_by_role("heading", name="Green"), looks=ROUNDS)
    olga.look("leaver-green-again")
    verifier = download(page, "Offline verifier", tmp_path)
    said = judge(page, verifier, anchor=demonstration.folder / "var" / "seals.log")
    assert "green" in said


def test_what_hr_cannot_write_is_refused_on_its_own_page(visitor: Visitor) -> None:
    page = visitor.page
    page.goto(visitor.demonstration.hr_system)
    page.get_by_label("Given name").fill("   ")
    page.get_by_role("button", name="Hire", exact=True).click()
    expect(page.get_by_role("heading", name="Nothing was written")).to_be_visible()
    visitor.look("hr-system-refused")


def row_of(page: Page, name: str) -> Locator:
    return page.get_by_role("row").filter(has_text=name)


def behave(visitor: Visitor, how: str) -> None:
    """Switch what the CRM's SCIM service does, by keyboard."""
    page = visitor.page
    page.goto(f"{visitor.demonstration.crm}/accounts")
    visitor.tab_to(page.get_by_role("radio", checked=True))
    while not page.get_by_label(how).is_checked():
        page.keyboard.press("ArrowDown")
    visitor.tab_to(page.get_by_role("button", name="Behave like this"))
    page.keyboard.press("Enter")
    expect(page.get_by_label(how)).to_be_checked()


def open_case(olga: Visitor) -> str:
    """The address of the newest case, by the list."""
    page, cases = olga.page, f"{olga.demonstration.console}leaver/case/"
    olga.wait_for(cases, page.locator("#result_list").get_by_role("link", name=NORA), looks=ROUNDS).click()
    expect(page.get_by_role("heading", name="Item by item")).to_be_visible()
    return page.url


def ask_again(olga: Visitor) -> None:
    """By keyboard, as an operator who does not want to wait."""
    olga.tab_to(olga.page.get_by_role("button", name="Ask the targets now"))
    olga.page.keyboard.press("Enter")
    expect(olga.page.get_by_text("1 target is asked now.")).to_be_visible()


def download(page: Page, button: str, folder: Path) -> Path:
    """What a link on the page hands out, under the name that it gives it."""
    with page.expect_download() as begun:
        page.get_by_role("link", name=button).click()
    path = folder / begun.value.suggested_filename
    begun.value.save_as(path)
    return path


def judge(page: Page, verifier: Path, *, anchor: Path) -> str:
    """What the program says of an export, once everything in it is sealed. It has nothing of ours beside it."""
    for _ in range(ROUNDS):
        export = download(page, "Signed export", verifier.parent)
        command = [sys.executable, "-I", str(verifier), str(export), "--anchor", str(anchor)]
        run = subprocess.run(command, cwd=verifier.parent, capture_output=True, text=True, check=False)
        assert run.returncode != WRONG, run.stdout + run.stderr
        if run.returncode == VERIFIED:
            return run.stdout
        page.wait_for_timeout(UNTIL_SEALED)
    raise AssertionError(f"it is never sealed:\n{run.stdout}")
