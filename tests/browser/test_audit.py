"""What no page may do is noticed: otherwise the rest of this folder proves nothing."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Route

from tests.browser.demonstration import Demonstration
from tests.browser.visitor import Visitor

HEAD = '<meta name="viewport" content="width=device-width"><title>A page</title>'
BODY = "<main><h1>A page</h1></main>"
FLAWS = {
    "the page has no title": (HEAD.replace("A page", ""), BODY),
    "does not fit small screens": ("<title>A page</title>", BODY),
    "the page has no main part": (HEAD, "<h1>A page</h1>"),
    "0 headings of the first level": (HEAD, "<main><p>A page</p></main>"),
    "2 headings of the first level": (HEAD, BODY + "<h1>Another</h1>"),
    "level 3 follows level 1": (HEAD, BODY + "<h3>Deep</h3>"),
    "two elements have the id twice": (HEAD, BODY + '<p id="twice">a</p><p id="twice">b</p>'),
    "no alternative text": (HEAD, BODY + '<img src="data:,">'),
    "no label or name: <input": (HEAD, BODY + '<input name="nameless">'),
    "no label or name: <button": (HEAD, BODY + "<button></button>"),
    "a table without headers": (HEAD, BODY + "<table><tr><td>1</td></tr></table>"),
    "contrast 4.48: p “pale”": (HEAD, BODY + '<p style="color: #777; background: #fff">pale</p>'),
    "contrast 3.98: p “faint”": (HEAD, BODY + '<p style="color: #000; background: #fff; opacity: .5">faint</p>'),
    "contrast 1.61: <input": (
        HEAD + "<style>::placeholder { color: #ccc }</style>",
        BODY + '<input id="hinted" aria-label="Hinted" placeholder="hint" style="background: #fff">',
    ),
    "pixels scroll sideways": (HEAD, BODY + '<p style="width: 3000px">wide</p>'),
    "violates script-src": (HEAD, BODY + "<script>1</script>"),
    "violates img-src": (HEAD, BODY + '<img alt="" src="/picture.png">'),
    "logged: something": (HEAD + '<script src="/flaws/log.js"></script>', BODY),
    "a script failed": (HEAD + '<script src="/flaws/fail.js"></script>', BODY),
    "Failed to load resource": (HEAD + '<script src="/static/absent.js"></script>', BODY),
    "asked for http://elsewhere.example/": (HEAD + '<script src="/flaws/call.js"></script>', BODY),
}
POLICY = "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; connect-src *; img-src data:"
SCRIPTS = {
    "log.js": "console.error('something')",
    "fail.js": "null.something",
    "call.js": "fetch('http://elsewhere.example/').catch(() => {})",
}


@pytest.fixture
def critic(browser: Browser, demonstration: Demonstration) -> Iterator[Visitor]:
    """A visitor who may find problems."""
    critic = Visitor(browser, demonstration)
    yield critic
    critic.context.close()


def show(critic: Visitor, head: str, body: str, *, language: str = ' lang="en"') -> list[str]:
    """The problems of a page like this, as the broker would serve it."""

    def answer(route: Route) -> None:
        html = f"<!doctype html><html{language}><head>{head}</head><body>{body}</body></html>"
        route.fulfill(body=html, content_type="text/html", headers={"Content-Security-Policy": POLICY})

    def script(route: Route) -> None:
        body = SCRIPTS[route.request.url.rpartition("/")[2]]
        route.fulfill(body=body, content_type="text/javascript")

    critic.page.route("**/flawed", answer)
    critic.page.route("**/flaws/*.js", script)
    critic.page.goto(f"{critic.demonstration.broker}/flawed")
    critic.settle()
    return critic.problems


def test_a_page_in_order_has_no_problems(critic: Visitor) -> None:
    assert show(critic, HEAD, BODY) == []


@pytest.mark.parametrize("finding", FLAWS)
def test_a_flaw_is_found(critic: Visitor, finding: str) -> None:
    problems = show(critic, *FLAWS[finding])
    assert [problem for problem in problems if finding in problem], problems


def test_a_page_without_a_language_is_found(critic: Visitor) -> None:
    assert "the page does not say its language" in " ".join(show(critic, HEAD, BODY, language=""))


def test_a_fault_of_the_server_is_found(critic: Visitor) -> None:
    critic.page.route("**/fault", lambda route: route.fulfill(status=500, body="Alas."))
    critic.page.goto(f"{critic.demonstration.broker}/fault")
    assert "answered 500" in " ".join(critic.problems)
