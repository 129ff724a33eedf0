"""Sign-on over https between sites that are strangers to each other, in a browser that blocks third-party cookies."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from playwright.sync_api import Browser, Error, Playwright, Request, Response, StorageStateCookie, expect

from tests.browser.authority import Authority
from tests.browser.conftest import ARGUMENTS, CHROMIUM
from tests.browser.operators import OWN_PASSWORD, choose_password, enter
from tests.browser.secure_company import HERE, Company, running
from tests.browser.visitor import SEND_FORM, Visitor, text_of

RULES = f"--host-resolver-rules=MAP *.test {HERE}, MAP *.localhost {HERE}, MAP * ~NOTFOUND"
NO_THIRD_PARTY_COOKIES = "--test-third-party-cookie-phaseout"
YEAR = 31_536_000
OPERATOR = "olga@countersign.test"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("https"))


@pytest.fixture(scope="module")
def company(authority: Authority) -> Iterator[Company]:
    with running(authority.folder, authority) as company:
        yield company


@pytest.fixture(scope="module")
def secure_browser(playwright: Playwright, authority: Authority) -> Iterator[Browser]:
    """Trusts in the authority because its settings say so; no switch makes it ignore a certificate."""
    home = authority.folder / "home"
    authority.introduce(home)
    browser = launch(playwright, home)
    yield browser
    browser.close()


def launch(playwright: Playwright, home: Path) -> Browser:
    arguments = [*ARGUMENTS, RULES, NO_THIRD_PARTY_COOKIES]
    return playwright.chromium.launch(executable_path=CHROMIUM, args=arguments, env={**os.environ, "HOME": str(home)})


class Traveller(Visitor):
    """A visitor who remembers what was asked and answered on the way."""

    def __init__(self, browser: Browser, company: Company) -> None:
        super().__init__(browser, company)
        self.company = company
        self.requests: list[Request] = []
        self.responses: list[Response] = []
        self.strays: list[str] = []
        self.context.on("request", self._remember)
        self.context.on("response", lambda response: self.responses.append(response))

    def _remember(self, request: Request) -> None:
        self.requests.append(request)
        if request.is_navigation_request():
            is_stray = request.frame.parent_frame is not None
        else:
            is_stray = urlsplit(request.url).netloc != urlsplit(request.frame.url).netloc
        if is_stray:
            self.strays.append(request.url)

    def asked(self, method: str, start: str) -> Request:
        """The one request like this."""
        (found,) = [one for one in self.requests if one.method == method and one.url.startswith(start)]
        return found

    def cookies_of_broker(self) -> dict[str, StorageStateCookie]:
        return {cookie["name"]: cookie for cookie in self.context.cookies(self.company.broker)}


@pytest.fixture
def traveller(secure_browser: Browser, company: Company) -> Iterator[Traveller]:
    """Ends with what holds for every journey: no page holds anything of another site, and each answer of ours HSTS."""
    traveller = Traveller(secure_browser, company)
    yield traveller
    traveller.settle()
    assert not traveller.strays
    pages = [one for one in traveller.responses if one.request.is_navigation_request()]
    ours = [one for one in pages if one.url.startswith(f"{company.broker}/")]
    assert ours
    for response in ours:
        assert response.header_value("strict-transport-security") == f"max-age={YEAR}", response.url
    traveller.close()


def sign_on_from_globex(traveller: Traveller, application: str) -> None:
    """Ask the application for a sign-on and answer at Globex as Gina."""
    traveller.page.goto(f"{application}/sign-on")
    traveller.page.get_by_role("button", name="Globex Login").click()
    traveller.page.get_by_role("button", name="Gina Haddad").click()
    hello(traveller, "Gina Haddad")


def hello(traveller: Traveller, name: str) -> None:
    expect(traveller.page.get_by_role("heading", name=f"Hello, {name}")).to_be_visible()


def test_a_browser_that_does_not_know_the_authority_comes_nowhere(
    playwright: Playwright, company: Company, tmp_path: Path
) -> None:
    browser = launch(playwright, tmp_path)
    with pytest.raises(Error, match="ERR_CERT_AUTHORITY_INVALID"):
        browser.new_page().goto(company.broker)
    browser.close()


def test_saml_in_and_saml_out_leave_lax_cookies_behind_and_find_them_again(
    traveller: Traveller, company: Company
) -> None:
    traveller.sign_on(company.addresses.erp)
    hello(traveller, "Alice Moreau")
    consumer = f"{company.broker}/saml/sp/acme-idp/acs"
    posted = traveller.asked("POST", consumer).all_headers()
    assert posted["sec-fetch-site"] == "cross-site"
    assert "cookie" not in posted
    assert "__Host-countersign-flow=" in traveller.asked("GET", f"{consumer}?").all_headers()["cookie"]
    assert "cookie" not in traveller.asked("POST", f"{company.addresses.erp}/acs").all_headers()


def test_openid_in_and_openid_out_and_no_second_login_in_either_protocol(
    traveller: Traveller, company: Company
) -> None:
    sign_on_from_globex(traveller, company.crm)
    callback = traveller.asked("GET", f"{company.broker}/oidc/globex-login/callback").all_headers()
    assert callback["sec-fetch-site"] == "cross-site"
    assert "__Host-countersign-flow=" in callback["cookie"]
    before = len(traveller.requests)
    for application in (company.hr, company.addresses.erp):
        traveller.page.goto(f"{application}/sign-on")
        hello(traveller, "Gina Haddad")
    upstream = (company.identity_provider, company.addresses.globex)
    assert not [one.url for one in traveller.requests[before:] if one.url.startswith(upstream)]


def test_every_cookie_of_the_broker_is_bound_to_its_host_and_to_https(traveller: Traveller, company: Company) -> None:
    sign_on_from_globex(traveller, company.crm)
    found = traveller.cookies_of_broker()
    assert {"__Host-countersign-flow", "__Host-countersign-session"} <= found.keys()
    for name, cookie in found.items():
        assert name.startswith("__Host-")
        assert cookie["domain"] == urlsplit(company.broker).hostname
        assert (cookie["path"], cookie["sameSite"]) == ("/", "Lax")
        assert cookie["secure"]
        assert cookie["httpOnly"]


def test_a_request_that_another_site_posts_meets_the_session_all_the_same(
    traveller: Traveller, company: Company
) -> None:
    sign_on_from_globex(traveller, company.crm)
    endpoint = f"{company.broker}/oauth/authorize"
    with traveller.page.expect_request(f"{endpoint}?*") as sent:
        traveller.page.get_by_role("link", name="Sign on as somebody else").click()
    expect(traveller.page.get_by_role("heading", name="Where do you work?")).to_be_visible()
    traveller.page.goto(company.crm)
    fields = dict(parse_qsl(urlsplit(sent.value.url).query))
    del fields["prompt"]
    traveller.requests.clear()
    traveller.page.evaluate(SEND_FORM, [endpoint, fields])
    traveller.page.wait_for_url(f"{company.crm}/")
    hello(traveller, "Gina Haddad")
    assert "cookie" not in traveller.asked("POST", endpoint).all_headers()
    assert "__Host-countersign-session=" in traveller.asked("GET", endpoint).all_headers()["cookie"]


def test_signing_out_ends_the_session_for_every_site(traveller: Traveller, company: Company) -> None:
    sign_on_from_globex(traveller, company.crm)
    traveller.page.get_by_role("button", name="Sign out", exact=True).click()
    traveller.page.wait_for_url(f"{company.crm}/signed-out*")
    traveller.page.goto(f"{company.broker}/")
    expect(traveller.page.get_by_role("heading", name="You are not signed on here")).to_be_visible()
    for application, words in ((company.hr, "login_required"), (company.addresses.erp, "NoPassive")):
        traveller.page.goto(f"{application}/sign-on?how=silent")
        expect(traveller.page.get_by_text(words)).to_be_visible()


def test_another_sites_form_ends_no_session(traveller: Traveller, company: Company) -> None:
    sign_on_from_globex(traveller, company.crm)
    traveller.page.evaluate(SEND_FORM, [f"{company.broker}/signon/sessions/end-all", {}])
    traveller.page.wait_for_url(f"{company.broker}/**")
    assert text_of(traveller.page, "Code") == "request.csrf"
    traveller.page.goto(f"{company.broker}/")
    expect(traveller.page.get_by_role("heading", name="You are signed on, Gina Haddad")).to_be_visible()


def test_an_answer_that_another_site_invents_is_refused(traveller: Traveller, company: Company) -> None:
    traveller.page.goto(company.crm)
    fields = {"SAMLResponse": "PHg+", "RelayState": "x" * 43}
    traveller.page.evaluate(SEND_FORM, [f"{company.broker}/saml/sp/acme-idp/acs", fields])
    traveller.page.wait_for_url(f"{company.broker}/**")
    assert text_of(traveller.page, "Code") == "saml.unsolicited"


def test_an_answer_does_not_count_in_another_browser(
    traveller: Traveller, secure_browser: Browser, company: Company
) -> None:
    consumer = f"{company.broker}/saml/sp/acme-idp/acs"
    elsewhere = Visitor(secure_browser, company)
    elsewhere.page.route(consumer, lambda route: route.fulfill(status=204))
    with elsewhere.page.expect_request(consumer) as sent:
        elsewhere.page.goto(f"{company.crm}/sign-on")
        elsewhere.come_from_acme()
        elsewhere.page.get_by_role("button", name="Alice Moreau").click()
    elsewhere.close()
    traveller.page.goto(company.identity_provider)
    traveller.page.evaluate(SEND_FORM, [consumer, sent.value.post_data_json])
    traveller.page.wait_for_url(f"{company.broker}/**")
    assert text_of(traveller.page, "Code") == "signon.other_browser"
    assert "__Host-countersign-session" not in traveller.cookies_of_broker()


def test_an_operator_signs_in_over_https(traveller: Traveller, company: Company) -> None:
    told = company.manage("create_operator", OPERATOR, "--name", "Olga Operator", "--role", "operator", "--json")
    one_time = json.loads(told)["one_time_password"]
    enter(traveller, OPERATOR, password=one_time)
    choose_password(traveller, old=one_time, new=OWN_PASSWORD)
    expect(traveller.page.get_by_text("Your password is changed.")).to_be_visible()
    assert {"__Host-countersign-console", "__Host-countersign-csrf"} <= traveller.cookies_of_broker().keys()
