"""Revocation through HTTP: what ends with a token, at once, and what a client cannot end."""

import uuid
from datetime import timedelta

import pytest
from django.test import Client as Http
from django.utils import timezone

from broker.events.models import Event
from broker.registry.cache import raise_version
from broker.registry.models import Client
from broker.tokens.models import Grant, RevokedToken
from broker.tokens.services import forget_ended
from tests.broker.tokens.desk import basic, post_form
from tests.broker.tokens.gate import GIVE_BACK, INACTIVE
from tests.broker.tokens.refusals import assert_refused
from tests.broker.tokens.test_introspection import forge
from tests.factories import CLIENT_SECRET
from tests.flows.stage import unverified_claims as claims_of

pytestmark = pytest.mark.django_db
INVALID_CLIENT = {"error": "invalid_client", "code": "oauth.invalid_client", "status": 401}
INVALID_REQUEST = {"error": "invalid_request", "code": "oauth.invalid_request"}


def assert_taken(response):
    """The one answer, whether there was something to revoke or not (RFC 7009 section 2.2)."""
    assert (response.status_code, response.content) == (200, b"")
    assert response["Cache-Control"] == "no-store"


def exchanged_from(grant, *, jti="", **fields):
    """A grant as an exchange leaves it."""
    now = timezone.now()
    values = {
        "client": grant.client,
        "grant_type": "token_exchange",
        "resource": grant.resource,
        "person": grant.person,
        "subject_client": grant.subject_client,
        "session": grant.session,
        "parent": grant,
        "parent_token": jti,
        "created_at": now,
        "expires_at": now + timedelta(minutes=5),
    } | fields
    return Grant.objects.create(**values)


def is_revoked(grant):
    grant.refresh_from_db()
    return grant.revoked_at is not None


# --- What ends ------------------------------------------------------------------------------------------------------
def test_a_service_gives_one_token_back_and_keeps_its_others(gate):
    token, other = gate.service_token(), gate.service_token()
    assert_taken(gate.revoke(token))
    assert gate.introspect(token).json() == INACTIVE
    assert gate.is_active(other)
    row = RevokedToken.objects.get()
    assert row.jti == claims_of(token)["jti"]
    assert int(row.expires_at.timestamp()) == claims_of(token)["exp"]
    event = Event.objects.get(type="token.revoked")
    assert (event.details["jti"], event.actor_id) == (row.jti, gate.service.client_id)


def test_what_was_exchanged_from_a_service_s_token_ends_with_it(gate):
    token, other = gate.service_token(), gate.service_token()
    grant = Grant.objects.get()
    child = exchanged_from(grant, jti=claims_of(token)["jti"])
    grandchild = exchanged_from(child, jti="whichever")
    proved = exchanged_from(grant, jti="z", parent=None, actor_parent=grant, actor_token=claims_of(token)["jti"])
    sibling = exchanged_from(grant, jti=claims_of(other)["jti"])
    assert_taken(gate.revoke(token))
    assert [is_revoked(one) for one in (child, grandchild, proved)] == [True] * 3
    assert not is_revoked(sibling)
    assert not is_revoked(grant)
    assert Event.objects.get(type="token.revoked").details["descendants"] == 3


def test_a_person_s_access_token_takes_its_family_along(gate):
    tokens = gate.person_tokens(offline=True)
    grant = Grant.objects.get()
    child = exchanged_from(grant, jti=claims_of(tokens["access_token"])["jti"], client=gate.service)
    assert_taken(gate.revoke(tokens["access_token"], caller=gate.desk.client))
    assert is_revoked(grant)
    assert is_revoked(child)
    assert gate.introspect(tokens["access_token"]).json() == INACTIVE
    assert gate.desk.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert Event.objects.get(type="grant.revoked").details["reason"] == "client"


def test_a_refresh_token_takes_its_family_along(gate):
    tokens = gate.person_tokens(offline=True)
    assert_taken(gate.revoke(tokens["refresh_token"], caller=gate.desk.client, token_type_hint="refresh_token"))
    assert gate.introspect(tokens["access_token"]).json() == INACTIVE
    assert gate.introspect(tokens["refresh_token"], caller=gate.desk.client).json() == INACTIVE
    assert gate.desk.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"


def test_a_used_refresh_token_takes_the_family_along_too(gate):
    first = gate.person_tokens(offline=True)["refresh_token"]
    second = gate.desk.refresh(first).json()["refresh_token"]
    assert_taken(gate.revoke(first, caller=gate.desk.client))
    assert gate.desk.refresh(second).json()["error"] == "invalid_grant"


def test_userinfo_is_closed_to_a_revoked_sign_on(gate):
    tokens = gate.desk.offline_tokens()
    assert gate.desk.userinfo(tokens["access_token"]).status_code == 200
    assert_taken(gate.revoke(tokens["access_token"], caller=gate.desk.client))
    assert gate.desk.userinfo(tokens["access_token"]).status_code == 401


