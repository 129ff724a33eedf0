"""The pages of Globex's identity provider: who is asked, for what, and what the broker is told."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from demo.authorization import Client
from demo.jwt import public_jwk, read_jwt, verify_signature, write_jwt
from demo.openid_provider import COOKIE, OpenIDProvider
from demo.sign_ons import PASSWORD, SECOND_FACTOR
from demo.token_endpoint import ASSERTION_TYPE
from demo.token_faults import TokenFault
from demo.web import Site
from tests.demo.browser import Browser
from tests.fakes.saml_keys import key_pair
from tests.fakes.server import saying, serving

ADDRESS = "http://localhost:8004"
CALLBACK = "http://localhost:8000/oidc/globex-login/callback"
VERIFIER = "a-verifier-that-nobody-guesses-0123456789abcdef"
ASK = {
    "response_type": "code",
    "client_id": "countersign",
    "redirect_uri": CALLBACK,
    "scope": "openid profile email",
    "state": "flow",
    "nonce": "n-1",
    "code_challenge": "g9IEyHajaipIuUQunWv4vEGABMcoQVR_kbLrKQ5pbL0",
    "code_challenge_method": "S256",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all, since making keys takes its time."""
    return tmp_path_factory.mktemp("demo")


@pytest.fixture
def provider(folder: Path) -> Iterator[OpenIDProvider]:
    keys = json.dumps({"keys": [public_jwk(key_pair("demo client").rsa, kid="c1")]}).encode()
    head = f"HTTP/1.0 200 OK\r\nContent-Length: {len(keys)}\r\n\r\n".encode()
    with serving(saying(head + keys)) as server:
        client = Client("countersign", CALLBACK, f"http://127.0.0.1:{server.port}/oauth/jwks")
        yield OpenIDProvider(address=ADDRESS, client=client, folder=folder)


@pytest.fixture
def browser(provider: OpenIDProvider) -> Browser:
    return Browser(Site(ADDRESS, provider.pages(), on_fault=provider.on_fault))


def ask(browser: Browser, **changes: str | None) -> Browser:
    asked = {name: value for name, value in {**ASK, **changes}.items() if value is not None}
    return browser.get(f"/authorize?{urlencode(asked)}")


def sign_on(browser: Browser, person: str = "gina", **changes: str | None) -> Browser:
    ask(browser, **changes)
    return browser.post("/login", person=person, request=browser.hidden["request"])


def answer(browser: Browser) -> dict[str, str]:
    assert browser.location.startswith(f"{CALLBACK}?"), browser.text
    return {name: values[0] for name, values in parse_qs(urlsplit(browser.location).query).items()}


def redeem(browser: Browser, provider: OpenIDProvider) -> dict[str, Any]:
    """The token answer for the code that the browser carries."""
    code = answer(browser)["code"]
    assertion = {"iss": "countersign", "sub": "countersign", "aud": ADDRESS, "exp": int(time.time()) + 60, "jti": code}
    browser.post(
        "/token",
        grant_type="authorization_code",
        code=code,
        redirect_uri=CALLBACK,
        code_verifier=VERIFIER,
        client_assertion_type=ASSERTION_TYPE,
        client_assertion=write_jwt(assertion, key=key_pair("demo client").rsa, kid="c1"),
    )
    assert browser.status == 200, browser.text
    return dict(json.loads(browser.text))


def claims(browser: Browser, provider: OpenIDProvider) -> dict[str, Any]:
    unverified = read_jwt(redeem(browser, provider)["id_token"])
    verify_signature(unverified, provider.issuer.jwks()["keys"])
    return dict(unverified.claims)


def test_whoever_is_chosen_is_sent_on_with_a_code(browser: Browser, provider: OpenIDProvider) -> None:
    told = answer(sign_on(browser))
    assert (told["state"], told["iss"]) == ("flow", ADDRESS)
    tokens = redeem(sign_on(browser, prompt="login"), provider)
    assert tokens["token_type"] == "Bearer"
    said = read_jwt(tokens["id_token"]).claims
    assert (said["aud"], said["nonce"], said["acr"], said["amr"]) == ("countersign", "n-1", PASSWORD, ["pwd"])


