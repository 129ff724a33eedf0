"""Userinfo: who may ask, how the token comes, and what stands behind it at that moment."""

import base64
import json
from datetime import timedelta

import pytest
import time_machine
from django.conf import settings
from django.db import OperationalError
from django.test import Client as Http
from django.utils import timezone

from broker.directory.models import Person
from broker.events.models import Event
from broker.keys import jose
from broker.keys.models import SigningKey
from broker.keys.services import signing_key
from broker.registry.cache import raise_version
from broker.registry.models import Application, Client, IdentityProvider
from broker.sessions.models import Session
from broker.tokens.models import Grant
from broker.tokens.verification import verify_access_token
from broker.traces.models import Trace
from tests.broker.tokens.desk import post_form
from tests.broker.tokens.refusals import assert_refused
from tests.broker.tokens.test_issuing import claims_of
from tests.factories import make_client

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.broker.tokens.urls")]
INVALID_TOKEN = {"error": "invalid_token", "code": "oauth.invalid_token", "status": 401}
INVALID_REQUEST = {"error": "invalid_request", "code": "oauth.invalid_request"}


def sign(desk, *, typ="at+jwt", drop=(), **changes):
    """A token like ours with one thing changed, signed with our own key."""
    claims = claims_of(desk.tokens()["access_token"]) | changes
    key = signing_key(SigningKey.Use.TOKEN, algorithm=SigningKey.Algorithm.RS256)
    return jose.sign({name: value for name, value in claims.items() if name not in drop}, key=key, typ=typ)


def test_the_claims_come_as_json_with_the_id_tokens_subject(desk):
    desk.give_address("alice@acme.example")
    tokens = desk.tokens(scopes=("openid", "email", "profile"))
    response = desk.userinfo(tokens["access_token"])
    assert response.status_code == 200
    assert response["Content-Type"] == "application/json"
    assert response["Cache-Control"] == "no-store"
    assert response.json() == {
        "sub": claims_of(tokens["id_token"])["sub"],
        "email": "alice@acme.example",
        "email_verified": True,
        "name": desk.person.name,
    }


def test_scopes_decide_what_is_told(desk):
    assert set(desk.userinfo(desk.tokens(scopes=("openid",))["access_token"]).json()) == {"sub"}


def test_a_token_may_come_in_a_form(desk):
    response = post_form("/oauth/userinfo", {"access_token": desk.tokens()["access_token"]})
    assert response.status_code == 200
    header = {"authorization": f"Bearer {desk.tokens()['access_token']}"}
    assert Http().post("/oauth/userinfo", headers=header).status_code == 200
    assert Http().post("/oauth/userinfo", {"a": 1}, content_type="application/json", headers=header).status_code == 200


def test_a_token_in_a_body_of_another_type_is_not_read(desk):
    body = {"access_token": desk.tokens()["access_token"]}
    assert_refused(Http().post("/oauth/userinfo", body), **INVALID_TOKEN, reason="absent")
    response = Http().post("/oauth/userinfo", body, content_type="application/json")
    assert_refused(response, **INVALID_TOKEN, reason="absent")


def test_without_a_token_the_challenge_names_no_error(desk):
    response = Http().get("/oauth/userinfo")
    assert_refused(response, **INVALID_TOKEN, reason="absent")
    metadata = f"{settings.BROKER_BASE_URL}/.well-known/oauth-protected-resource/oauth/userinfo"
    assert response["WWW-Authenticate"] == f'Bearer realm="countersign", resource_metadata="{metadata}"'


def test_with_a_bad_token_the_challenge_names_the_error(desk):
    response = desk.userinfo("x")
    assert 'error="invalid_token"' in response["WWW-Authenticate"]
    assert response["WWW-Authenticate"].startswith("Bearer ")


def test_a_token_in_the_url_is_refused_even_when_it_is_good(desk):
    token = desk.tokens()["access_token"]
    response = Http().get("/oauth/userinfo", {"access_token": token})
    assert_refused(response, **INVALID_REQUEST, reason="query")


