"""Whose identity is this: by link, by exact rule, or a new person; never by e-mail."""

import pytest

from broker.actors import SYSTEM
from broker.directory.linking import link_identity, person_for_login, unlink_identity
from broker.directory.models import LinkedIdentity, Person
from broker.errors import BrokerError
from broker.events.models import Event
from tests.factories import link, make_identity_provider, make_organisation, make_person

pytestmark = pytest.mark.django_db


def sign_on(identity_provider, subject="alice", issuer=None, **claims):
    return person_for_login(
        identity_provider,
        issuer=issuer or identity_provider.issuer,
        subject=subject,
        claims={name: (value,) for name, value in claims.items()},
        actor=SYSTEM,
    )


def test_a_link_is_found_by_all_three_parts_of_its_key():
    identity_provider = make_identity_provider()
    person = make_person(organisation=identity_provider.organisation)
    link(person, identity_provider, "alice")
    assert sign_on(identity_provider) == person
    assert sign_on(identity_provider, subject="bob") != person
    assert sign_on(identity_provider, issuer="https://other.example") != person
    assert sign_on(make_identity_provider(issuer=identity_provider.issuer)) != person


def test_a_new_person_is_recorded_with_a_link():
    person = sign_on(make_identity_provider())
    assert LinkedIdentity.objects.get().person == person
    assert list(Event.objects.order_by("id").values_list("type", flat=True)) == ["person.created", "identity.linked"]


@pytest.mark.parametrize("value", ["e-1", "E-1 ", "E-10", ""])
def test_a_match_rule_is_exact(value):
    identity_provider = make_identity_provider(
        match_claim="employee_id", match_person="external_id", unknown_person="refuse"
    )
    make_person(organisation=identity_provider.organisation, external_id="E-1")
    with pytest.raises(BrokerError) as refused:
        sign_on(identity_provider, employee_id=value)
    assert refused.value.code == "account.unknown"


def test_a_match_rule_stays_within_the_organisation():
    identity_provider = make_identity_provider(match_claim="employee_id", match_person="external_id")
    stranger = make_person(organisation=make_organisation(domains=()), external_id="E-1")
    assert sign_on(identity_provider, employee_id="E-1") != stranger


def test_without_a_rule_an_equal_external_id_matches_nobody():
    identity_provider = make_identity_provider()
    person = make_person(organisation=identity_provider.organisation, external_id="E-1")
    assert sign_on(identity_provider, employee_id="E-1") != person


def test_a_closed_account_is_refused():
    identity_provider = make_identity_provider()
    link(make_person(organisation=identity_provider.organisation, is_active=False), identity_provider, "alice")
    with pytest.raises(BrokerError) as refused:
        sign_on(identity_provider)
    assert refused.value.code == "account.inactive"


def test_a_person_of_another_organisation_is_neither_linked_nor_signed_on():
    identity_provider = make_identity_provider()
    stranger = make_person(organisation=make_organisation(domains=()))
    with pytest.raises(BrokerError) as refused:
        link_identity(stranger, identity_provider=identity_provider, issuer="i", subject="s", actor=SYSTEM)
    assert refused.value.code == "account.organisation"
    link(stranger, identity_provider, "alice")
    with pytest.raises(BrokerError) as refused:
        sign_on(identity_provider)
    assert refused.value.code == "account.organisation"


def test_a_removed_link_is_unknown_from_then_on():
    identity_provider = make_identity_provider()
    person = sign_on(identity_provider)
    unlink_identity(LinkedIdentity.objects.get(), actor=SYSTEM)
    assert sign_on(identity_provider) != person
    assert Person.objects.count() == 2
    assert Event.objects.filter(type="identity.unlinked").exists()
