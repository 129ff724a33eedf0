"""A login of somebody of whom HR speaks too: they are let in, HR's word stands, and the login's is kept in evidence."""

import pytest

from broker.directory.models import Conflict, Person
from broker.traces.models import Trace
from tests.broker.directory.sources import HR, say
from tests.flows.stage import Browser, Company, answer_of, make_company

pytestmark = pytest.mark.django_db
TOLD = {"mail": ["alice@acme.example"], "displayName": ["Alice Wizard"], "title": ["Wizard"], "groups": ["staff"]}


@pytest.fixture
def company() -> Company:
    company = make_company()
    company.sign_on(Browser(), attributes=TOLD)
    return company


def sign_on(company: Company, **attributes: list[str]) -> str:
    return answer_of(company.sign_on(Browser(), attributes=TOLD | attributes))["code"]


def test_hrs_word_stands_and_the_logins_is_a_conflict_with_its_trace(company: Company) -> None:
    person = Person.objects.get()
    say(HR, person, name="Alice Ålesund", title="Engineer")
    claims = company.redeem(sign_on(company)).json()
    assert claims["access_token"]
    person.refresh_from_db()
    assert (person.name, person.claims["title"]) == ("Alice Ålesund", ["Engineer"])
    rows = {row.attribute: row for row in Conflict.objects.all()}
    assert (rows.keys(), rows["title"].values, rows["title"].source) == ({"name", "title"}, ["Wizard"], "idp:acme-idp")
    assert Trace.objects.filter(pk=rows["title"].evidence.removeprefix("trace:")).exists()


def test_the_same_login_again_writes_nothing_more(company: Company) -> None:
    person = Person.objects.get()
    say(HR, person, title="Engineer")
    sign_on(company)
    person.refresh_from_db()
    version, since = person.version, Conflict.objects.get().opened_at
    sign_on(company)
    person.refresh_from_db()
    assert (person.version, Conflict.objects.get().opened_at) == (version, since)


def test_whom_hr_closes_is_let_in_nowhere_and_after_a_rehire_everywhere(company: Company) -> None:
    person = Person.objects.get()
    say(HR, person, active="true")
    say(HR, person, active="false")
    refused = company.sign_on(Browser(), attributes=TOLD)
    assert "code=" not in refused.get("Location", "")
    say(HR, person, active="true")
    assert sign_on(company)
    assert Person.objects.get().pk == person.pk


def test_a_value_with_a_control_character_is_left_out_and_the_login_goes_on(company: Company) -> None:
    assert sign_on(company, displayName=["Alice\nMallory"], title=["Seer"])
    person = Person.objects.get()
    assert (person.name, person.claims["title"]) == ("Alice Wizard", ["Seer"])