@pytest.mark.parametrize("hint", ["refresh_token", "access_token", "id_token", "x"])
def test_a_wrong_hint_hinders_nothing(gate, hint):
    token = gate.service_token()
    assert_taken(gate.revoke(token, token_type_hint=hint))
    assert gate.introspect(token).json() == INACTIVE


def test_a_second_time_changes_nothing(gate):
    token = gate.service_token()
    assert_taken(gate.revoke(token))
    assert_taken(gate.revoke(token))
    assert Event.objects.filter(type="token.revoked").count() == 1
    refresh_token = gate.person_tokens(offline=True)["refresh_token"]
    assert_taken(gate.revoke(refresh_token, caller=gate.desk.client))
    assert_taken(gate.revoke(refresh_token, caller=gate.desk.client))
    assert Event.objects.filter(type="grant.revoked").count() == 1


def test_a_revoked_token_is_forgotten_once_it_has_expired(gate):
    token = gate.service_token()
    gate.revoke(token)
    ends_at = RevokedToken.objects.get().expires_at
    forget_ended(now=ends_at)
    assert RevokedToken.objects.exists()
    forget_ended(now=ends_at + timedelta(seconds=6))
    assert not RevokedToken.objects.exists()


# --- What does not --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("token", ["x", "a.b.c", "..", "é", "x" * 8_000, "0b7d7f3e-0000-4000-8000-000000000000"])
def test_an_unknown_token_is_taken_and_nothing_happens(gate, token):
    kept = gate.service_token()
    assert_taken(gate.revoke(token))
    assert gate.is_active(kept)
    assert not RevokedToken.objects.exists()
    assert not Event.objects.filter(type__in=["token.revoked", "grant.revoked"]).exists()


FORGERIES = {
    "an ID token": {"typ": "JWT"},
    "another issuer": {"iss": "https://evil.example"},
    "another audience": {"aud": "https://unknown.example"},
    "another grant": {"gid": str(uuid.uuid4())},
    "no grant": {"gid": "x"},
    "expired": {"iat": 1_000_000_000, "exp": 1_000_000_600},
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_what_we_would_never_have_written_revokes_nothing(gate, forgery):
    token = gate.service_token()
    assert_taken(gate.revoke(forge(claims_of(token), **FORGERIES[forgery])))
    assert gate.is_active(token)
    assert not RevokedToken.objects.exists()


@pytest.mark.parametrize("caller", ["stranger", "gateway"])
def test_another_client_ends_nothing_and_leaves_an_event(gate, caller):
    tokens = gate.person_tokens(offline=True)
    service_token = gate.service_token()
    for token in (service_token, tokens["access_token"], tokens["refresh_token"]):
        assert_taken(gate.revoke(token, caller=getattr(gate, caller)))
        event = Event.objects.filter(type="token.refused").latest("id")
        assert event.details["reason"] == "other_client"
        assert event.actor_id == getattr(gate, caller).client_id
    assert Event.objects.filter(type="token.refused").count() == 3
    assert gate.is_active(service_token)
    assert gate.is_active(tokens["access_token"])
    assert gate.desk.refresh(tokens["refresh_token"]).status_code == 200
    assert not RevokedToken.objects.exists()


def test_an_id_token_revokes_nothing(gate):
    tokens = gate.person_tokens()
    assert_taken(gate.revoke(tokens["id_token"], caller=gate.desk.client))
    assert gate.is_active(tokens["access_token"])


def test_who_does_not_authenticate_ends_nothing(gate):
    token = gate.service_token()
    assert_refused(post_form(GIVE_BACK, {"token": token}), **INVALID_CLIENT, reason="no_credentials")
    wrong = gate.post(GIVE_BACK, gate.service, secret="another-secret-0123456789abcdefghij", token=token)
    assert wrong.json()["error"] == "invalid_client"
    assert gate.is_active(token)


def test_a_disabled_client_ends_nothing(gate):
    token = gate.service_token()
    Client.objects.filter(pk=gate.service.pk).update(enabled=False)
    raise_version()
    assert gate.revoke(token).json()["error"] == "invalid_client"
    assert not RevokedToken.objects.exists()


def test_a_request_must_be_one_well_formed_post(gate):
    token = gate.service_token()
    authorization = basic(gate.service.client_id, CLIENT_SECRET)
    assert Http().get(GIVE_BACK, {"token": token}, headers={"authorization": authorization}).status_code == 405
    response = gate.post(GIVE_BACK, gate.service, token_type_hint="access_token")
    assert_refused(response, **INVALID_REQUEST, reason="missing")
    twice = post_form(GIVE_BACK, [("token", token), ("token", token)], authorization=authorization)
    assert_refused(twice, **INVALID_REQUEST, reason="repeated")
    in_url = post_form(f"{GIVE_BACK}?token={token}", {"token": token}, authorization=authorization)
    assert_refused(in_url, **INVALID_REQUEST, reason="query")
    assert gate.is_active(token)
