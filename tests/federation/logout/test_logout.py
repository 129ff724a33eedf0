"""RP-initiated logout: who may end a session unasked, and where the browser goes then."""

import base64
import json
import re
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from django.conf import settings
from django.test import Client as Http
from django.utils import timezone

from broker.events.models import Event
from broker.keys import jose
from broker.keys.models import SigningKey
from broker.keys.ring import ring
from broker.keys.services import signing_key
from broker.registry.cache import raise_version
from broker.registry.models import Client
from broker.sessions.models import Session
from broker.traces.models import Trace
from tests.broker.tokens.desk import Desk
from tests.factories import make_client, make_participant, make_session

pytestmark = pytest.mark.django_db
HANDLE = "the-session's-handle"
RETURN_URL = "https://crm.example/signed-out"


@pytest.fixture
def desk(db):
    client = make_client(
        post_logout_redirect_uris=[RETURN_URL, "https://crm.example/bye?from=sso", "com.acme.crm:/bye"]
    )
    yield Desk(client=client)
    ring.forget()


@pytest.fixture
def browser(desk):
    http = Http(raise_request_exception=False, enforce_csrf_checks=True)
    http.cookies[settings.SSO_COOKIE_NAME] = HANDLE
    return http


def is_live() -> bool:
    return Session.objects.filter(ended_at=None).exists()


def assert_refused(response, code):
    """A page with code and trace id, an event, and a session that goes on."""
    assert response.status_code == 400
    assert code in response.content.decode()
    event = Event.objects.filter(type="request.refused").latest("id")
    assert event.code == code
    assert event.trace_id == response["Countersign-Trace"]
    assert event.trace_id in response.content.decode()
    assert Trace.objects.get(pk=event.trace_id).code == code
    assert is_live()
    assert "Location" not in response


def token_in(response) -> dict[str, str]:
    """The hidden fields of the page's form."""
    page = response.content.decode()
    return {
        name: re.search(f'name="{name}" value="([^"]+)"', page).group(1) for name in ("csrfmiddlewaretoken", "asked")
    }


def assert_ended(response):
    assert not is_live()
    cookie = response.cookies[settings.SSO_COOKIE_NAME]
    assert (cookie.value, cookie["max-age"]) == ("", 0)
    assert Event.objects.filter(type="session.ended").count() == 1


# --- with an ID token of this session -------------------------------------------------------------------------------
def test_an_id_token_of_this_session_ends_it_and_leads_back_with_the_state(desk, browser):
    hint = desk.tokens()["id_token"]
    response = browser.get(
        "/oauth/logout", {"id_token_hint": hint, "post_logout_redirect_uri": RETURN_URL, "state": "a b&c"}
    )
    assert response.status_code == 303
    assert response["Location"] == f"{RETURN_URL}?state=a+b%26c"
    assert response["Cache-Control"] == "no-store"
    assert_ended(response)
    event = Event.objects.get(type="session.ended")
    assert event.details["reason"] == f"logout from {desk.client.application.slug}"
    assert Trace.objects.get(pk=response["Countersign-Trace"]).outcome == "succeeded"


@pytest.mark.parametrize(
    ("return_url", "location"),
    [
        ("https://crm.example/bye?from=sso", "https://crm.example/bye?from=sso&state=s"),
        ("com.acme.crm:/bye", "com.acme.crm:/bye?state=s"),
    ],
)
def test_a_registered_address_is_kept_letter_by_letter(desk, browser, return_url, location):
    hint = desk.tokens()["id_token"]
    response = browser.get(
        "/oauth/logout", {"id_token_hint": hint, "post_logout_redirect_uri": return_url, "state": "s"}
    )
    assert response["Location"] == location


