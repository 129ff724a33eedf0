"""Somebody at a browser of their own, and what they find wrong with the pages that they see."""

import re
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Error,
    Locator,
    Page,
    Request,
    Response,
    StorageState,
    WebError,
    expect,
)

from tests.browser.demonstration import ROOT, Demonstration

AUDIT = Path(__file__).with_name("audit.js")
SHOTS = ROOT / "shots"
SIZES = {"wide": (1280, 800), "narrow": (390, 844)}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
PATIENCE = 15_000
"""Milliseconds: a machine that runs other suites too is slow."""
PAUSE = 500
"""Milliseconds between two looks at what a worker does meanwhile."""
TABS_AT_MOST = 60
PAGES_IN_A_ROW = 10
"""So many pages may take each other's place (a form that sends itself, its answer, …) before one stays."""
SETTLE = """async scheme => {
    if (window.Alpine) Alpine.$data(document.documentElement).adminTheme = scheme;
    for (let frame = 0; frame < 3; frame += 1) await new Promise(requestAnimationFrame);
    await Promise.all(document.getAnimations().map(animation => animation.finished));
}"""
"""Gives the console, which has a switch of its own, its colours; returns when nothing moves any more."""
SEND_FORM = """([url, fields]) => {
    const make = (kind, properties) => Object.assign(document.createElement(kind), properties);
    const inputs = Object.entries(fields).map(([name, value]) => make("input", { type: "hidden", name, value }));
    const form = make("form", { method: "post", action: url });
    form.append(...inputs);
    document.body.append(form);
    form.submit();
}"""
"""Sends a form from this page, as any site may: [address, fields]."""
FOCUS_SHOWS = """() => {
    const focused = document.activeElement;
    if (focused === window.lastLookedAt) return true;
    window.lastLookedAt = focused;
    const look = () => [focused, focused.parentElement].map(element => {
        const { outlineStyle, outlineWidth, outlineColor, boxShadow, borderColor } = getComputedStyle(element);
        return [outlineStyle, outlineStyle === "none" ? "" : outlineWidth + outlineColor, boxShadow, borderColor];
    }).join();
    const with_focus = look();
    focused.blur();
    const without = look();
    focused.focus({ focusVisible: true });
    return with_focus !== without;
}"""
"""Whether one sees where the focus is. A date has several stops; a second look would lead back to the first."""


