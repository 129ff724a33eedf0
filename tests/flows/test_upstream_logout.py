"""An identity provider tells us that its session ended: ours ends, and the applications hear of it."""

import secrets
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client as Http
from django.utils import timezone

from broker import limits
from broker.actors import SYSTEM
from broker.delivery.models import Delivery
from broker.events.models import Event
from broker.registry.models import IdentityProvider
from broker.registry.registering.clients import change_client
from broker.sessions.models import Session
from broker.traces.models import Trace
from federation.upstream.logout_token import LOGOUT_CHECKS
from federation.upstream.oidc import OIDCConnector
from tests.fakes.fake_logout import listening
from tests.fakes.fake_op import ALICE, CLIENT_ID
from tests.fakes.tokens import forge, hs256, rs256, rsa_key, unsigned
from tests.federation.logout.stage import says, told
from tests.flows.openid_stage import make_openid_company, register
from tests.flows.stage import Browser, answer_of, make_company
from tests.flows.test_logout_arrives import World

pytestmark = pytest.mark.django_db
EVENT = "http://schemas.openid.net/event/backchannel-logout"
SID = "session-at-globex"
BOB = ALICE | {"sub": "bob-at-globex", "email": "bob@globex.example"}


@pytest.fixture
def globex(fake_op):
    return make_openid_company(fake_op)


@pytest.fixture
def alice(globex):
    """Her browser, signed on; the provider named its session."""
    browser = Browser()
    answer_of(globex.sign_on(browser, claims={"sid": SID}))
    return browser


def logout_token(globex, *, header: dict[str, Any] | None = None, sign=None, **changes: Any) -> str:
    """A token of the provider; a claim or header member that is ... is left out."""
    fake, now = globex.fake, int(timezone.now().timestamp())
    claims = {
        "iss": fake.issuer,
        "aud": CLIENT_ID,
        "iat": now,
        "exp": now + 120,
        "jti": secrets.token_urlsafe(8),
        "sub": ALICE["sub"],
        "sid": SID,
        "events": {EVENT: {}},
    } | changes
    kid, key = next(iter(fake.keys.items()))
    head = {"alg": "RS256", "kid": kid, "typ": "logout+jwt"} | (header or {})
    return forge(_without(head), _without(claims), sign or rs256(key))


def _without(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not ...}


def tell(raw: str | list[str], slug: str = "globex") -> Any:
    return Http(enforce_csrf_checks=True).post(f"/oidc/{slug}/backchannel-logout", {"logout_token": raw})


def is_live() -> bool:
    return Session.objects.filter(ended_at=None).exists()


def assert_refused(answer: Any, code: str) -> None:
    assert (answer.status_code, answer["Cache-Control"]) == (400, "no-store")
    assert answer.json()["error"] == "invalid_request"
    event = Event.objects.get(type="request.refused")
    assert event.code == code
    assert Trace.objects.get(pk=event.trace_id).code == code
    assert is_live()


# --- It ends here, and on from here
def test_the_end_of_a_session_upstream_reaches_the_applications(globex, settings):
    with listening(says(200)) as application:
        change_client(globex.client, actor=SYSTEM, backchannel_logout_uri=application.url)
        globex.client.refresh_from_db()
        browser = Browser()
        answer_of(globex.sign_on(browser, claims={"sid": SID}))
        answer = tell(logout_token(globex))
        World(application, [], company=globex, erp=None, party=None).work()
    assert (answer.status_code, answer.content, answer["Cache-Control"]) == (200, b"", "no-store")
    assert told(application.heard[0], globex.client)["sid"] == str(Session.objects.get().participants.get().pk)
    assert Delivery.objects.get().state == "confirmed"
    assert answer_of(globex.ask(browser, prompt="none"))["error"] == "login_required"
    event = Event.objects.get(type="session.ended")
    assert event.details["reason"] == "logout at the identity provider"
    assert (event.actor_kind, event.actor_id) == ("system", "identity provider globex")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"sub": ...},
        {"sid": ...},
        {"header": {"typ": "JWT"}},
        {"header": {"typ": ...}},
        {"aud": [CLIENT_ID]},
        {"more": "claims"},
    ],
    ids=lambda value: value if isinstance(value, str) else None,  # functions have another name in each process
)
def test_honest_tokens_of_either_kind_end_it(globex, alice, changes):
    assert tell(logout_token(globex, **changes)).status_code == 200
    assert not is_live()


def test_only_the_session_that_is_named_ends(globex, alice):
    answer_of(globex.sign_on(Browser(), claims={"sid": "another"}))
    assert tell(logout_token(globex)).status_code == 200
    assert [one.upstream["sid"] for one in Session.objects.filter(ended_at=None)] == ["another"]


def test_a_subject_alone_ends_all_sessions_of_that_person_and_nobody_elses(globex, alice):
    answer_of(globex.sign_on(Browser(), claims={"sid": "another"}))
    answer_of(globex.sign_on(Browser(), person=BOB, claims={"sid": "bobs"}))
    assert tell(logout_token(globex, sid=...)).status_code == 200
    assert [one.upstream["sid"] for one in Session.objects.filter(ended_at=None)] == ["bobs"]


def test_a_session_of_which_no_sid_was_told_ends_with_its_person(globex):
    answer_of(globex.sign_on(Browser()))
    answer_of(globex.sign_on(Browser(), person=BOB))
    assert tell(logout_token(globex)).status_code == 200
    assert [one.upstream["sub"] for one in Session.objects.filter(ended_at=None)] == [BOB["sub"]]