def test_without_an_address_a_page_names_the_applications_that_are_left(desk, browser):
    desk.client.application.name = "The <b>CRM</b>"
    desk.client.application.save()
    response = browser.get("/oauth/logout", {"id_token_hint": desk.tokens()["id_token"]})
    page = response.content.decode()
    assert response.status_code == 200
    assert "not signed out by us" in page
    assert "The &lt;b&gt;CRM&lt;/b&gt;" in page
    assert_ended(response)


def test_an_expired_id_token_is_good_enough_to_leave_with(desk, browser):
    hint = desk.tokens()["id_token"]
    with time_machine.travel(timezone.now() + timedelta(hours=1), tick=False):
        response = browser.get("/oauth/logout", {"id_token_hint": hint})
        assert_ended(response)


def test_a_very_old_id_token_counts_as_none_and_the_person_is_asked(desk, browser):
    hint = desk.tokens()["id_token"]
    later = timezone.now() + timedelta(days=31)
    Session.objects.update(last_used_at=later, expires_at=later + timedelta(hours=1))
    with time_machine.travel(later, tick=False):
        response = browser.get("/oauth/logout", {"id_token_hint": hint})
        assert "Sign out?" in response.content.decode()
        assert is_live()


def test_an_id_token_whose_key_is_gone_counts_as_none_and_the_person_is_asked(desk, browser):
    hint = desk.tokens()["id_token"]
    SigningKey.objects.update(gone_at=timezone.now() - timedelta(days=1))
    ring.forget()
    assert "Sign out?" in browser.get("/oauth/logout", {"id_token_hint": hint}).content.decode()
    assert is_live()


def test_after_logout_neither_userinfo_nor_a_waiting_code_works(desk, browser):
    tokens, code = desk.tokens(), desk.code()
    browser.get("/oauth/logout", {"id_token_hint": tokens["id_token"]})
    assert desk.userinfo(tokens["access_token"]).status_code == 401
    assert desk.redeem(code).status_code == 400


def test_offline_access_outlives_the_logout(desk, browser):
    tokens = desk.offline_tokens()
    browser.get("/oauth/logout", {"id_token_hint": tokens["id_token"]})
    assert desk.refresh(tokens["refresh_token"]).status_code == 200


def test_a_cross_site_post_is_judged_and_goes_on_by_get_so_that_the_cookie_comes(desk, browser):
    hint = desk.tokens()["id_token"]
    posted = Http(enforce_csrf_checks=True).post(
        "/oauth/logout", {"id_token_hint": hint, "post_logout_redirect_uri": RETURN_URL, "state": "s"}
    )
    assert posted.status_code == 303
    assert posted["Location"].startswith("/oauth/logout/confirm?asked=")
    assert hint not in posted["Location"]
    assert is_live()
    response = browser.get(posted["Location"])
    assert response["Location"] == f"{RETURN_URL}?state=s"
    assert_ended(response)


# --- without ---------------------------------------------------------------------------------------------------------
def test_without_an_id_token_the_person_is_asked_and_may_stay(desk, browser):
    response = browser.get("/oauth/logout")
    assert response.status_code == 200
    assert "Sign out?" in response.content.decode()
    assert desk.client.application.name in response.content.decode()
    assert response["X-Frame-Options"] == "DENY"
    assert "frame-ancestors 'none'" in response["Content-Security-Policy"]
    assert response["Cache-Control"] == "no-store"
    assert is_live()


def test_the_persons_word_ends_the_session_and_leads_back(desk, browser):
    asked = browser.get(
        "/oauth/logout",
        {"client_id": desk.client.client_id, "post_logout_redirect_uri": RETURN_URL, "state": "s"},
    )
    response = browser.post("/oauth/logout/confirm", token_in(asked))
    assert response["Location"] == f"{RETURN_URL}?state=s"
    assert_ended(response)


def test_the_start_pages_own_button_needs_no_application(desk, browser):
    token = token_in(browser.get("/oauth/logout"))["csrfmiddlewaretoken"]
    response = browser.post("/oauth/logout/confirm", {"csrfmiddlewaretoken": token})
    assert "You are signed out" in response.content.decode()
    assert_ended(response)


