"""The demonstration's applications believe an answer only when it is theirs, and say what failed."""

import json
from collections.abc import Iterator
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from demo.application import BUSINESSES, Application
from demo.relying_party import RelyingParty
from demo.web import Site
from tests.demo.browser import Browser
from tests.fakes.server import Server, saying, serving

ADDRESS = "http://localhost:8002"


class Broker:
    """Answers every request with a discovery document, or with `refusal` where that is set."""

    def __init__(self) -> None:
        self.issuer = ""
        self.refusal: dict[str, str] = {}
        self.changes: dict[str, str] = {}

    def answer(self, connection: object) -> None:
        found = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/oauth/authorize",
            "token_endpoint": f"{self.issuer}/oauth/token",
            **self.changes,
        }
        if self.refusal and self.asked.startswith(b"POST"):
            body = json.dumps(self.refusal).encode()
            saying(b"HTTP/1.0 400 Bad Request\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))(connection)  # type: ignore[arg-type] - a socket
            return
        body = json.dumps(found).encode()
        saying(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))(connection)  # type: ignore[arg-type] - a socket

    @property
    def asked(self) -> bytes:
        return self.server.requests[-1]

    server: Server


@pytest.fixture
def broker() -> Iterator[Broker]:
    broker = Broker()
    with serving(broker.answer) as server:
        broker.server, broker.issuer = server, f"http://127.0.0.1:{server.port}"
        yield broker


@pytest.fixture
def browser(broker: Broker) -> Browser:
    relying_party = RelyingParty(
        issuer=broker.issuer,
        client_id="crm",
        client_secret="a:secret/with marks",
        redirect_uri=f"{ADDRESS}/callback",
        signed_out_uri=f"{ADDRESS}/signed-out",
    )
    application = Application(BUSINESSES["crm"], relying_party, broker=broker.issuer)
    return Browser(Site(ADDRESS, application.pages(), on_fault=application.on_fault))


def asked(browser: Browser) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(browser.location).query).items()}


def callback(browser: Browser, **answer: str) -> Browser:
    return browser.get(f"/callback?{urlencode(answer)}")


@pytest.mark.parametrize(("how", "prompt"), [("", None), ("?how=fresh", "login"), ("?how=silent", "none")])
def test_a_sign_on_asks_with_pkce_state_and_nonce(browser: Browser, how: str, prompt: str | None) -> None:
    first, second = (asked(browser.get(f"/sign-on{how}")) for _time in range(2))
    assert first["code_challenge_method"] == "S256"
    assert first.get("prompt") == prompt
    for name in ("state", "nonce", "code_challenge"):
        assert len(first[name]) >= 32
        assert first[name] != second[name]


def test_an_answer_that_nobody_asked_for_is_refused(browser: Browser, broker: Broker) -> None:
    assert callback(browser, code="c", state="s", iss=broker.issuer).status == 400
    assert "No sign-on is under way" in browser.text


def test_another_state_is_refused(browser: Browser, broker: Broker) -> None:
    browser.get("/sign-on")
    assert callback(browser, code="c", state="another", iss=broker.issuer).status == 400
    assert "state" in browser.text


@pytest.mark.parametrize("issuer", [None, "http://localhost:9999"])
def test_another_issuer_is_refused_before_the_code_is_sent_anywhere(
    browser: Browser, broker: Broker, issuer: str | None
) -> None:
    state = asked(browser.get("/sign-on"))["state"]
    callback(browser, code="c", state=state, **({"iss": issuer} if issuer else {}))
    assert browser.status == 400
    assert not any(request.startswith(b"POST") for request in broker.server.requests)


def test_an_answer_counts_once(browser: Browser, broker: Broker) -> None:
    state = asked(browser.get("/sign-on"))["state"]
    broker.refusal = {"error": "invalid_grant"}
    callback(browser, code="c", state=state, iss=broker.issuer)
    callback(browser, code="c", state=state, iss=broker.issuer)
    assert "No sign-on is under way" in browser.text


def test_a_refusal_of_the_token_endpoint_is_shown_with_its_trace(browser: Browser, broker: Broker) -> None:
    state = asked(browser.get("/sign-on"))["state"]
    broker.refusal = {
        "error": "invalid_grant",
        "error_description": "The code is <not> good.",
        "code": "oauth.code",
        "trace_id": "ABCDE-12345",
    }
    callback(browser, code="c", state=state, iss=broker.issuer)
    assert browser.status == 400
    assert "The code is &lt;not&gt; good." in browser.text
    assert "<code>invalid_grant / oauth.code</code>" in browser.text
    assert "<code>ABCDE-12345</code>" in browser.text
    assert b"Basic Y3JtOmElM0FzZWNyZXQlMkZ3aXRoK21hcmtz" in broker.asked  # both halves form-encoded
    assert b"code_verifier=" in broker.asked


def test_a_refusal_by_redirect_is_shown(browser: Browser, broker: Broker) -> None:
    state = asked(browser.get("/sign-on?how=silent"))["state"]
    callback(browser, error="login_required", error_description="Nobody is here.", state=state, iss=broker.issuer)
    assert browser.status == 400
    assert "Nobody is here." in browser.text
    assert "<code>login_required</code>" in browser.text


def test_a_discovery_document_of_another_issuer_is_refused(browser: Browser, broker: Broker) -> None:
    broker.changes = {"issuer": "http://localhost:9999"}
    assert browser.get("/sign-on").status == 400


def test_a_token_answer_without_a_good_id_token_signs_nobody_on(browser: Browser, broker: Broker) -> None:
    state = asked(browser.get("/sign-on"))["state"]
    broker.changes = {"jwks_uri": f"{broker.issuer}/oauth/jwks", "access_token": "a", "id_token": "x.y.z"}
    callback(browser, code="c", state=state, iss=broker.issuer)
    assert "The ID token is not accepted." in browser.text
    assert "Welcome" in browser.get("/").text


@pytest.mark.parametrize("page", ["/refresh", "/sign-out", "/sign-out-here"])
def test_without_a_session_there_is_nothing_to_refresh_or_end(browser: Browser, page: str) -> None:
    assert browser.post(page).status == 400


@pytest.mark.parametrize("page", ["/refresh", "/sign-out", "/sign-out-here"])
def test_another_site_cannot_post_here(browser: Browser, page: str) -> None:
    assert browser.post(page, origin="http://thief.example").status == 403
