"""What the doctor says of authority: rules that wait, rules that met nobody, and conflicts."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from broker import limits
from broker.directory.doctor import check_authority
from broker.directory.rules import schedule_rule
from broker.directory.tasks import tend_authority
from tests.broker.directory.sources import HR, LOGIN, OPERATOR, say
from tests.factories import make_person

pytestmark = pytest.mark.django_db


def found():
    return [(one.level, one.text) for one in check_authority()]


def test_nothing_to_say_is_said():
    assert [level for level, _ in found()] == ["ok"]


def test_open_conflicts_are_counted():
    person = make_person()
    say(HR, person, title="Engineer")
    say(LOGIN, person, title="Wizard")
    assert found() == [("warning", "1 conflicts of sources are open")]


def test_a_rule_that_nobody_applies_and_one_that_met_nobody_are_named():
    schedule_rule("title", ["idp:*"], actor=OPERATOR)
    assert found()[0][0] == "ok"
    with time_machine.travel(timezone.now() + limits.AUTHORITY_APPLIED_WITHIN + timedelta(minutes=1)):
        assert found() == [("warning", "rules over title are not applied to everybody")]
        tend_authority()
        ((level, text),) = found()
    assert (level, "nobody was there to be checked" in text) == ("warning", True)