def test_a_token_in_two_places_is_refused(desk):
    token = desk.tokens()["access_token"]
    response = post_form("/oauth/userinfo", {"access_token": token}, authorization=f"Bearer {token}")
    assert_refused(response, **INVALID_REQUEST, reason="two_methods")


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("Basic abc", "scheme"),
        ("bearer", "absent"),
        ("Bearer ", "absent"),
        ("Bearer a b", "malformed"),
        ("Bearer é", "malformed"),
        ("Bearer " + "a" * 9000, "malformed"),
        ("Bearer abc", "jwt.malformed"),
        ("Bearer a.b.c", "jwt.malformed"),
        ("Bearer ..", "malformed"),
    ],
)
def test_what_is_no_bearer_token_is_refused(desk, header, reason):
    response = Http(raise_request_exception=False).get("/oauth/userinfo", headers={"authorization": header})
    if reason == "malformed" and header == "Bearer ..":
        reason = "jwt.malformed"
    assert_refused(response, **INVALID_TOKEN, reason=reason)


FORGERIES = {
    "jwt.type": lambda desk: sign(desk, typ="JWT"),
    "jwt.issuer": lambda desk: sign(desk, iss="https://evil.example"),
    "jwt.audience": lambda desk: sign(desk, aud=desk.client.client_id),
    "jwt.expired": lambda desk: sign(desk, iat=1_000_000_000, exp=1_000_000_600),
    "jwt.lifetime": lambda desk: sign(desk, exp=claims_of(desk.tokens()["access_token"])["exp"] + 3600),
    "jwt.claim": lambda desk: sign(desk, drop=("gid",)),
}


@pytest.mark.parametrize("reason", FORGERIES)
def test_a_token_that_is_not_what_it_must_be_is_refused(desk, reason):
    assert_refused(desk.userinfo(FORGERIES[reason](desk)), **INVALID_TOKEN, reason=reason)


def test_an_id_token_is_no_access_token(desk):
    assert_refused(desk.userinfo(desk.tokens()["id_token"]), **INVALID_TOKEN, reason="jwt.type")


def test_a_refresh_token_is_no_access_token(desk):
    token = desk.offline_tokens()["refresh_token"]
    assert_refused(desk.userinfo(token), **INVALID_TOKEN, reason="jwt.malformed")


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
def test_an_algorithm_that_we_never_sign_with_is_refused(desk, algorithm):
    _, payload, signature = desk.tokens()["access_token"].split(".")
    header = {"alg": algorithm, "typ": "at+jwt", "kid": "x"}
    forged = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()
    assert_refused(desk.userinfo(f"{forged}.{payload}.{signature}"), **INVALID_TOKEN, reason="jwt.algorithm")


def test_a_changed_signature_is_refused(desk):
    token = desk.tokens()["access_token"]
    flipped = token[:-10] + ("A" if token[-10] != "A" else "B") + token[-9:]
    assert_refused(desk.userinfo(flipped), **INVALID_TOKEN, reason="jwt.signature")


@pytest.mark.parametrize("gid", ["00000000-0000-4000-8000-000000000000", "x", "", 7, ["a"], None])
def test_a_token_of_an_unknown_grant_is_refused(desk, gid):
    assert_refused(desk.userinfo(sign(desk, gid=gid)), **INVALID_TOKEN, reason="unknown_grant")


@pytest.mark.parametrize("client_id", ["nobody", "\x7f"])
def test_a_token_that_names_another_client_than_its_grant_is_refused(desk, client_id):
    assert_refused(desk.userinfo(sign(desk, client_id=client_id)), **INVALID_TOKEN, reason="client")


def test_a_token_that_names_another_registered_client_is_refused(desk):
    token = sign(desk, client_id=make_client().client_id)
    assert_refused(desk.userinfo(token), **INVALID_TOKEN, reason="client")


