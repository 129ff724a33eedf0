"""An application is told what its release rule and the granted scopes admit, and nothing else."""

import pytest
from django.utils import timezone

from broker.directory.models import Group, Identifier, Membership, Person
from broker.registry.cache import raise_version
from federation.claims.release import release_claims
from tests.broker.directory.sources import HR, say
from tests.factories import make_application, make_identity_provider, make_organisation, make_person

pytestmark = pytest.mark.django_db
EVERYTHING = ("email", "eppn", "preferred_username", "name", "given_name", "family_name", "groups", "department")


@pytest.fixture
def person():
    identity_provider = make_identity_provider(organisation=make_organisation())
    person = make_person(organisation=identity_provider.organisation, claims={"department": ["R&D"], "salary": ["9"]})
    for kind in ("email", "eppn"):
        Identifier.objects.create(
            person=person,
            kind=kind,
            value=f"{kind}@acme.example",
            comparable=f"{kind}@acme.example",
            since=timezone.now(),
        )
    group = Group.objects.create(identity_provider=identity_provider, name="engineering")
    Membership.objects.create(person=person, group=group, since=timezone.now())
    return person


def release(person, rule, scopes):
    return release_claims(person=person, application=make_application(release=rule), scopes=scopes)


def test_everything_that_is_admitted_is_told(person):
    told = release(person, EVERYTHING, ["openid", "profile", "email"])
    assert told == {
        "email": "email@acme.example",
        "email_verified": True,
        "eppn": "eppn@acme.example",
        "preferred_username": "eppn@acme.example",
        "name": "Alice Ålesund",
        "given_name": "Alice",
        "family_name": "Ålesund",
        "groups": ["engineering"],
        "department": "R&D",
    }


def test_without_the_scope_a_standard_claim_is_not_told(person):
    told = release(person, EVERYTHING, ["openid"])
    assert told.keys() == {"eppn", "groups", "department"}


def test_outside_the_rule_nothing_is_told(person):
    assert release(person, ("name",), ["openid", "profile", "email"]) == {"name": "Alice Ålesund"}
    assert release(person, (), ["openid", "profile", "email"]) == {}


def test_what_is_not_known_is_left_out(person):
    assert "cost_centre" not in release(person, ("cost_centre",), ["openid"])


@pytest.mark.parametrize("claim", ["email", "eppn", "preferred_username", "upn", "scoped_affiliation"])
def test_nothing_is_told_in_the_name_of_a_domain_that_was_given_up(person, claim):
    """It may be another organisation's by now, where somebody else bears that name."""
    person.claims = {"upn": ["a@acme.example"], "scoped_affiliation": ["staff@acme.example"]}
    scopes = ["openid", "profile", "email"]
    assert claim in release(person, (claim,), scopes)
    person.organisation.domains.all().delete()
    raise_version()
    assert release(person, (claim,), scopes) == {}


def test_groups_of_an_identity_provider_that_is_switched_off_are_not_told(person):
    identity_provider = person.groups.get().identity_provider
    assert release(person, ("groups",), ["openid"]) == {"groups": ["engineering"]}
    identity_provider.enabled = False
    identity_provider.save()
    assert release(Person.objects.get(pk=person.pk), ("groups",), ["openid"]) == {"groups": []}


def test_one_role_is_a_list_too(person):
    """A text would hold `admin` in `not-admin` for whoever looks for it inside."""
    person.claims = {"roles": ["not-admin"]}
    assert release(person, ("roles",), ["openid"]) == {"roles": ["not-admin"]}


@pytest.mark.parametrize(
    ("value", "told"),
    [("alice", {"preferred_username": "alice"}), ("alice@acme.example", {"preferred_username": "alice@acme.example"})],
)
def test_a_user_name_stands_in_where_there_is_no_other_name(value, told):
    person = make_person(organisation=make_organisation())
    say(HR, person, user_name=value)
    assert release(person, ("preferred_username", "email"), ["openid", "profile", "email"]) == told


def test_a_user_name_in_anothers_domain_is_not_told():
    person = make_person(organisation=make_organisation())
    say(HR, person, user_name="alice@globex.example")
    assert release(person, ("preferred_username",), ["openid", "profile"]) == {}
