"""Exchange and revocation at one moment: whichever comes first, nothing that was exchanged outlives the revocation."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest

from broker.actors import SYSTEM
from broker.keys.ring import ring
from broker.tokens.models import Grant
from broker.tokens.services import revoke_grant
from tests.broker.tokens.desk import basic, post_form
from tests.broker.tokens.estate import Estate
from tests.factories import CLIENT_SECRET
from tests.fakes.fake_op import running
from tests.flows.foreign_stage import Foreigners
from tests.flows.stage import unverified_claims as claims_of

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]
AtOnce = Callable[[list[Callable[[], Any]]], list[Any]]
MANY, ROUNDS = 8, 5


@pytest.fixture
def estate(transactional_db: None) -> Iterator[Estate]:
    yield Estate()
    ring.forget()


def assert_nothing_lives(of: dict[str, Any], answers: list[Any]) -> None:
    """Each exchange was given or refused, and of what was given nothing is left."""
    assert {answer.status_code for answer in answers} <= {200, 400}, answers
    given = [claims_of(answer.json()["access_token"])["gid"] for answer in answers if answer.status_code == 200]
    assert set(given) == {str(pk) for pk in Grant.objects.filter(**of).values_list("pk", flat=True)}
    assert not Grant.objects.filter(pk__in=given, revoked_at=None).exists()


def test_a_grant_that_is_revoked_while_its_token_is_exchanged_leaves_no_child(estate: Estate, at_once: AtOnce) -> None:
    for _ in range(ROUNDS):
        token = estate.signed_on()
        gid = UUID(claims_of(token)["gid"])
        answers = at_once(
            [lambda token=token: estate.exchange(estate.crm, token, estate.erp)] * MANY
            + [lambda gid=gid: revoke_grant(gid, reason="operator", actor=SYSTEM)]
        )
        assert answers[-1] is True, answers
        assert_nothing_lives({"parent": gid}, answers[:-1])


def test_one_token_that_is_given_back_while_it_is_exchanged_leaves_no_child(estate: Estate, at_once: AtOnce) -> None:
    estate.change(estate.flows["erp"], subject_class="client")
    authorization = basic("crm", CLIENT_SECRET)
    for _ in range(ROUNDS):
        token = estate.own(estate.crm, estate.erp)
        answers = at_once(
            [lambda token=token: estate.exchange(estate.erp.client, token, estate.hr)] * MANY
            + [lambda token=token: post_form("/oauth/revoke", {"token": token}, authorization=authorization)]
        )
        assert answers[-1].status_code == 200, answers
        assert_nothing_lives({"parent_token": claims_of(token)["jti"]}, answers[:-1])


def test_a_proof_that_is_given_back_while_it_is_shown_leaves_nothing_that_it_proved(
    estate: Estate, at_once: AtOnce
) -> None:
    authorization = basic("crm", CLIENT_SECRET)
    token = estate.at_erp()
    for _ in range(ROUNDS):
        actor = estate.own(estate.crm, estate.erp)
        answers = at_once(
            [lambda actor=actor: estate.exchange(estate.erp.client, token, estate.hr, actor=actor)] * MANY
            + [lambda actor=actor: post_form("/oauth/revoke", {"token": actor}, authorization=authorization)]
        )
        assert answers[-1].status_code == 200, answers
        assert_nothing_lives({"actor_token": claims_of(actor)["jti"]}, answers[:-1])


def test_many_exchanges_of_one_token_do_not_wait_for_one_another_for_ever(estate: Estate, at_once: AtOnce) -> None:
    token, actor = estate.at_erp(), estate.own(estate.crm, estate.erp)
    answers = at_once([lambda: estate.exchange(estate.erp.client, token, estate.hr, actor=actor)] * MANY)
    assert Counter(answer.status_code for answer in answers) == {200: MANY}, answers


def test_one_assertion_that_many_bring_works_once(transactional_db: None, settings: Any, at_once: AtOnce) -> None:
    settings.OUTGOING_NETWORKS, settings.OUTGOING_PROXY = ["127.0.0.0/8"], ""
    with running() as provider:
        stage = Foreigners(provider)
        assertion = stage.assertion()
        answers = at_once([lambda: stage.bear(assertion)] * MANY)
    ring.forget()
    assert Counter(answer.status_code for answer in answers) == {200: 1, 400: MANY - 1}, answers
    assert Grant.objects.filter(grant_type="jwt_bearer").count() == 1