def test_userinfo_is_about_the_same_person(browser: Browser, provider: OpenIDProvider) -> None:
    tokens = redeem(sign_on(browser), provider)
    found = json.loads(browser.get("/userinfo", authorization=f"Bearer {tokens['access_token']}").text)
    assert found["sub"] == read_jwt(tokens["id_token"]).claims["sub"]
    assert (found["email"], found["groups"]) == ("gina@globex.example", ["purchasing", "erp-approvers"])


@pytest.mark.parametrize("authorization", ["", "Bearer another", "Basic another"])
def test_userinfo_is_for_tokens_of_ours(browser: Browser, authorization: str) -> None:
    assert browser.get("/userinfo", authorization=authorization).status == 401


def test_a_session_answers_without_asking_again(browser: Browser) -> None:
    sign_on(browser)
    assert "code" in answer(ask(browser))
    assert "code" in answer(ask(browser, prompt="none"))
    assert "code" in answer(ask(browser, max_age="60"))


@pytest.mark.parametrize("changes", [{"prompt": "login"}, {"prompt": "select_account"}, {"max_age": "0"}])
def test_a_fresh_sign_on_asks_although_there_is_a_session(browser: Browser, changes: dict[str, str]) -> None:
    sign_on(browser)
    assert "Who are you?" in ask(browser, **changes).text


def test_nobody_is_asked_where_no_page_may_be_shown(browser: Browser) -> None:
    assert answer(ask(browser, prompt="none"))["error"] == "login_required"
    sign_on(browser)
    assert answer(ask(browser, prompt="none", acr_values=SECOND_FACTOR))["error"] == "login_required"


def test_the_second_factor_is_asked_for_where_it_is_wanted(browser: Browser, provider: OpenIDProvider) -> None:
    assert "One more step, Gina" in sign_on(browser, acr_values=SECOND_FACTOR).text
    browser.post("/second-factor", request=browser.hidden["request"], confirmed="yes")
    told = claims(browser, provider)
    assert (told["acr"], told["amr"]) == (SECOND_FACTOR, ["pwd", "swk", "mfa"])
    assert "code" in answer(ask(browser, acr_values=SECOND_FACTOR))


def test_a_session_is_stepped_up_without_asking_who_it_is(browser: Browser, provider: OpenIDProvider) -> None:
    sign_on(browser)
    assert "One more step, Gina" in ask(browser, acr_values=SECOND_FACTOR).text
    browser.post("/second-factor", request=browser.hidden["request"], confirmed="yes")
    assert claims(browser, provider)["acr"] == SECOND_FACTOR


def test_who_goes_on_without_is_told_of_as_they_are(browser: Browser, provider: OpenIDProvider) -> None:
    sign_on(browser, acr_values=SECOND_FACTOR)
    browser.post("/second-factor", request=browser.hidden["request"], confirmed="no")
    assert claims(browser, provider)["acr"] == PASSWORD


def test_what_a_password_satisfies_asks_for_no_more(browser: Browser) -> None:
    assert "code" in answer(sign_on(browser, acr_values=f"{SECOND_FACTOR} {PASSWORD}"))


@pytest.mark.parametrize(
    "changes", [{"client_id": "another"}, {"redirect_uri": "http://thief.example/"}, {"redirect_uri": None}]
)
def test_a_strangers_request_is_refused_on_a_page(browser: Browser, changes: dict[str, str | None]) -> None:
    assert ask(browser, **changes).status == 400
    assert browser.location == ""


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": "profile"}, "invalid_scope"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"nonce": None}, "invalid_request"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"prompt": "create"}, "invalid_request"),
        ({"max_age": "soon"}, "invalid_request"),
    ],
)
def test_a_request_that_is_not_in_order_is_answered_with_an_error(
    browser: Browser, changes: dict[str, str | None], error: str
) -> None:
    assert answer(ask(browser, **changes)) | {"error_description": ""} == {
        "error": error,
        "error_description": "",
        "state": "flow",
        "iss": ADDRESS,
    }


@pytest.mark.parametrize("page", ["/login", "/second-factor"])
def test_a_step_without_a_waiting_request_is_refused(browser: Browser, page: str) -> None:
    assert browser.post(page, person="gina", request="unknown", confirmed="yes").status == 400
    ask(browser)
    assert browser.post("/second-factor", request=browser.hidden["request"], confirmed="yes").status == 400
    assert COOKIE not in browser.cookies


