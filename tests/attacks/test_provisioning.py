"""Attacks by those who write people and groups to us, and on what we hold for the targets that we write to."""

import pytest
from django.utils import timezone

from broker.access.slices import known_person
from broker.actors import SYSTEM
from broker.directory.models import Group, Membership, Person
from broker.registry.cache import raise_version
from broker.registry.models import IdentityProvider
from broker.registry.values import BadValue
from provisioning.inbound.sources import create_source
from tests.factories import make_identity_provider, make_organisation, make_person
from tests.provisioning.inbound.conftest import Caller, effects, last_entry, make_source

pytestmark = pytest.mark.django_db


def groups_as_policies_see_them(person):
    person.forget_held()
    return [str(one["id"]) if isinstance(one, dict) else str(one) for one in known_person(person).parents]


@pytest.mark.parametrize("gone", [{"enabled": False}, {"retired_at": timezone.now()}])
def test_a_feed_does_not_take_over_the_groups_of_an_identity_provider_that_is_switched_off(gone):
    provider = make_identity_provider(slug="acme")
    source = make_source(slug="acme", organisation=provider.organisation)
    caller = Caller(source)
    mallory = caller.create("mallory")
    caller.create_group("Admins", mallory["id"])
    person = Person.objects.get(pk=mallory["id"])
    assert not any(one.endswith("acme/Admins") and "scim:" not in one for one in groups_as_policies_see_them(person))
    IdentityProvider.objects.filter(pk=provider.pk).update(**gone)
    raise_version()
    [group] = groups_as_policies_see_them(person)
    assert "scim:acme/Admins" in group


def test_what_an_identity_provider_said_of_groups_counts_no_more_once_it_is_switched_off():
    provider = make_identity_provider(slug="acme", enabled=False)
    person = make_person(organisation=provider.organisation)
    group = Group.objects.create(identity_provider=provider, source="idp:acme", name="Admins")
    Membership.objects.create(person=person, group=group, since=timezone.now())
    assert groups_as_policies_see_them(person) == []


@pytest.mark.parametrize("gone", [{}, {"enabled": False}, {"retired_at": timezone.now(), "enabled": False}])
def test_no_source_is_registered_under_the_slug_of_an_identity_provider(gone):
    make_identity_provider(slug="acme", **gone)
    globex = make_organisation(slug="globex", domains=())
    with pytest.raises(BadValue, match="identity provider"):
        create_source("acme", organisation=globex, actor=SYSTEM, owner="hr@acme.example")


def test_a_source_that_may_not_close_accounts_closes_none_by_deleting():
    phones = Caller(make_source(authoritative_for=["phone_number"], match_external_id=True))
    victim = make_person(organisation=phones.source.organisation, external_id="4711")
    found = phones.create("ceo", externalId="4711", phoneNumbers=[{"value": "+4930123", "type": "work"}])
    assert found["id"] == str(victim.pk)
    assert phones("DELETE", f"/Users/{found['id']}").status_code == 204
    victim.refresh_from_db()
    assert victim.is_active
    assert "phone_number" not in victim.provenance
    assert effects(last_entry(method="DELETE"))["active"] == "not told"


def test_a_source_that_may_close_accounts_still_does_by_deleting():
    caller = Caller(make_source(authoritative_for=["active"]))
    found = caller.create("alice")
    assert caller("DELETE", f"/Users/{found['id']}").status_code == 204
    assert not Person.objects.get(pk=found["id"]).is_active
