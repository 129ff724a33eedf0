"""Many at one moment. Only rows that the database locks keep these promises, so they need PostgreSQL."""

from collections import Counter

import pytest

from broker.events.models import Event
from broker.keys.ring import ring
from broker.tokens.models import Grant, RefreshToken
from tests.at_once import at_once
from tests.broker.tokens.desk import Desk

pytestmark = [
    pytest.mark.services,
    pytest.mark.django_db(transaction=True),
    pytest.mark.urls("tests.broker.tokens.urls"),
]
MANY = 12


@pytest.fixture
def desk(transactional_db):
    yield Desk()
    ring.forget()


def test_a_code_redeemed_by_many_at_once_gives_one_answer_which_is_revoked(desk):
    code = desk.code(scopes=("openid", "offline_access"))
    answers = at_once(MANY, lambda: desk.redeem(code))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 400: MANY - 1}
    assert Grant.objects.get().revoke_reason == "redeemed_before"
    assert Event.objects.filter(type="grant.revoked").count() == 1
    won = next(answer for answer in answers if answer.status_code == 200).json()
    assert desk.userinfo(won["access_token"]).status_code == 401
    assert desk.refresh(won["refresh_token"]).status_code == 400


def test_a_refresh_token_used_by_many_at_once_has_one_child(desk):
    parent = desk.offline_tokens()["refresh_token"]
    answers = at_once(MANY, lambda: desk.refresh(parent))
    assert Counter(answer.status_code for answer in answers) == {200: MANY}
    assert len({answer.json()["refresh_token"] for answer in answers}) == 1
    assert sorted(RefreshToken.objects.values_list("generation", flat=True)) == [0, 1]
    assert Grant.objects.get().revoked_at is None


def test_a_pairwise_subject_is_drawn_once(desk):
    desk.client.subject_type = "pairwise"
    desk.client.save()
    codes = [desk.code() for _ in range(MANY)]
    answers = at_once(MANY, lambda: desk.redeem(codes.pop()))
    assert Counter(answer.status_code for answer in answers) == {200: MANY}
    subjects = {desk.userinfo(answer.json()["access_token"]).json()["sub"] for answer in answers}
    assert len(subjects) == 1
