"""Attacks by those who write people and groups to us, and on what we hold for the targets that we write to."""

from io import StringIO

import pytest
import yaml
from django.core.management import CommandError, call_command
from django.utils import timezone

from broker.access.slices import known_person
from broker.actors import SYSTEM
from broker.directory.models import Group, Membership, Person
from broker.directory.rules import schedule_rule
from broker.directory.sources import Source, SourceKind, matches
from broker.registry.cache import raise_version
from broker.registry.models import IdentityProvider
from broker.registry.registering.identity_providers import create_identity_provider
from broker.registry.values import BadValue
from provisioning.inbound.models import ScimSource
from provisioning.inbound.sources import create_source
from tests.broker.console.conftest import console, make_operator, sign_in
from tests.broker.directory.sources import fresh, say
from tests.broker.registry.test_admin import ACME, provider_form
from tests.factories import make_identity_provider, make_organisation, make_person
from tests.provisioning.inbound.conftest import Caller, effects, last_entry, make_source

__all__ = ["console", "make_operator", "sign_in"]
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


TAKEN = "hr is, or was, a SCIM source"


@pytest.mark.parametrize("gone", [{}, {"enabled": False}, {"retired_at": timezone.now(), "enabled": False}])
def test_no_identity_provider_is_registered_under_the_slug_of_a_feed(gone):
    """Policies that name the feed's group "hr/Admins" would take the identity provider's for it."""
    source = make_source(slug="hr")
    caller = Caller(source)
    mallory = caller.create("mallory")
    caller.create_group("Admins", mallory["id"])
    ScimSource.objects.filter(pk=source.pk).update(**gone)
    globex = make_organisation(slug="globex", domains=())
    with pytest.raises(BadValue, match=TAKEN):
        create_identity_provider("hr", organisation=globex, actor=SYSTEM, metadata=ACME)
    assert not IdentityProvider.objects.filter(slug="hr").exists()
    [group] = groups_as_policies_see_them(Person.objects.get(pk=mallory["id"]))
    assert group == "hr/Admins"


def test_nor_by_a_file(tmp_path):
    make_source(slug="hr")
    make_organisation(slug="globex", domains=())
    path = tmp_path / "parties.yaml"
    named = {"slug": "hr", "organisation": "globex", "protocol": "saml", "metadata": ACME}
    path.write_text(yaml.safe_dump({"identity_providers": [named]}))
    out = StringIO()
    with pytest.raises((CommandError, SystemExit)):
        call_command("apply", str(path), stdout=out, stderr=out)
    assert TAKEN in out.getvalue()
    assert not IdentityProvider.objects.filter(slug="hr").exists()


def test_nor_on_the_consoles_page(console):
    make_source(slug="hr")
    globex = make_organisation(slug="globex", domains=())
    form = provider_form(slug="hr", organisation=globex.pk)
    page = console.post("/admin/registry/identityprovider/add/", form)
    assert TAKEN in page.content.decode()
    assert not IdentityProvider.objects.filter(slug="hr").exists()


def test_the_word_of_a_file_source_is_not_that_of_an_identity_provider_of_its_name():
    person = make_person()
    say(Source(SourceKind.CSV, "hr"), person, title="Engineer")
    say(Source(SourceKind.IDP, "hr"), person, title="Wizard")
    assert fresh(person).claims["title"] == ["Engineer"]
    assert set(fresh(person).provenance["title"]) == {"csv:hr", "idp:hr"}
    schedule_rule("title", ["idp:hr"], actor=SYSTEM, expected=1)
    assert [matches("idp:hr", one) for one in ("csv:hr", "idp:hr", "scim:hr")] == [False, True, False]


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
