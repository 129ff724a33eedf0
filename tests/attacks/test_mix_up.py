"""Attack: a provider that an operator trusts for one company gets hold of another company's sign-on (RFC 9700 4.4)."""

from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from broker.directory.models import Person
from broker.sessions.models import Session
from broker.traces.models import Trace
from federation.signon import services
from tests.fakes.fake_op import running
from tests.flows.openid_stage import OpenIDCompany, make_openid_company
from tests.flows.stage import Browser, answer_of, make_company

pytestmark = pytest.mark.django_db


@pytest.fixture
def honest(settings):
    settings.OUTGOING_NETWORKS = ["127.0.0.0/8"]
    settings.OUTGOING_PROXY = ""
    with running() as provider:
        yield make_openid_company(provider, "globex")


@pytest.fixture
def evil(honest):
    with running(key_number=9) as provider:
        yield make_openid_company(provider, "evil")


def refused(response, code: str) -> None:
    assert response.status_code >= 400, response["Location"]
    assert Trace.objects.get(pk=response["Countersign-Trace"]).code == code
    assert not Session.objects.exists()
    assert not Person.objects.exists()


def begin(company: OpenIDCompany, browser: Browser) -> str:
    """The victim wants to sign on at `company`; returns the authorization request."""
    return company.ask(browser, idp_hint=company.identity_provider.slug)["Location"]


@pytest.mark.parametrize(
    "iss", [..., "", "https://evil.example", "{evil}", "{honest}/", "HTTP://LOCALHOST", "{honest} "]
)
def test_an_answer_that_does_not_name_its_issuer_stops_before_the_token_request(honest, evil, iss):
    if isinstance(iss, str):
        iss = iss.replace("{evil}", evil.fake.issuer).replace("{honest}", honest.fake.issuer)
    browser = Browser()
    refused(browser.get(honest.fake.authorize(begin(honest, browser), answer={"iss": iss})), "oidc.mix_up")
    assert not honest.fake.token_requests
    assert not evil.fake.token_requests


def test_an_error_of_another_issuer_is_no_error_of_this_one(honest, evil):
    browser = Browser()
    answer = {"iss": evil.fake.issuer, "code": ..., "error": "access_denied"}
    refused(browser.get(honest.fake.authorize(begin(honest, browser), answer=answer)), "oidc.mix_up")


@pytest.mark.parametrize(("iss", "passes"), [(..., True), ("{own}", True), ("https://evil.example", False)])
def test_a_provider_that_does_not_announce_iss_may_leave_it_out_but_not_name_another(honest, settings, iss, passes):
    with running() as provider:
        provider.document = {"authorization_response_iss_parameter_supported": ...}
        company, browser = make_openid_company(provider, "initech"), Browser()
        iss = provider.issuer if iss == "{own}" else iss
        response = browser.get(provider.authorize(begin(company, browser), answer={"iss": iss}))
        if passes:
            assert "code" in answer_of(response)
        else:
            refused(response, "oidc.mix_up")
            assert not provider.token_requests


@pytest.mark.parametrize("announced", ["true", 1, [True], {}], ids=repr)
def test_only_true_announces_iss(honest, announced):
    """What is not plainly announced is not demanded; what is there is compared all the same."""
    with running() as provider:
        provider.document = {"authorization_response_iss_parameter_supported": announced}
        company, browser = make_openid_company(provider, "initech"), Browser()
        assert "code" in answer_of(browser.get(provider.authorize(begin(company, browser), answer={"iss": ...})))


def test_the_honest_providers_code_does_not_reach_the_evil_ones_token_endpoint(honest, evil):
    """The evil provider sends the victim on to the honest one, with its own callback and state."""
    browser = Browser()
    asked = parse_qs(urlsplit(begin(evil, browser)).query)
    forwarded = {name: values[0] for name, values in asked.items()}
    url = honest.fake.authorize(f"{honest.fake.issuer}/authorize?{urlencode(forwarded)}")
    assert urlsplit(url).path == "/oidc/evil/callback"
    refused(browser.get(url), "oidc.mix_up")
    assert not evil.fake.token_requests


def test_even_without_iss_the_honest_providers_code_is_worth_nothing_at_our_callback_for_the_evil_one(honest, evil):
    """Its redirect URI is another one, and so is the client's secret and the challenge."""
    evil.fake.document = {"authorization_response_iss_parameter_supported": ...}
    browser = Browser()
    url = honest.fake.authorize(begin(evil, browser), answer={"iss": evil.fake.issuer})
    refused(browser.get(url), "oidc.token_request")