def test_a_token_dies_after_ten_minutes(desk):
    token = desk.tokens()["access_token"]
    with time_machine.travel(timezone.now() + timedelta(minutes=10), tick=False):
        assert_refused(desk.userinfo(token), **INVALID_TOKEN, reason="jwt.expired")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda: Person.objects.update(is_active=False), "person"),
        (lambda: Client.objects.update(enabled=False), "client"),
        (lambda: Client.objects.update(retired_at=timezone.now()), "client"),
        (lambda: Application.objects.update(enabled=False), "application"),
        (lambda: Application.objects.update(retired_at=timezone.now()), "application"),
        (lambda: IdentityProvider.objects.update(enabled=False), "identity_provider"),
        (lambda: Session.objects.update(ended_at=timezone.now()), "session"),
        (lambda: Session.objects.update(expires_at=timezone.now()), "session"),
        (lambda: Grant.objects.update(revoked_at=timezone.now()), "revoked"),
        (lambda: Grant.objects.update(expires_at=timezone.now()), "grant_expired"),
        (lambda: Grant.objects.all().delete(), "unknown_grant"),
    ],
)
def test_a_good_token_ends_at_once_when_what_is_behind_it_ends(desk, change, reason):
    token = desk.tokens()["access_token"]
    assert desk.userinfo(token).status_code == 200
    change()
    raise_version()
    response = desk.userinfo(token)
    assert_refused(response, **INVALID_TOKEN, reason=reason)
    assert set(response.json()) == {"error", "error_description", "code", "trace_id"}


def test_every_kind_of_end_is_one_answer_outside(desk):
    answers = []
    for change in (Grant.objects.all().delete, lambda: Grant.objects.update(revoked_at=timezone.now())):
        token = desk.tokens()["access_token"]
        change()
        answers.append({k: v for k, v in desk.userinfo(token).json().items() if k != "trace_id"})
    assert answers[0] == answers[1]


def test_a_token_without_openid_does_not_reach_userinfo(desk):
    response = desk.userinfo(sign(desk, scope="email"))
    assert_refused(response, error="insufficient_scope", code="oauth.insufficient_scope", status=403, reason="scope")
    assert 'scope="openid"' in response["WWW-Authenticate"]


@pytest.mark.parametrize("method", ["put", "delete", "patch", "options", "head"])
def test_other_methods_are_not_offered(desk, method):
    response = getattr(Http(), method)("/oauth/userinfo")
    assert response.status_code == 405
    assert response["Allow"] == "GET, POST"


def test_a_database_that_is_away_is_a_503(desk, monkeypatch):
    token = desk.tokens()["access_token"]

    def away(*args, **kwargs):
        raise OperationalError("connection refused")

    monkeypatch.setattr("broker.tokens.liveness._ask", away)
    response = desk.userinfo(token)
    assert response.status_code == 503
    assert response["Retry-After"]
    assert "WWW-Authenticate" not in response


def test_a_refusal_of_userinfo_can_be_traced_check_by_check(desk):
    response = desk.userinfo(sign(desk, iss="https://evil.example"))
    assert Trace.objects.get(pk=response.json()["trace_id"]).code == "oauth.invalid_token"
    event = Event.objects.filter(type="token.refused").latest("id")
    assert event.details["hop"] == "GET userinfo request"


def test_a_success_costs_few_queries_and_writes_nothing(desk, django_assert_max_num_queries):
    token = desk.tokens()["access_token"]
    desk.userinfo(token)
    with django_assert_max_num_queries(3) as captured:
        assert desk.userinfo(token).status_code == 200
    assert all(query["sql"].startswith("SELECT") for query in captured.captured_queries)


def test_verification_has_no_switch():
    import inspect

    annotations = [parameter.annotation for parameter in inspect.signature(verify_access_token).parameters.values()]
    assert bool not in annotations