def test_a_foreign_page_cannot_say_the_persons_word(desk, browser):
    asked = token_in(browser.get("/oauth/logout"))["asked"]
    response = browser.post("/oauth/logout/confirm", {"asked": asked})
    assert response.status_code == 403
    assert is_live()


def test_a_confirmation_is_good_for_fifteen_minutes(desk, browser):
    start = timezone.now()
    with time_machine.travel(start, tick=False):
        fields = token_in(browser.get("/oauth/logout"))
    with time_machine.travel(start + timedelta(minutes=15), tick=False):
        response = browser.post("/oauth/logout/confirm", fields)
    assert_refused(response, "signon.expired")


@pytest.mark.parametrize("asked", ["x", "k1.AAAA", "k1." + "A" * 200, "é", "\x00"])
def test_a_request_that_we_did_not_seal_is_refused(desk, browser, asked):
    assert_refused(browser.get("/oauth/logout/confirm", {"asked": asked}), "signon.unknown")


def test_an_id_token_of_another_session_does_not_end_this_one_unasked(desk, browser):
    other = make_participant(client=desk.client, session=make_session(handle="another-browser"))
    own, desk.participant = desk.participant, other
    hint = desk.tokens()["id_token"]
    desk.participant = own
    response = browser.get("/oauth/logout", {"id_token_hint": hint})
    assert "Sign out?" in response.content.decode()
    assert Session.objects.filter(ended_at=None).count() == 2


def test_without_a_session_nothing_is_asked_and_nothing_ended(desk):
    hint = desk.tokens()["id_token"]
    stranger = Http()
    response = stranger.get("/oauth/logout", {"id_token_hint": hint, "post_logout_redirect_uri": RETURN_URL})
    assert response["Location"] == RETURN_URL
    assert is_live()
    assert "You are signed out" in stranger.get("/oauth/logout").content.decode()


# --- refusals --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "address",
    [
        RETURN_URL + "/",
        RETURN_URL + "?x=1",
        RETURN_URL + "#",
        "https://crm.example/signed-out/../x",
        "HTTPS://crm.example/signed-out",
        "https://crm.example:443/signed-out",
        "https://evil.example",
        "//evil.example",
        "javascript:alert(1)",
        "https://crm.example/callback",
    ],
)
@pytest.mark.parametrize("proof", ["id_token_hint", "client_id"])
def test_an_address_that_is_not_registered_is_never_followed(desk, browser, address, proof):
    value = desk.tokens()["id_token"] if proof == "id_token_hint" else desk.client.client_id
    response = browser.get("/oauth/logout", {proof: value, "post_logout_redirect_uri": address})
    assert_refused(response, "oauth.redirect_uri")


def test_an_address_without_a_client_is_never_followed(desk, browser):
    assert_refused(browser.get("/oauth/logout", {"post_logout_redirect_uri": RETURN_URL}), "oauth.redirect_uri")


def test_another_clients_address_is_never_followed(desk, browser):
    other = make_client(post_logout_redirect_uris=["https://erp.example/bye"])
    parameters = {"client_id": other.client_id, "post_logout_redirect_uri": RETURN_URL}
    assert_refused(browser.get("/oauth/logout", parameters), "oauth.redirect_uri")


def test_an_id_token_of_another_client_than_the_named_one_is_refused(desk, browser):
    parameters = {"client_id": make_client().client_id, "id_token_hint": desk.tokens()["id_token"]}
    assert_refused(browser.get("/oauth/logout", parameters), "oauth.invalid_request")


@pytest.mark.parametrize("client_id", ["nobody", "x" * 300])
def test_an_unknown_client_is_refused(desk, browser, client_id):
    assert_refused(browser.get("/oauth/logout", {"client_id": client_id}), "oauth.unknown_client")


def _segments(claims: dict, header: dict, signature: str = "c2ln") -> str:
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in (header, claims)]
    return ".".join([*parts, signature])