def test_an_answer_at_another_providers_callback_is_refused_and_spoils_nothing(honest, evil):
    browser = Browser()
    url = honest.fake.authorize(begin(honest, browser))
    refused(browser.get(url.replace("/oidc/globex/", "/oidc/evil/")), "signon.unknown")
    assert not evil.fake.token_requests
    assert "code" in answer_of(browser.get(url))


def test_an_evil_provider_cannot_bring_a_sign_on_that_was_moved_away_from_it_to_another_end(honest, evil):
    """The person left the evil provider and chose the honest one. What the evil one saw does not help it there."""
    browser = Browser()
    flow = honest.ask(browser)["Location"].partition("flow=")[2]
    seen = browser.post("/signon/choose", {"flow": flow, "identity_provider": "evil"})["Location"]
    moved = browser.post("/signon/choose", {"flow": flow, "identity_provider": "globex"})["Location"]
    assert parse_qs(urlsplit(seen).query)["state"] == parse_qs(urlsplit(moved).query)["state"]
    # A code of the attacker's own account at the honest provider, bound to the challenge that the evil one saw.
    own = {name: values[0] for name, values in parse_qs(urlsplit(seen).query).items()}
    own |= {"redirect_uri": honest.callback_url, "client_id": honest.identity_provider.client_id}
    url = honest.fake.authorize(f"{honest.fake.issuer}/authorize?{urlencode(own)}", person={"sub": "attacker"})
    refused(browser.get(url), "oidc.token_request")


def test_a_sign_on_that_moves_away_in_the_moment_of_its_answer_is_not_taken(honest, evil, monkeypatch):
    """The other tab's request falls between our reading of the row and our taking it."""
    browser = Browser()
    flow = honest.ask(browser)["Location"].partition("flow=")[2]
    asked = browser.post("/signon/choose", {"flow": flow, "identity_provider": "evil"})["Location"]
    url = evil.fake.authorize(asked)
    take = services.consume

    def taken_late(login, state):
        browser.post("/signon/choose", {"flow": flow, "identity_provider": "globex"})
        return take(login, state)

    monkeypatch.setattr(services, "consume", taken_late)
    refused(browser.get(url), "oidc.replayed")
    assert not evil.fake.token_requests


def test_an_id_token_of_the_honest_provider_is_no_answer_of_the_evil_one(honest, evil):
    browser = Browser()
    asked = begin(evil, browser)
    nonce = parse_qs(urlsplit(asked).query)["nonce"][0]
    stolen = honest.fake.id_token_of(honest.fake.authorize(begin(honest, Browser()), claims={"nonce": nonce}))
    refused(browser.get(evil.fake.authorize(asked, tokens={"id_token": stolen})), "oidc.signature")


def test_a_provider_that_publishes_anothers_keys_still_cannot_pass_on_its_tokens(honest, evil):
    evil.fake.keys = honest.fake.keys
    browser = Browser()
    asked = begin(evil, browser)
    nonce = parse_qs(urlsplit(asked).query)["nonce"][0]
    stolen = honest.fake.id_token_of(honest.fake.authorize(begin(honest, Browser()), claims={"nonce": nonce}))
    refused(browser.get(evil.fake.authorize(asked, tokens={"id_token": stolen})), "oidc.issuer")


def test_an_evil_provider_cannot_speak_in_the_honest_ones_name(honest, evil):
    browser = Browser()
    claims = {"iss": honest.fake.issuer, "sub": "alice-at-globex"}
    refused(browser.get(evil.fake.authorize(begin(evil, browser), claims=claims)), "oidc.issuer")


def test_an_evil_provider_cannot_name_the_honest_ones_subject_or_address(honest, evil):
    """Its own alice is another person, and her e-mail address at Globex is dropped."""
    browser = Browser()
    answer_of(browser.get(evil.fake.authorize(begin(evil, browser))))
    assert not Person.objects.get().identifiers.exists()
    answer_of(Browser().follow(honest.sign_on(Browser(), ask={"idp_hint": "globex"})))
    assert Person.objects.count() == 2
    assert Person.objects.filter(identifiers__value="alice@globex.example").count() == 1


def test_a_saml_answer_is_none_at_an_openid_callback_and_the_other_way_round(honest):
    saml = make_company()
    browser = Browser()
    asked = saml.ask(browser, idp_hint="acme-idp")
    relay_state = parse_qs(urlsplit(asked["Location"]).query)["RelayState"][0]
    refused(browser.get(f"{honest.callback_url}?state={relay_state}&code=x"), "signon.unknown")
    state = parse_qs(urlsplit(begin(honest, browser)).query)["state"][0]
    response = browser.post(saml.acs_url, {"SAMLResponse": "PGEvPg==", "RelayState": state})
    refused(response, "saml.unsolicited")
    assert not honest.fake.token_requests