class Visitor:
    """A browser context with one page. `problems` tells what no page may do; `close` fails when there are any."""

    def __init__(self, browser: Browser, demonstration: Demonstration, *, state: StorageState | None = None) -> None:
        self.demonstration = demonstration
        self.found: list[str] = []
        self._logged: list[tuple[str, str]] = []
        self._refused: set[str] = set()
        width, height = SIZES["wide"]
        self.context = browser.new_context(
            viewport={"width": width, "height": height}, reduced_motion="reduce", storage_state=state
        )
        self.context.set_default_timeout(PATIENCE)
        self.context.expose_binding("tellSuite", lambda source, text: self._find(text, source["page"].url))
        self.context.add_init_script(path=AUDIT)
        self.context.on("console", self._note_logged)
        self.context.on("weberror", self._note_failed_script)
        self.context.on("request", self._note_request)
        self.context.on("response", self._note_response)
        self.page: Page = self.context.new_page()

    @property
    def problems(self) -> list[str]:
        """Everything found until now. That a page itself came with a 4xx status is not a problem; its files' is."""
        logged = [f"logged: {text} ({url})" for text, url in self._logged if url not in self._refused]
        return [*self.found, *logged]

    def look(self, name: str) -> None:
        """Take the page's picture, wide and narrow, light and dark, and audit each."""
        SHOTS.mkdir(exist_ok=True)
        self.settle()
        for size, (width, height) in SIZES.items():
            self.page.set_viewport_size({"width": width, "height": height})
            for scheme in SCHEMES:
                self.page.emulate_media(color_scheme=scheme)
                self.page.evaluate(SETTLE, scheme)
                for finding in self.page.evaluate("auditPage()"):
                    self._find(f"{size} and {scheme}: {finding}", self.page.url)
                self.page.screenshot(path=SHOTS / f"{name}-{size}-{scheme}.png", full_page=True)
        width, height = SIZES["wide"]
        self.page.set_viewport_size({"width": width, "height": height})
        self.page.emulate_media(color_scheme="light")
        self.page.evaluate(SETTLE, "auto")

    def sign_on(self, application: str, *, person: str = "Alice Moreau", how: str = "") -> None:
        """Ask the application for a sign-on and answer at Acme's identity provider as `person`."""
        self.page.goto(f"{application}/sign-on{how}")
        self.come_from_acme()
        self.page.get_by_role("button", name=person).click()
        self.page.wait_for_url(lambda url: not url.startswith(self.demonstration.identity_provider))

    def come_from_acme(self) -> None:
        """Where the broker asks for the company, choose Acme's; returns at its identity provider."""
        choice = self.page.get_by_role("button", name="Acme Identity")
        people = self.page.get_by_role("heading", name="Who are you?")
        expect(choice.or_(people)).to_be_visible()
        if choice.is_visible():
            choice.click()
        expect(people).to_be_visible()

    def come_from_globex(self) -> None:
        """Where the broker asks for the company, choose Globex's; returns at its identity provider."""
        choice = self.page.get_by_role("button", name="Globex Login")
        arrived = self.page.get_by_role("heading", name=re.compile("Who are you|One more step"))
        expect(choice.or_(arrived)).to_be_visible()
        if choice.is_visible():
            choice.click()
        expect(arrived).to_be_visible()

    def tab_to(self, target: Locator) -> None:
        """Press Tab until `target` has the focus, which has to be visible at each stop.

        Where it stands in the content of a page of the console, the link past the navigation is taken.
        """
        expect(target).to_be_visible()
        is_content = target.evaluate("element => element.closest('main') !== null")
        for _ in range(TABS_AT_MOST):
            if self.page.evaluate("document.activeElement !== document.body"):
                focused = self.page.evaluate("document.activeElement.outerHTML.slice(0, 200)")
                assert self.page.evaluate(FOCUS_SHOWS), f"the focus cannot be seen: {focused}"
            if target.evaluate("element => element === document.activeElement"):
                return
            if is_content and self.page.evaluate("document.activeElement.matches('a.cs-skip')"):
                self.page.keyboard.press("Enter")
            self.page.keyboard.press("Tab")
        raise AssertionError(f"{TABS_AT_MOST} times Tab does not lead to {target}")

    def wait_for(self, address: str, wanted: Locator, *, looks: int) -> Locator:
        """Look at a page, at most so often, until a worker has brought what is waited for."""
        for _ in range(looks):
            self.page.goto(address)
            if wanted.count():
                return wanted.first
            self.page.wait_for_timeout(PAUSE)
        raise AssertionError(f"{address} does not show it:\n{self.page.inner_text('body')}")

    def settle(self) -> None:
        """Return once a page stays, is loaded, does not move and has audited itself.

        A press that leads to another page is to be followed by waiting for that one: one that did not begin to come
        yet is not waited for here.
        """
        for _ in range(PAGES_IN_A_ROW):
            self.page.wait_for_function("() => document.readyState === 'complete'")
            try:
                self.page.evaluate(SETTLE, "auto")
            except Error as error:
                if "context was destroyed" not in error.message:
                    raise
            else:
                return
        raise AssertionError(f"{PAGES_IN_A_ROW} pages took each other's place; the last: {self.page.url}")

    def close(self) -> None:
        """Leave. Raises AssertionError with every problem of every page seen."""
        self.settle()
        problems = list(dict.fromkeys(self.problems))
        self.context.close()
        assert not problems, "\n".join(problems)

    def _find(self, text: str, url: str) -> None:
        self.found.append(f"{text} ({url.partition('?')[0]})")

    def _note_logged(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self._logged.append((message.text, message.location["url"]))

    def _note_failed_script(self, failed: WebError) -> None:
        self._find(f"a script failed: {failed.error}", failed.page.url if failed.page else "")

    def _note_request(self, request: Request) -> None:
        if urlsplit(request.url).hostname not in {*self.demonstration.hosts, None}:
            self._find(f"asked for {request.url}", request.frame.url)

    def _note_response(self, response: Response) -> None:
        if response.status >= 500:
            self._find(f"answered {response.status}", response.url)
        elif response.status >= 400 and response.request.is_navigation_request():
            self._refused.add(response.url)


def find_row(place: Page | Locator, name: str) -> Locator:
    """The table row whose header is `name`."""
    page = place if isinstance(place, Page) else place.page
    return place.get_by_role("row").filter(has=page.get_by_role("rowheader", name=name, exact=True))


def text_of(page: Page, term: str) -> str:
    """What a list of terms says of `term`."""
    described: Any = page.locator("dt", has_text=term).first.locator("xpath=following-sibling::dd[1]")
    return str(described.inner_text())
