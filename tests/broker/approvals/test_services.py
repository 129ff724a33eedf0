"""Two humans, an unchanged thing, and an event for each step."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import IntegrityError
from django.utils import timezone
from pytest_django import Settings

from broker import limits
from broker.actors import SYSTEM, Actor, ActorKind
from broker.approvals import services
from broker.approvals.models import Approval
from broker.approvals.tasks import expire
from broker.console.models import Operator
from broker.console.services import change_operator, change_own_password, create_operator, reset_operator
from broker.directory.models import Identifier
from broker.errors import BrokerError
from broker.events.models import Event
from tests.broker.approvals import things
from tests.factories import make_person

pytestmark = pytest.mark.django_db

MakeOperator = Callable[..., Operator]


def by(email: str) -> Actor:
    return Actor(ActorKind.OPERATOR, email, trace_id="AAAAA-BBBBB")


ADA, BOB = by("ada@acme.example"), by("bob@acme.example")


@pytest.fixture(autouse=True)
def kind(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> things.Things:
    settings.APPROVAL_HANDLERS = {"thing": "tests.broker.approvals.things.THINGS"}
    fresh = things.Things()
    monkeypatch.setattr(things, "THINGS", fresh)
    return fresh


@pytest.fixture(autouse=True)
def operators(make_operator: MakeOperator) -> dict[str, Operator]:
    return {name: make_operator(f"{name}@acme.example") for name in ("ada", "bob")}


def ask(actor: Actor = ADA, subject_id: str = "1") -> Approval:
    return services.request_approval(
        "thing",
        subject=("thing", subject_id),
        title="The thing in red",
        before={"colour": "blue"},
        after={"colour": "red"},
        actor=actor,
    )


def code_of(act: Callable[..., Any], *args: Any, **kwargs: Any) -> str:
    with pytest.raises(BrokerError) as caught:
        act(*args, **kwargs)
    return caught.value.code


def events() -> list[str]:
    return [name for name in Event.objects.order_by("id").values_list("type", flat=True) if name.startswith("approval")]


def test_a_second_operator_approves_and_it_comes_into_force(
    kind: things.Things, operators: dict[str, Operator]
) -> None:
    approval = ask()
    assert (approval.state, kind.active) == ("pending", [])

    approved = services.approve(approval, actor=BOB, reason="as discussed")

    assert kind.active == [("1", "ada@acme.example", "bob@acme.example")]
    assert (approved.state, approved.decided_by, approved.reason) == ("approved", operators["bob"], "as discussed")
    assert (approved.trace_id, len(approved.digest)) == ("AAAAA-BBBBB", 64)
    assert events() == ["approval.requested", "approval.approved"]
    assert Event.objects.get(type="approval.approved").actor_id == "bob@acme.example"


def test_nobody_approves_their_own(kind: things.Things) -> None:
    approval = ask()

    assert code_of(services.approve, approval, actor=ADA) == "approval.own"
    assert code_of(services.approve, approval, actor=by(" ADA@acme.example")) == "approval.own"

    assert kind.active == []
    assert events() == ["approval.requested", "approval.denied", "approval.denied"]
    assert Event.objects.filter(type="approval.denied", code="approval.own", severity="alert").count() == 2


def test_two_accounts_tied_to_one_person_are_one_human(kind: things.Things) -> None:
    Operator.objects.update(person=make_person())

    assert code_of(services.approve, ask(), actor=BOB) == "approval.same_human"
    assert kind.active == []


@pytest.mark.parametrize("email", ["ada+admin@acme.example", "ada+@acme.example", "ADA@acme.example"])
def test_an_address_that_leads_to_the_same_mailbox_is_the_same_human(make_operator: MakeOperator, email: str) -> None:
    approval = ask()
    Operator.objects.filter(email="ada@acme.example").update(email="ada@old.example")
    make_operator(email.lower())
    Operator.objects.filter(email="ada@old.example").update(email="ada+x@acme.example")

    assert code_of(services.approve, approval, actor=by(email)) == "approval.same_human"


def test_an_account_with_the_address_of_the_others_person_is_the_same_human() -> None:
    person = make_person()
    Identifier.objects.create(
        person=person, kind="email", value="Bob@Acme.example", comparable="bob@acme.example", since=timezone.now()
    )
    Operator.objects.filter(email="ada@acme.example").update(person=person)

    assert code_of(services.approve, ask(), actor=BOB) == "approval.same_human"


def test_an_account_that_the_other_made_does_not_count_for_three_days(kind: things.Things) -> None:
    create_operator("puppet@acme.example", name="P", role=Operator.Role.OPERATOR, actor=ADA)
    approval = ask()

    assert code_of(services.approve, approval, actor=by("puppet@acme.example")) == "approval.same_human"

    with time_machine.travel(timezone.now() + limits.APPROVAL_ACCOUNT_REST + timedelta(seconds=1), tick=False):
        services.approve(approval, actor=by("puppet@acme.example"))
    assert len(kind.active) == 1


def test_two_accounts_that_a_third_one_just_made_do_not_count_as_two(kind: things.Things) -> None:
    for name in ("one", "two"):
        create_operator(f"{name}@puppet.example", name=name, role=Operator.Role.OPERATOR, actor=ADA)

    assert code_of(services.approve, ask(by("one@puppet.example")), actor=by("two@puppet.example")) == (
        "approval.same_human"
    )
    assert kind.active == []


@pytest.mark.parametrize("way", ["made", "reset"])
def test_an_account_that_came_through_others_does_not_count(operators: dict[str, Operator], way: str) -> None:
    create_operator("one@puppet.example", name="1", role=Operator.Role.OPERATOR, actor=ADA)
    puppet, _ = create_operator(
        "two@puppet.example", name="2", role=Operator.Role.OPERATOR, actor=by("one@puppet.example")
    )
    if way == "reset":
        puppet = operators["bob"]
        reset_operator(puppet, actor=by("two@puppet.example"))

    assert code_of(services.approve, ask(), actor=by(puppet.email)) == "approval.same_human"


def test_whoever_set_up_one_of_the_two_and_somebody_else_does_not_stand_behind_both(
    make_operator: MakeOperator, operators: dict[str, Operator]
) -> None:
    carol = make_operator("carol@acme.example")
    reset_operator(operators["bob"], actor=by(carol.email))
    create_operator("dan@acme.example", name="Dan", role=Operator.Role.OPERATOR, actor=by(carol.email))

    assert services.approve(ask(), actor=BOB).state == "approved"


@pytest.mark.parametrize("way", ["reset", "untied", "untied oneself"])
def test_an_account_that_the_other_just_set_up_does_not_count(operators: dict[str, Operator], way: str) -> None:
    person = make_person()
    approval = ask()
    if way == "reset":
        reset_operator(operators["bob"], actor=ADA)
    elif way == "untied":
        Operator.objects.update(person=person)
        change_operator(operators["bob"], actor=ADA, person=None)
    else:
        Operator.objects.update(person=person)
        change_operator(operators["ada"], actor=ADA, person=None)

    assert code_of(services.approve, approval, actor=BOB) == "approval.same_human"


def test_a_password_of_ones_own_and_what_a_third_one_did_do_not_count(operators: dict[str, Operator]) -> None:
    change_own_password(operators["bob"], password="correct-horse-battery", actor=BOB)
    reset_operator(operators["ada"], actor=SYSTEM)
    reset_operator(operators["bob"], actor=by("carol@acme.example"))

    assert services.approve(ask(), actor=BOB).state == "approved"


@pytest.mark.parametrize("closing", [{"is_active": False}, {"role": "viewer"}], ids=["closed account", "viewer"])
def test_only_an_open_account_that_may_change_things_asks_and_decides(closing: dict[str, Any]) -> None:
    approval = ask()
    Operator.objects.filter(email="bob@acme.example").update(**closing)

    assert code_of(services.approve, approval, actor=BOB) == "approval.not_allowed"
    assert code_of(services.refuse, approval, actor=BOB, reason="no") == "approval.not_allowed"
    assert code_of(ask, BOB, "1") == "approval.not_allowed"


def test_an_account_closes_with_its_person() -> None:
    approval = ask()
    Operator.objects.filter(email="bob@acme.example").update(person=make_person(is_active=False))

    assert code_of(services.approve, approval, actor=BOB) == "approval.not_allowed"


@pytest.mark.parametrize(
    "actor", [SYSTEM, Actor(ActorKind.CLIENT, "bob@acme.example"), by("nobody@acme.example"), by("")]
)
def test_who_is_no_operator_neither_asks_nor_decides(actor: Actor) -> None:
    approval = ask()

    assert code_of(services.approve, approval, actor=actor) == "approval.not_allowed"
    assert code_of(ask, actor) == "approval.not_allowed"


def test_what_changed_since_has_to_be_asked_anew(kind: things.Things) -> None:
    approval = ask()
    kind.contents["1"] = {"colour": "black"}

    assert code_of(services.approve, approval, actor=BOB) == "approval.changed"
    anew = ask()

    approval.refresh_from_db()
    assert (approval.state, anew.state) == ("withdrawn", "pending")
    assert services.approve(anew, actor=BOB).state == "approved"


def test_what_is_gone_cannot_be_approved_or_asked_for(kind: things.Things) -> None:
    approval = ask()
    kind.contents.clear()

    assert code_of(services.approve, approval, actor=BOB) == "approval.changed"
    assert code_of(ask) == "approval.nothing"


@pytest.mark.parametrize("actor", [ADA, BOB])
def test_exactly_the_same_is_not_asked_twice_so_that_nobody_takes_over_a_question(actor: Actor) -> None:
    ask()

    assert code_of(ask, actor) == "approval.pending"


def test_what_was_decided_is_not_decided_again(kind: things.Things) -> None:
    approval = ask()
    services.approve(approval, actor=BOB)

    assert code_of(services.approve, approval, actor=BOB) == "approval.decided"
    assert code_of(services.refuse, approval, actor=BOB, reason="late") == "approval.decided"
    assert code_of(services.withdraw, approval, actor=ADA) == "approval.decided"
    assert len(kind.active) == 1


def test_what_waited_too_long_is_not_approved_and_closed_by_the_scheduler() -> None:
    approval = ask()
    with time_machine.travel(approval.expires_at, tick=False):
        assert code_of(services.approve, approval, actor=BOB) == "approval.expired"
        assert expire() == 1
        assert expire() == 0
        assert ask().state == "pending"
    approval.refresh_from_db()
    assert (approval.state, approval.decided_by) == ("expired", None)
    assert "approval.expired" in events()


def test_it_waits_until_the_last_moment() -> None:
    approval = ask()
    with time_machine.travel(approval.expires_at - timedelta(seconds=1), tick=False):
        assert expire() == 0
        assert services.approve(approval, actor=BOB).state == "approved"


def test_what_cannot_be_brought_into_force_is_not_approved(kind: things.Things) -> None:
    approval = ask()
    kind.breaks = True

    assert code_of(services.approve, approval, actor=BOB) == "service.unavailable"

    approval.refresh_from_db()
    assert (approval.state, approval.decided_by) == ("pending", None)


def test_a_refusal_says_why(kind: things.Things) -> None:
    approval = services.refuse(ask(), actor=BOB, reason="too wide")

    assert (approval.state, approval.reason, kind.refused, kind.active) == ("refused", "too wide", ["1"], [])
    assert events() == ["approval.requested", "approval.refused"]


def test_only_who_asked_withdraws() -> None:
    approval = ask()

    assert code_of(services.withdraw, approval, actor=BOB) == "approval.not_allowed"
    assert services.withdraw(approval, actor=ADA).state == "withdrawn"


def test_what_waits_about_a_thing_is_withdrawn_with_it() -> None:
    ask()

    assert services.withdraw_for("thing", 1, reason="retired", actor=SYSTEM) == 1
    assert services.pending_of("thing", 1) is None


def test_the_database_itself_knows_no_approval_of_ones_own() -> None:
    approval = ask()

    with pytest.raises(IntegrityError):
        Approval.objects.filter(pk=approval.pk).update(
            state="approved", decided_by=approval.requested_by_id, decided_at=timezone.now()
        )
