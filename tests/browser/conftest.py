"""The browser, the demonstration, and the two who use it: a person and an operator."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Playwright, StorageState, expect, sync_playwright

from tests.browser.demonstration import Demonstration
from tests.browser.operators import OLGA, OSCAR, OWN_PASSWORD, choose_password, enter, enter_first_time
from tests.browser.visitor import PATIENCE, Visitor

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="session")
def demonstration() -> Demonstration:
    folder = os.environ.get("BROWSER_FOLDER")
    if not folder:
        pytest.exit("these tests need the demonstration that `make test-browser` starts", returncode=2)
    return Demonstration.read(Path(folder))


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    rules = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost"
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*ARGUMENTS, rules])
    yield browser
    browser.close()


@pytest.fixture
def visitor(browser: Browser, demonstration: Demonstration) -> Iterator[Visitor]:
    """Somebody whom no site knows yet."""
    visitor = Visitor(browser, demonstration)
    yield visitor
    visitor.close()


@pytest.fixture(scope="session")
def olgas_state(browser: Browser, demonstration: Demonstration) -> StorageState:
    """The cookies of Olga, who came in by her one-time password and chose an own one."""
    olga = Visitor(browser, demonstration)
    enter_first_time(olga, OLGA, password=demonstration.passwords[OLGA])
    expect(olga.page.get_by_role("heading", name="Overview")).to_be_visible()
    state = olga.context.storage_state()
    olga.close()
    return state


@pytest.fixture
def olga(browser: Browser, demonstration: Demonstration, olgas_state: StorageState) -> Iterator[Visitor]:
    """An operator at the console."""
    olga = Visitor(browser, demonstration, state=olgas_state)
    olga.page.goto(demonstration.console)
    yield olga
    olga.close()


@pytest.fixture(scope="session")
def oscars_state(browser: Browser, demonstration: Demonstration) -> StorageState:
    """The cookies of Oscar, whose own password another test may have chosen already."""
    oscar = Visitor(browser, demonstration)
    page, one_time = oscar.page, demonstration.passwords[OSCAR]
    enter(oscar, OSCAR, password=OWN_PASSWORD)
    overview = page.get_by_role("heading", name="Overview")
    expect(overview.or_(page.get_by_role("alert"))).to_be_visible()
    if not overview.is_visible():
        enter(oscar, OSCAR, password=one_time)
        choose_password(oscar, old=one_time, new=OWN_PASSWORD)
    expect(overview).to_be_visible()
    state = oscar.context.storage_state()
    oscar.close()
    return state


@pytest.fixture
def oscar(browser: Browser, demonstration: Demonstration, oscars_state: StorageState) -> Iterator[Visitor]:
    """The second operator."""
    oscar = Visitor(browser, demonstration, state=oscars_state)
    oscar.page.goto(demonstration.console)
    yield oscar
    oscar.close()


@pytest.fixture
def switch_fault(browser: Browser, demonstration: Demonstration) -> Iterator[Callable[[str], None]]:
    """Switches one of the identity provider's faults on, by its label; in the end there is none."""
    somebody = Visitor(browser, demonstration)

    def switch(label: str) -> None:
        somebody.page.goto(f"{demonstration.identity_provider}/faults")
        switch_on(label)

    def switch_on(label: str) -> None:
        somebody.page.get_by_label(label).check()
        somebody.page.get_by_role("button", name="Answer like this from now on").click()
        expect(somebody.page.get_by_label(label)).to_be_checked()

    yield switch
    somebody.page.goto(f"{demonstration.identity_provider}/faults")
    somebody.page.get_by_label("The assertion", exact=True).check()
    somebody.page.get_by_label("Encrypt the assertion").uncheck()
    switch_on("No fault")
    somebody.close()
