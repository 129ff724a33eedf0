"""Refresh tokens: rotated at each use, given again for a lost answer, and revoked as a family when reused."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from broker import limits
from broker.directory.models import Person
from broker.events.models import Event
from broker.registry.cache import raise_version
from broker.registry.models import Application, Client, IdentityProvider
from broker.sessions.models import Session
from broker.tokens.grants import refresh_token as grant_type
from broker.tokens.models import Grant, RefreshToken
from broker.traces.models import Trace
from tests.broker.tokens.desk import post_form
from tests.broker.tokens.refusals import assert_refused
from tests.broker.tokens.test_issuing import claims_of
from tests.factories import make_client

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.broker.tokens.urls")]
NOW = timezone.now()


@pytest.fixture
def clock():
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


def test_a_refresh_rotates_and_brings_fresh_tokens(desk):
    first = desk.offline_tokens()
    response = desk.refresh(first["refresh_token"])
    second = response.json()
    assert response.status_code == 200
    assert response["Cache-Control"] == "no-store"
    assert set(second) == {"access_token", "token_type", "expires_in", "scope", "id_token", "refresh_token"}
    assert second["refresh_token"] != first["refresh_token"]
    assert desk.userinfo(second["access_token"]).status_code == 200
    assert list(RefreshToken.objects.order_by("generation").values_list("generation", flat=True)) == [0, 1]
    event = Event.objects.get(type="token.refreshed")
    assert event.trace_id == response["Countersign-Trace"]
    assert Trace.objects.get(pk=event.trace_id).outcome == "succeeded"


def test_a_refreshed_id_token_tells_of_the_first_authentication_and_repeats_no_nonce(desk):
    first = desk.offline_tokens()
    Session.objects.update(authenticated_at=timezone.now() + timedelta(hours=1))
    second = desk.refresh(first["refresh_token"]).json()
    before, after = claims_of(first["id_token"]), claims_of(second["id_token"])
    assert "nonce" not in after
    assert {name: after[name] for name in ("iss", "sub", "aud", "auth_time", "sid")} == {
        name: before[name] for name in ("iss", "sub", "aud", "auth_time", "sid")
    }


def test_what_the_application_is_told_is_asked_for_anew(desk):
    first = desk.offline_tokens()
    assert "email" not in claims_of(first["id_token"])
    desk.give_address("a@acme.example")
    assert claims_of(desk.refresh(first["refresh_token"]).json()["id_token"])["email"] == "a@acme.example"


def test_within_the_grace_time_a_lost_answer_is_given_again(desk, clock):
    parent = desk.offline_tokens()["refresh_token"]
    child = desk.refresh(parent).json()["refresh_token"]
    clock.shift(limits.REFRESH_GRACE)
    again = desk.refresh(parent).json()["refresh_token"]
    assert again == child
    assert RefreshToken.objects.count() == 2
    assert desk.refresh(child).status_code == 200


def test_after_the_grace_time_a_reuse_revokes_the_family(desk, clock):
    parent = desk.offline_tokens()["refresh_token"]
    tokens = desk.refresh(parent).json()
    clock.shift(limits.REFRESH_GRACE + timedelta(seconds=1))
    assert_refused(desk.refresh(parent), reason="reused")
    event = Event.objects.get(type="grant.revoked")
    assert (event.severity, event.details["reason"]) == ("alert", "reused")
    assert event.actor_id == desk.client.client_id
    assert_refused(desk.refresh(tokens["refresh_token"]), reason="revoked")
    assert desk.userinfo(tokens["access_token"]).status_code == 401


def test_within_the_grace_time_a_parent_whose_child_was_used_revokes_the_family(desk, clock):
    parent = desk.offline_tokens()["refresh_token"]
    child = desk.refresh(parent).json()["refresh_token"]
    desk.refresh(child)
    assert_refused(desk.refresh(parent), reason="reused")
    assert Grant.objects.get().revoke_reason == "reused"


def test_an_ancestor_revokes_the_family_however_late(desk, clock):
    first = desk.offline_tokens()["refresh_token"]
    latest = first
    for _ in range(3):
        latest = desk.refresh(latest).json()["refresh_token"]
        clock.shift(timedelta(days=1))
    assert_refused(desk.refresh(first), reason="reused")
    assert_refused(desk.refresh(latest), reason="revoked")


def test_a_reuse_is_noticed_before_any_other_flaw(desk, clock):
    parent = desk.offline_tokens()["refresh_token"]
    desk.refresh(parent)
    clock.shift(limits.REFRESH_TOKEN_IDLE + timedelta(seconds=1))
    assert_refused(desk.refresh(parent, scope="admin"), reason="reused")
    assert Grant.objects.get().revoked_at is not None


def test_the_loser_of_a_race_gets_the_winners_child(desk, monkeypatch):
    """Both looked at the token while it was unused; the other one claimed it first."""
    parent = desk.offline_tokens()["refresh_token"]
    as_it_was = grant_type._find(parent)
    winner = desk.refresh(parent).json()
    monkeypatch.setattr(grant_type, "_find", lambda value: as_it_was)
    loser = desk.refresh(parent)
    assert loser.status_code == 200
    assert loser.json()["refresh_token"] == winner["refresh_token"]
    assert RefreshToken.objects.count() == 2


def test_a_loser_who_comes_after_the_childs_use_revokes_the_family(desk, monkeypatch):
    parent = desk.offline_tokens()["refresh_token"]
    as_it_was = grant_type._find(parent)
    desk.refresh(desk.refresh(parent).json()["refresh_token"])
    with monkeypatch.context() as patch:
        patch.setattr(grant_type, "_find", lambda value: as_it_was)
        assert_refused(desk.refresh(parent), reason="reused")
    assert Grant.objects.get().revoked_at is not None


def test_a_token_that_idles_for_too_long_is_refused(desk, clock):
    token = desk.offline_tokens()["refresh_token"]
    clock.shift(limits.REFRESH_TOKEN_IDLE - timedelta(seconds=1))
    token = desk.refresh(token).json()["refresh_token"]
    clock.shift(limits.REFRESH_TOKEN_IDLE)
    assert_refused(desk.refresh(token), reason="expired")


def test_a_family_ends_however_often_it_is_used(desk, clock):
    token = desk.offline_tokens()["refresh_token"]
    step = timedelta(days=13)
    for _ in range(limits.REFRESH_TOKEN_ABSOLUTE // step):
        clock.shift(step)
        token = desk.refresh(token).json()["refresh_token"]
    clock.move_to(NOW + limits.REFRESH_TOKEN_ABSOLUTE - timedelta(minutes=1))
    last = desk.refresh(token).json()
    assert last["expires_in"] == 60
    clock.move_to(NOW + limits.REFRESH_TOKEN_ABSOLUTE)
    assert_refused(desk.refresh(last["refresh_token"]), reason="expired")


def test_another_client_gets_nothing_and_cannot_revoke_the_family(desk):
    token = desk.offline_tokens()["refresh_token"]
    own = desk.client
    desk.client = make_client()
    assert_refused(desk.refresh(token), reason="other_client")
    desk.client = own
    assert desk.refresh(token).status_code == 200


@pytest.mark.parametrize("token", ["x", "A" * 43, "é" * 10, "A" * 8000])
def test_an_unknown_token_is_refused(desk, token):
    assert_refused(desk.refresh(token), reason="unknown")


def test_a_code_or_an_access_token_is_no_refresh_token(desk):
    assert_refused(desk.refresh(desk.code()), reason="unknown")
    assert_refused(desk.refresh(desk.tokens()["access_token"]), reason="unknown")


def test_a_missing_token_is_an_invalid_request(desk):
    response = post_form("/oauth/token", {"grant_type": "refresh_token"}, authorization=desk.authorization)
    assert_refused(response, error="invalid_request", code="oauth.invalid_request", reason="missing")


def test_a_scope_may_be_narrowed_for_one_access_token(desk):
    first = desk.offline_tokens()
    narrowed = desk.refresh(first["refresh_token"], scope="email").json()
    assert narrowed["scope"] == "email"
    assert "id_token" not in narrowed
    assert desk.userinfo(narrowed["access_token"]).status_code == 403
    assert desk.refresh(narrowed["refresh_token"]).json()["scope"] == "openid email offline_access"


@pytest.mark.parametrize("scope", ["openid groups", "admin", "openid email offline_access profile", "OPENID"])
def test_a_scope_is_never_widened(desk, scope):
    first = desk.offline_tokens()
    response = desk.refresh(first["refresh_token"], scope=scope)
    assert_refused(response, error="invalid_scope", code="oauth.invalid_scope", reason="widened")
    assert desk.refresh(first["refresh_token"]).status_code == 200


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda: Person.objects.update(is_active=False), "person"),
        (lambda: Application.objects.update(enabled=False), "application"),
        (lambda: Application.objects.update(retired_at=timezone.now()), "application"),
        (lambda: IdentityProvider.objects.update(enabled=False), "identity_provider"),
        (lambda: IdentityProvider.objects.update(retired_at=timezone.now()), "identity_provider"),
    ],
)
def test_whoever_left_and_whatever_was_switched_off_refreshes_nothing(desk, change, reason):
    token = desk.offline_tokens()["refresh_token"]
    change()
    raise_version()
    assert_refused(desk.refresh(token), reason=reason)
    assert RefreshToken.objects.get().used_at is None


def test_a_client_that_was_registered_again_under_the_same_id_has_no_old_grants(desk):
    token = desk.offline_tokens()["refresh_token"]
    Client.objects.update(retired_at=timezone.now())
    raise_version()
    desk.client = make_client(client_id=desk.client.client_id)
    assert_refused(desk.refresh(token), reason="other_client")


def test_an_ended_session_leaves_offline_access_standing(desk):
    token = desk.offline_tokens()["refresh_token"]
    Session.objects.update(ended_at=timezone.now())
    tokens = desk.refresh(token).json()
    assert desk.userinfo(tokens["access_token"]).status_code == 200


def test_a_child_follows_from_its_parent_only_under_our_key(desk, settings):
    from broker.tokens.refreshing import child_of

    child = child_of("parent")
    assert child == child_of("parent")
    settings.BROKER_MASTER_KEYS = {"k9": bytes(range(1, 33))}
    assert child != child_of("parent")


def test_no_refresh_token_is_stored_in_clear_or_written_down(desk, caplog):
    parent = desk.offline_tokens()["refresh_token"]
    child = desk.refresh(parent).json()["refresh_token"]
    rows = str([list(model.objects.values()) for model in (RefreshToken, Grant, Event, Trace)])
    for token in (parent, child):
        assert token not in rows
        assert token not in caplog.text


def test_a_refresh_costs_few_queries(desk, django_assert_max_num_queries):
    token = desk.offline_tokens()["refresh_token"]
    with django_assert_max_num_queries(20) as captured:
        assert desk.refresh(token).status_code == 200
    data = [query["sql"] for query in captured.captured_queries if not query["sql"].startswith(("SAVE", "RELEASE"))]
    assert len(data) <= 8, "\n".join(data)
