"""Redeeming a code: once, in time, by its own client, at its own address, with its own verifier."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from broker.directory.models import Person
from broker.events.models import Event
from broker.keys.models import SigningKey
from broker.keys.ring import ring
from broker.registry.cache import raise_version
from broker.registry.models import Application, Client, IdentityProvider
from broker.sessions.models import Session
from broker.tokens.grants import authorization_code
from broker.tokens.models import AuthorizationCode, Grant, RefreshToken
from broker.traces.models import Trace
from broker.traces.services import read_trace
from tests.broker.tokens.desk import TRACE_ID, post_form
from tests.broker.tokens.refusals import assert_refused
from tests.factories import make_client

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.broker.tokens.urls")]


def test_a_code_brings_tokens_that_no_cache_keeps(desk):
    response = desk.redeem(desk.code())
    body = response.json()
    assert response.status_code == 200
    assert set(body) == {"access_token", "token_type", "expires_in", "scope", "id_token"}
    assert (body["token_type"], body["expires_in"], body["scope"]) == ("Bearer", 600, "openid email")
    assert response["Cache-Control"] == "no-store"
    assert response["Pragma"] == "no-cache"
    assert response["Content-Type"] == "application/json"


def test_the_redemption_is_a_hop_of_the_sign_on_that_the_code_came_from(desk):
    response = desk.redeem(desk.code())
    assert response["Countersign-Trace"] == TRACE_ID
    event = Event.objects.get(type="token.issued")
    assert (event.trace_id, event.actor_kind, event.actor_id) == (TRACE_ID, "client", desk.client.client_id)
    assert event.application == desk.client.application.slug
    assert event.connection == desk.participant.session.identity_provider.slug
    hop = read_trace(TRACE_ID)[-1]
    names = [entry["name"] for entry in hop["entries"] if entry["type"] == "check"]
    assert names == [
        "token.client_authentication",
        "token.not_redeemed",
        "token.not_expired",
        "token.redirect_uri",
        "token.pkce",
        "token.client_enabled",
        "token.subject_active",
        "token.identity_provider_enabled",
        "token.session_live",
        "token.actors_enabled",
        "token.lineage_enabled",
    ]
    assert response.json()["access_token"] not in str(hop)
    assert response.json()["id_token"] not in str(hop)


def test_only_offline_access_brings_a_refresh_token(desk):
    assert "refresh_token" not in desk.tokens()
    assert len(desk.offline_tokens()["refresh_token"]) == 43


def test_a_second_use_is_refused_and_revokes_everything_that_came_of_the_first(desk):
    code = desk.code(scopes=("openid", "offline_access"))
    tokens = desk.redeem(code).json()
    assert desk.userinfo(tokens["access_token"]).status_code == 200
    assert_refused(desk.redeem(code), reason="redeemed_before")
    assert Event.objects.get(type="grant.revoked").severity == "alert"
    assert Grant.objects.get().revoke_reason == "redeemed_before"
    assert desk.userinfo(tokens["access_token"]).status_code == 401
    assert_refused(desk.refresh(tokens["refresh_token"]), reason="revoked")


def test_a_third_use_revokes_nothing_anew(desk):
    code = desk.code()
    desk.redeem(code)
    desk.redeem(code)
    assert_refused(desk.redeem(code), reason="redeemed_before")
    assert Event.objects.filter(type="grant.revoked").count() == 1


def test_a_second_use_with_another_verifier_revokes_too(desk):
    code = desk.code()
    desk.redeem(code)
    assert_refused(desk.redeem(code, code_verifier="V" * 43), reason="redeemed_before")
    assert Grant.objects.get().revoked_at is not None


def test_a_code_works_for_sixty_seconds(desk):
    start = timezone.now()
    with time_machine.travel(start, tick=False):
        in_time, late = desk.code(), desk.code()
    with time_machine.travel(start + timedelta(seconds=59), tick=False):
        assert desk.redeem(in_time).status_code == 200
    with time_machine.travel(start + timedelta(seconds=60), tick=False):
        assert_refused(desk.redeem(late), reason="expired")
    assert Grant.objects.count() == 1


def test_another_client_gets_nothing_for_a_code_and_cannot_use_it_up(desk):
    code = desk.code()
    own = desk.client
    desk.client = make_client()
    assert_refused(desk.redeem(code), reason="other_client")
    assert Trace.objects.filter(pk=TRACE_ID).count() == 0
    desk.client = own
    assert desk.redeem(code).status_code == 200


def test_another_client_cannot_revoke_what_a_used_code_brought(desk):
    code = desk.code()
    desk.redeem(code)
    desk.client = make_client()
    assert_refused(desk.redeem(code), reason="other_client")
    assert Grant.objects.get().revoked_at is None


@pytest.mark.parametrize(
    "redirect_uri",
    ["https://crm.example/callback/", "https://evil.example", "HTTPS://crm.example/callback"],
)
def test_a_code_is_bound_to_the_address_it_was_sent_to(desk, redirect_uri):
    assert_refused(desk.redeem(desk.code(), redirect_uri=redirect_uri), reason="redirect_uri")


@pytest.mark.parametrize("verifier", [None, "", "V" * 43, "V" * 42, "V" * 129, "ä" * 43, "V" * 42 + "="])
def test_a_code_is_bound_to_its_verifier(desk, verifier):
    assert_refused(desk.redeem(desk.code(), code_verifier=verifier), reason="pkce")
    assert not Grant.objects.exists()


def test_the_challenge_itself_is_no_verifier(desk):
    code = desk.code()
    challenge = AuthorizationCode.objects.get().code_challenge
    assert_refused(desk.redeem(code, code_verifier=challenge), reason="pkce")


def test_a_verifier_without_a_challenge_is_refused_as_a_downgrade(desk):
    assert_refused(desk.redeem(desk.code(challenge=False)), reason="pkce")


def test_a_code_without_a_challenge_is_redeemed_without_a_verifier(desk):
    assert desk.redeem(desk.code(challenge=False), code_verifier=None).status_code == 200


def test_a_failed_check_leaves_the_code_for_its_owner(desk):
    code = desk.code()
    desk.redeem(code, code_verifier="V" * 43)
    assert desk.redeem(code).status_code == 200


@pytest.mark.parametrize("code", ["x", "A" * 43, "A" * 8000, "é", "0"])
def test_an_unknown_code_is_refused(desk, code):
    assert_refused(desk.redeem(code), reason="unknown")


@pytest.mark.parametrize("missing", ["code", "redirect_uri"])
def test_a_missing_parameter_is_an_invalid_request(desk, missing):
    form = {name: value for name, value in desk.redemption(desk.code()).items() if name != missing}
    response = post_form("/oauth/token", form, authorization=desk.authorization)
    assert_refused(response, error="invalid_request", code="oauth.invalid_request", reason="missing")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda: Person.objects.update(is_active=False), "person"),
        (lambda: Application.objects.update(enabled=False), "application"),
        (lambda: Application.objects.update(retired_at=timezone.now()), "application"),
        (lambda: IdentityProvider.objects.update(enabled=False), "identity_provider"),
        (lambda: IdentityProvider.objects.update(retired_at=timezone.now()), "identity_provider"),
        (lambda: Session.objects.update(ended_at=timezone.now()), "session"),
        (lambda: Session.objects.update(expires_at=timezone.now()), "session"),
    ],
)
@pytest.mark.parametrize("scopes", [("openid",), ("openid", "offline_access")])
def test_whoever_left_and_whatever_was_switched_off_gets_no_token(desk, change, reason, scopes):
    code = desk.code(scopes=scopes)
    change()
    raise_version()
    assert_refused(desk.redeem(code), reason=reason)
    assert not Grant.objects.exists()
    assert not RefreshToken.objects.exists()
    assert AuthorizationCode.objects.get().redeemed_at is None


@pytest.mark.parametrize("change", [{"enabled": False}, {"retired_at": "2026-01-01T00:00:00Z"}])
def test_a_client_that_was_switched_off_or_retired_does_not_authenticate(desk, change):
    code = desk.code()
    Client.objects.update(**change)
    raise_version()
    reason = "disabled" if "enabled" in change else "unknown_client"
    response = desk.redeem(code)
    assert_refused(response, error="invalid_client", code="oauth.invalid_client", status=401, reason=reason)


def test_without_a_signing_key_nothing_is_used_up(desk):
    code = desk.code()
    SigningKey.objects.update(state="retired")
    ring.forget()
    response = desk.redeem(code)
    assert response.status_code == 503
    assert response["Retry-After"]
    assert response.json()["error"] == "temporarily_unavailable"
    assert AuthorizationCode.objects.get().redeemed_at is None
    assert not Grant.objects.exists()


def test_the_loser_of_a_race_gets_nothing_and_revokes_what_the_winner_got(desk, monkeypatch):
    """The loser looked at the code before the winner's commit, and claims it after."""
    code = desk.code()
    as_it_was = AuthorizationCode.objects.select_related("session__person", "session__identity_provider").get()
    winner = desk.redeem(code).json()
    monkeypatch.setattr(authorization_code, "_find", lambda value: as_it_was)
    assert_refused(desk.redeem(code), reason="redeemed_before")
    assert Grant.objects.get().revoke_reason == "redeemed_before"
    assert desk.userinfo(winner["access_token"]).status_code == 401