def _forge(desk: Desk, flaw: str) -> str:
    """An ID token with one flaw."""
    good = desk.tokens()["id_token"]
    header, payload, signature = good.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    key = signing_key(SigningKey.Use.TOKEN, algorithm=SigningKey.Algorithm.RS256)
    forged = {
        "tampered": lambda: ".".join(
            [header, payload[:-4] + ("AAAA" if payload[-4:] != "AAAA" else "BBBB"), signature]
        ),
        "unsigned": lambda: _segments(claims, {"alg": "none", "typ": "JWT", "kid": key.kid}),
        "no_signature": lambda: ".".join([header, payload, ""]),
        "access_token": lambda: desk.tokens()["access_token"],
        "other_issuer": lambda: jose.sign(claims | {"iss": "https://evil.example"}, key=key, typ="JWT"),
        "other_audience": lambda: jose.sign(claims | {"aud": "nobody"}, key=key, typ="JWT"),
        "two_audiences": lambda: jose.sign(claims | {"aud": [desk.client.client_id, "x"]}, key=key, typ="JWT"),
        "no_sid": lambda: jose.sign({k: v for k, v in claims.items() if k != "sid"}, key=key, typ="JWT"),
        "odd_sid": lambda: jose.sign(claims | {"sid": "x"}, key=key, typ="JWT"),
        "garbage": lambda: "x.y.z",
        "empty_parts": lambda: "..",
        "huge": lambda: "a" * 14_000,
    }
    return forged[flaw]()


@pytest.mark.parametrize(
    "flaw",
    [
        "tampered",
        "unsigned",
        "no_signature",
        "access_token",
        "other_issuer",
        "other_audience",
        "two_audiences",
        "no_sid",
        "odd_sid",
        "garbage",
        "empty_parts",
        "huge",
    ],
)
def test_a_flawed_id_token_is_refused(desk, browser, flaw):
    response = browser.get("/oauth/logout", {"id_token_hint": _forge(desk, flaw)})
    assert_refused(response, "oauth.invalid_request")


@pytest.mark.parametrize("name", ["id_token_hint", "client_id", "post_logout_redirect_uri", "state"])
def test_a_repeated_or_unprintable_parameter_is_refused(desk, browser, name):
    assert_refused(browser.get(f"/oauth/logout?{name}=a&{name}=b"), "oauth.invalid_request")
    assert_refused(browser.get(f"/oauth/logout?{name}=a%00"), "oauth.invalid_request")
    assert_refused(browser.get(f"/oauth/logout?{name}=a%0d%0aLocation:%20x"), "oauth.invalid_request")


@pytest.mark.parametrize("method", ["put", "delete", "patch"])
def test_other_methods_are_not_offered(desk, browser, method):
    assert getattr(browser, method)("/oauth/logout").status_code == 405


def test_the_address_of_a_client_that_was_retired_is_not_followed(desk, browser):
    Client.objects.update(retired_at=timezone.now())
    raise_version()
    parameters = {"client_id": desk.client.client_id, "post_logout_redirect_uri": RETURN_URL}
    assert_refused(browser.get("/oauth/logout", parameters), "oauth.unknown_client")


def test_no_id_token_is_written_down(desk, browser, caplog):
    hint = desk.tokens()["id_token"]
    browser.get("/oauth/logout", {"id_token_hint": hint})
    assert hint not in caplog.text
    assert hint not in str(list(Event.objects.values()))


def test_a_sealed_request_shows_nothing_of_what_it_carries(desk):
    response = Http().post(
        "/oauth/logout",
        {"client_id": desk.client.client_id, "post_logout_redirect_uri": RETURN_URL, "state": "the-state"},
    )
    sealed = parse_qs(urlsplit(response["Location"]).query)["asked"][0]
    assert "the-state" not in base64.urlsafe_b64decode(sealed.partition(".")[2] + "==").decode(errors="replace")