@pytest.mark.parametrize("changes", [{"sid": "unknown"}, {"sub": "nobody"}, {"sub": "nobody", "sid": ...}])
def test_where_nothing_hangs_on_it_nothing_ends_and_the_answer_is_the_same(globex, alice, changes):
    answer = tell(logout_token(globex, **changes))
    assert (answer.status_code, answer.content) == (200, b"")
    assert is_live()


def test_another_provider_with_the_same_names_ends_nothing_of_this_one(globex, alice, fake_op):
    other = register(fake_op, "initech", client_id="we-at-initech")
    token = logout_token(globex, aud="we-at-initech")
    assert tell(token, slug=other.slug).status_code == 200
    assert is_live()


# --- Refused
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"header": {"typ": "at+jwt"}}, "oidc.type"),
        ({"header": {"alg": "none"}, "sign": unsigned}, "oidc.algorithm"),
        ({"header": {"alg": "HS256"}, "sign": hs256(b"secret")}, "oidc.algorithm"),
        ({"header": {"crit": ["x"]}}, "oidc.header"),
        ({"header": {"kid": "unknown"}}, "oidc.key"),
        ({"sign": rs256(rsa_key(number=99))}, "oidc.signature"),
        ({"iss": "https://evil.example"}, "oidc.issuer"),
        ({"aud": "somebody-else"}, "oidc.audience"),
        ({"aud": [CLIENT_ID, "somebody-else"]}, "oidc.audience"),
        ({"aud": ...}, "oidc.claim"),
        ({"exp": ...}, "oidc.claim"),
        ({"iat": ...}, "oidc.claim"),
        ({"jti": ...}, "oidc.claim"),
        ({"jti": ""}, "oidc.claim"),
        ({"exp": 1}, "oidc.expired"),
        ({"iat": 2**33, "exp": 2**33 + 60}, "oidc.lifetime"),
        ({"nonce": "n"}, "oidc.type"),
        ({"events": ...}, "oidc.claim"),
        ({"events": []}, "oidc.type"),
        ({"events": {}}, "oidc.type"),
        ({"events": {EVENT: None}}, "oidc.type"),
        ({"events": {"http://schemas.openid.net/event/other": {}}}, "oidc.type"),
        ({"sub": ..., "sid": ...}, "oidc.claim"),
        ({"sid": 7}, "oidc.claim"),
        ({"sub": ["a"]}, "oidc.claim"),
        ({"sid": "x" * 2000}, "oidc.claim"),
        ({"sub": "x" * 300}, "oidc.claim"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,  # functions have another name in each process
)
def test_a_flaw_ends_nothing(globex, alice, changes, code):
    assert_refused(tell(logout_token(globex, **changes)), code)


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ("", "oidc.malformed"),
        ("x", "oidc.malformed"),
        ("a.b.c", "oidc.malformed"),
        ("A" * (limits.JWT_ID_TOKEN_BYTES + 1), "oidc.too_large"),
    ],
    ids=["nothing", "text", "no JSON", "too long"],
)
def test_what_is_no_token_ends_nothing(globex, alice, raw, code):
    assert_refused(tell(raw), code)


def test_an_id_token_ends_nothing(globex, alice):
    raw = globex.fake.id_token_of(globex.fake.authorize(globex.ask(Browser(), prompt="login")["Location"]))
    answer = tell(raw)
    assert answer.status_code == 400
    assert is_live()


def test_a_token_is_good_for_ten_minutes_and_no_longer(globex, alice):
    raw = logout_token(globex, exp=int(timezone.now().timestamp()) + 3600)
    with time_machine.travel(timezone.now() + limits.UPSTREAM_LOGOUT_AGE + timedelta(seconds=2), tick=False):
        assert_refused(tell(raw), "oidc.expired")


def test_a_token_counts_once(globex, alice):
    raw = logout_token(globex)
    assert tell(raw).status_code == 200
    answer_of(globex.sign_on(Browser(), claims={"sid": SID}))
    assert_refused(tell(raw), "oidc.replayed")


def test_a_token_that_was_refused_does_not_use_its_id_up(globex, alice):
    assert tell(logout_token(globex, jti="one", nonce="n")).status_code == 400
    assert tell(logout_token(globex, jti="one")).status_code == 200


@pytest.mark.parametrize("count", [0, 2])
def test_there_is_one_token(globex, alice, count):
    raw = logout_token(globex)
    assert_refused(tell([raw] * count), "oauth.invalid_request")


@pytest.mark.parametrize("method", ["get", "put", "delete"])
def test_it_is_posted(globex, method):
    assert getattr(Http(), method)("/oidc/globex/backchannel-logout").status_code == 405


@pytest.mark.parametrize("slug", ["nobody", "acme-idp"])
def test_who_is_no_openid_provider_ends_nothing(globex, alice, slug):
    make_company()
    answer = tell(logout_token(globex), slug=slug)
    assert answer.status_code == 400
    assert is_live()


def test_the_address_is_shown_to_who_registers_us(globex):
    row = IdentityProvider.objects.get(slug="globex")
    shown = OIDCConnector().our_addresses(row)
    assert shown["Back-channel logout URI"] == "http://localhost:8000/oidc/globex/backchannel-logout"


def test_no_check_is_missing():
    assert [check.__name__ for check in LOGOUT_CHECKS] == ["check_event", "check_no_nonce", "check_names"]