def test_a_refused_redemption_says_why(browser: Browser) -> None:
    browser.post("/token", grant_type="authorization_code", code="c")
    assert browser.status == 401
    assert json.loads(browser.text)["error"] == "invalid_client"


@pytest.mark.parametrize(
    ("fault", "claim", "value"),
    [
        (TokenFault.WRONG_AUDIENCE, "aud", "another-client"),
        (TokenFault.WRONG_NONCE, "nonce", "of-another-sign-on"),
        (TokenFault.OTHER_ISSUER, "iss", "https://login.another.example"),
    ],
)
def test_a_fault_changes_its_claim_alone(
    browser: Browser, provider: OpenIDProvider, fault: TokenFault, claim: str, value: str
) -> None:
    honest = claims(sign_on(browser), provider)
    browser.post("/faults", fault=fault)
    wrong = claims(ask(browser), provider)
    assert wrong[claim] == value
    changing = {claim, "at_hash", "iat", "exp"}
    assert {name: one for name, one in wrong.items() if name not in changing} == {
        name: one for name, one in honest.items() if name not in changing
    }


def test_an_expired_token_was_valid_once(browser: Browser, provider: OpenIDProvider) -> None:
    browser.post("/faults", fault=TokenFault.EXPIRED)
    told = claims(sign_on(browser), provider)
    assert told["iat"] < told["exp"] < told["auth_time"]


@pytest.mark.parametrize("fault", [TokenFault.UNKNOWN_KEY, TokenFault.ALTERED])
def test_a_broken_signature_is_broken(browser: Browser, provider: OpenIDProvider, fault: TokenFault) -> None:
    browser.post("/faults", fault=fault)
    with pytest.raises(Exception, match=r"does not publish|does not hold"):
        claims(sign_on(browser), provider)


def test_a_denial_and_a_mix_up_arrive_at_the_broker(browser: Browser) -> None:
    browser.post("/faults", fault=TokenFault.DENIED)
    assert answer(sign_on(browser))["error"] == "access_denied"
    browser.post("/faults", fault=TokenFault.MIX_UP)
    assert answer(ask(browser))["iss"] == "https://login.another.example"


@pytest.mark.parametrize(
    ("fault", "name", "value"),
    [(TokenFault.OTHER_USERINFO, "sub", "somebody-else"), (TokenFault.FOREIGN_DOMAIN, "email", "gina@acme.example")],
)
def test_userinfo_has_its_faults_too(
    browser: Browser, provider: OpenIDProvider, fault: TokenFault, name: str, value: str
) -> None:
    browser.post("/faults", fault=fault)
    tokens = redeem(sign_on(browser), provider)
    found = json.loads(browser.get("/userinfo", authorization=f"Bearer {tokens['access_token']}").text)
    assert found[name] == value


def test_a_fault_that_is_switched_on_is_shown_everywhere(browser: Browser, provider: OpenIDProvider) -> None:
    assert browser.post("/faults", fault="nonsense").status == 400
    assert browser.post("/faults", origin="http://thief.example", fault="expired").status == 403
    assert provider.fault is TokenFault.NONE
    browser.post("/faults", fault="expired")
    for page in ("/", "/faults", f"/authorize?{urlencode(ASK)}"):
        assert "A fault is switched on: Expired ID token." in browser.get(page).text
    browser.post("/faults", fault="none")
    assert "A fault is switched on" not in browser.get("/").text


def test_after_signing_out_it_asks_again(browser: Browser) -> None:
    sign_on(browser)
    browser.post("/sign-out")
    assert COOKIE not in browser.cookies
    assert "Who are you?" in ask(browser).text


def test_the_configuration_names_our_addresses(browser: Browser, provider: OpenIDProvider) -> None:
    found = json.loads(browser.get("/.well-known/openid-configuration").text)
    assert found["issuer"] == ADDRESS
    assert found["authorization_response_iss_parameter_supported"] is True
    [key] = json.loads(browser.get("/jwks").text)["keys"]
    assert not key.keys() & {"d", "p", "q"}
