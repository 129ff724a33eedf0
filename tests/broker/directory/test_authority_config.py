"""`authority:` in a configuration file: planned with whom it would meet, applied, exported, and taken back."""

import io
from datetime import timedelta

import pytest
import time_machine
import yaml
from django.core.management import call_command
from django.utils import timezone

from broker.directory.models import AuthorityRule
from broker.directory.tasks import tend_authority
from tests.broker.directory.sources import HR, LOGIN, fresh, say
from tests.configured import run
from tests.factories import make_identity_provider, make_person

pytestmark = pytest.mark.django_db
FILE = 'authority:\n  - {attribute: title, sources: ["idp:*", "scim:workday"]}\n'


@pytest.fixture
def torn():
    person = make_person()
    say(HR, person, title="Engineer")
    say(LOGIN, person, title="Wizard")
    return person


def test_a_plan_says_whom_it_would_meet_and_writes_nothing(tmp_path, torn):
    code, out, _ = run("plan", tmp_path, FILE)
    assert code == 0
    assert "checked 1 people, would change 1" in out
    assert not AuthorityRule.objects.exists()


def test_an_applied_file_is_a_rule_and_a_second_run_changes_nothing(tmp_path, torn):
    code, out, _ = run("apply", tmp_path, FILE)
    assert (code, "1 of 1 people change" in out) == (0, True)
    assert run("plan", tmp_path, FILE, "--exit-code")[0] == 0
    with time_machine.travel(timezone.now() + timedelta(minutes=1)):
        tend_authority()
    assert fresh(torn).claims == {"title": ["Wizard"]}
    out = io.StringIO()
    call_command("export", stdout=out)
    assert yaml.safe_load(out.getvalue())["authority"] == [{"attribute": "title", "sources": ["idp:*", "scim:workday"]}]


def test_a_day_to_come_dates_the_rule_and_is_no_change_once_it_has_come(tmp_path, torn):
    day = (timezone.now() + timedelta(days=3)).date()
    dated = FILE.replace("}", f", from: {day}}}")
    assert run("apply", tmp_path, dated)[0] == 0
    assert AuthorityRule.objects.get().valid_from.date() == day
    assert run("plan", tmp_path, dated, "--exit-code")[0] == 0
    with time_machine.travel(timezone.now() + timedelta(days=5)):
        assert run("plan", tmp_path, dated, "--exit-code")[0] == 0
        out = io.StringIO()
        call_command("export", stdout=out)
        assert "from" not in yaml.safe_load(out.getvalue())["authority"][0]


def test_pruning_brings_back_the_usual_order(tmp_path, torn):
    run("apply", tmp_path, FILE)
    assert run("apply", tmp_path, "authority: []\n", "--prune")[0] == 0
    assert AuthorityRule.objects.latest("pk").sources == []
    assert run("plan", tmp_path, "authority: []\n", "--prune", "--exit-code")[0] == 0


def test_nobody_to_be_checked_is_said_and_no_fault(tmp_path):
    code, out, _ = run("apply", tmp_path, FILE)
    assert (code, "nobody was there to be checked" in out) == (0, True)


def test_an_identity_provider_of_the_same_file_may_be_named(tmp_path):
    provider = make_identity_provider()
    named = FILE.replace("idp:*", f"idp:{provider.slug}")
    assert run("apply", tmp_path, named)[0] == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{attribute: title}", "sources is missing"),
        ("{sources: ['scim:workday']}", "attribute"),
        ("{attribute: groups, sources: ['scim:workday']}", "no attribute"),
        ("{attribute: 'a b', sources: ['scim:workday']}", "no attribute"),
        ("{attribute: title, sources: [hr]}", "no source"),
        ("{attribute: title, sources: ['scim:workday', 'scim:workday']}", "twice"),
        ("{attribute: title, sources: 'scim:workday'}", "list of texts"),
        ("{attribute: title, sources: ['idp:nowhere']}", "there is no identity provider nowhere"),
        ("{attribute: title, sources: ['scim:a'], from: soon}", "YYYY-MM-DD"),
        ("{attribute: title, sources: ['scim:a'], form: 2030-01-01}", "did you mean from"),
    ],
)
def test_a_file_that_says_no_rule_is_refused(tmp_path, text, said):
    code, _, err = run("apply", tmp_path, f"authority:\n  - {text}\n")
    assert code != 0
    assert said in err
    assert not AuthorityRule.objects.exists()


def test_a_day_beyond_a_year_is_refused(tmp_path, torn):
    day = (timezone.now() + timedelta(days=800)).date()
    code, out, err = run("apply", tmp_path, FILE.replace("}", f", from: {day}}}"))
    assert code != 0
    assert "a moment within a year" in out + err
    assert not AuthorityRule.objects.exists()