def test_a_service_client_has_no_code_to_redeem(desk):
    code = desk.code()
    Client.objects.update(kind="service")
    raise_version()
    response = desk.redeem(code)
    assert_refused(response, error="unauthorized_client", code="oauth.unauthorized_client", reason="kind")


@pytest.mark.parametrize("grant_type", ["implicit", "password", "device_code", "token", "", "AUTHORIZATION_CODE"])
def test_grants_that_are_not_offered_do_not_exist(desk, grant_type):
    response = desk.redeem(desk.code(), grant_type=grant_type)
    body = response.json()
    assert response.status_code == 400
    assert body["error"] == ("unsupported_grant_type" if grant_type else "invalid_request")


def test_no_code_and_no_verifier_is_stored_in_clear_or_written_down(desk, caplog):
    code = desk.code()
    desk.redeem(code)
    desk.redeem(code)
    rows = str([list(model.objects.values()) for model in (AuthorizationCode, Grant, Event, Trace)])
    for secret in (code, desk.verifier):
        assert secret not in rows
        assert secret not in caplog.text


def test_redeeming_a_code_costs_few_queries(desk, django_assert_max_num_queries):
    desk.tokens()
    code = desk.code()
    fields = desk.redemption(code)
    with django_assert_max_num_queries(20) as captured:
        response = post_form("/oauth/token", fields, authorization=desk.authorization)
    assert response.status_code == 200
    queries = [query["sql"] for query in captured.captured_queries]
    data = [sql for sql in queries if not sql.startswith(("SAVEPOINT", "RELEASE", "BEGIN", "COMMIT"))]
    assert len(data) <= 9, "\n".join(data)
