"""Revoking grants, and forgetting what is over."""

from datetime import timedelta

import pytest
from django.utils import timezone

from broker import limits
from broker.actors import SYSTEM
from broker.events.models import Event
from broker.tokens.models import AuthorizationCode, Grant, RefreshToken
from broker.tokens.services import forget_ended, revoke_grant
from broker.tokens.tasks import forget

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.broker.tokens.urls")]


def test_a_revoked_grant_takes_all_its_tokens_along(desk):
    tokens = desk.offline_tokens()
    grant = Grant.objects.get()
    assert revoke_grant(grant.pk, reason="operator", actor=SYSTEM)
    assert desk.userinfo(tokens["access_token"]).status_code == 401
    assert desk.refresh(tokens["refresh_token"]).status_code == 400
    event = Event.objects.get(type="grant.revoked")
    assert (event.subject_id, event.details["reason"]) == (str(grant.pk), "operator")


def test_revoking_again_changes_nothing(desk):
    desk.offline_tokens()
    grant = Grant.objects.get()
    assert revoke_grant(grant.pk, reason="operator", actor=SYSTEM)
    assert not revoke_grant(grant.pk, reason="again", actor=SYSTEM)
    grant.refresh_from_db()
    assert grant.revoke_reason == "operator"
    assert Event.objects.filter(type="grant.revoked").count() == 1


def test_other_grants_of_the_same_person_go_on(desk):
    desk.offline_tokens()
    first = Grant.objects.get()
    other = desk.offline_tokens()
    revoke_grant(first.pk, reason="operator", actor=SYSTEM)
    assert desk.refresh(other["refresh_token"]).status_code == 200


def test_what_ended_long_ago_is_forgotten_and_the_rest_is_kept(desk):
    desk.tokens()
    desk.code()
    desk.offline_tokens()
    end = timezone.now() + limits.ACCESS_TOKEN_LIFETIME + limits.GRANT_RETENTION
    assert forget_ended(now=end - timedelta(minutes=20)) == 0
    assert forget_ended(now=end + timedelta(minutes=1)) == 2
    assert Grant.objects.count() == AuthorizationCode.objects.count() == RefreshToken.objects.count() == 1
    later = timezone.now() + limits.REFRESH_TOKEN_ABSOLUTE + limits.GRANT_RETENTION + timedelta(minutes=1)
    assert forget_ended(now=later) == 1
    assert not AuthorizationCode.objects.exists()
    assert not RefreshToken.objects.exists()


def test_a_redeemed_code_is_kept_while_there_is_something_to_revoke(desk):
    code = desk.code(scopes=("openid", "offline_access"))
    tokens = desk.redeem(code).json()
    forget_ended(now=timezone.now() + timedelta(days=60))
    desk.redeem(code)
    assert desk.refresh(tokens["refresh_token"]).status_code == 400


def test_the_task_forgets(desk):
    desk.code()
    AuthorizationCode.objects.update(expires_at=timezone.now() - limits.GRANT_RETENTION - timedelta(seconds=1))
    assert forget.apply().get() == 1
