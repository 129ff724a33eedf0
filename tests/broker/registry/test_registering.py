"""The services that write parties: one transaction, one event, the version raised, and nothing when nothing differs."""

from pathlib import Path

import pytest
from django.db import transaction

from broker.actors import SYSTEM
from broker.events.models import Event
from broker.registry.cache import parties
from broker.registry.models import Client, Domain, IdentityProvider, Organisation, RegistryVersion
from broker.registry.registering.applications import (
    change_service_provider,
    create_application,
    create_service_provider,
    retire_application,
)
from broker.registry.registering.clients import change_client, create_client
from broker.registry.registering.identity_providers import (
    change_identity_provider,
    create_identity_provider,
    retire_identity_provider,
)
from broker.registry.registering.organisations import (
    change_organisation,
    create_organisation,
    retire_organisation,
)
from broker.registry.registering.resources import create_resource
from broker.registry.services import find_client, find_home_realm, find_identity_provider, proved_domains
from broker.registry.values import BadValue
from tests.factories import make_application, make_client, make_identity_provider, make_organisation

SAMPLES = Path(__file__).parents[2] / "samples" / "config"
ACME = (SAMPLES / "acme.xml").read_text()
ERP = (SAMPLES / "erp-sp.xml").read_text()

pytestmark = pytest.mark.django_db


def version() -> int:
    return RegistryVersion.objects.values_list("number", flat=True).get()


def test_a_change_is_seen_by_those_who_remember_parties() -> None:
    provider = make_identity_provider(home_realm_domains=("acme.example",))
    assert find_home_realm("acme.example") is not None

    change_identity_provider(provider, actor=SYSTEM, enabled=False)

    assert find_home_realm("acme.example") is None


def test_every_kind_of_write_raises_the_version() -> None:
    organisation = create_organisation("acme", actor=SYSTEM, domains=["acme.example"])
    seen = [version()]
    change_organisation(organisation, actor=SYSTEM, domains=["acme.example", "acme.test"])
    seen.append(version())
    assert proved_domains(organisation.pk) == {"acme.example", "acme.test"}
    provider = create_identity_provider("acme", organisation=organisation, actor=SYSTEM, metadata=ACME)
    seen.append(version())
    retire_identity_provider(provider, actor=SYSTEM)
    seen.append(version())
    retire_organisation(organisation, actor=SYSTEM)
    seen.append(version())

    assert seen == sorted(set(seen))
    assert find_identity_provider("acme") is None


def test_a_change_that_changes_nothing_writes_nothing() -> None:
    organisation = create_organisation("acme", actor=SYSTEM, name="Acme", domains=["acme.example"])
    before = (version(), Event.objects.count())

    change_organisation(organisation, actor=SYSTEM, name="Acme", domains=["ACME.example", "acme.example"])

    assert (version(), Event.objects.count()) == before


def test_what_fails_leaves_neither_row_nor_event() -> None:
    make_organisation(slug="other", domains=("taken.example",))
    events = Event.objects.count()

    with pytest.raises(BadValue, match=r"taken\.example belongs to the organisation other"):
        create_organisation("acme", actor=SYSTEM, domains=["acme.example", "taken.example"])

    assert not Organisation.objects.filter(slug="acme").exists()
    assert not Domain.objects.filter(name="acme.example").exists()
    assert Event.objects.count() == events


def test_a_slug_is_taken_while_its_party_lives_and_free_afterwards() -> None:
    first = create_organisation("acme", actor=SYSTEM)
    with pytest.raises(BadValue), transaction.atomic():
        create_organisation("acme", actor=SYSTEM)

    retire_organisation(first, actor=SYSTEM)

    assert create_organisation("acme", actor=SYSTEM).pk != first.pk


def test_a_retired_identity_provider_that_comes_back_has_another_key() -> None:
    organisation = create_organisation("acme", actor=SYSTEM)
    first = create_identity_provider(
        "acme", organisation=organisation, actor=SYSTEM, metadata=ACME, home_realm_domains=["acme.example"]
    )
    retire_identity_provider(first, actor=SYSTEM)

    second = create_identity_provider(
        "acme", organisation=organisation, actor=SYSTEM, metadata=ACME, home_realm_domains=["acme.example"]
    )

    assert second.pk != first.pk
    assert IdentityProvider.objects.count() == 2


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"skew_seconds": 181}, "skew_seconds"),
        ({"unknown_person": "ask"}, "unknown_person"),
        ({"outside_authority": "allow"}, "outside_authority"),
        ({"match_claim": "employee_id"}, "a match names both"),
        ({"match_claim": "email", "match_person": "email"}, "not by email"),
        ({"subject": "email"}, "subject rule"),
        ({"metadata_url": "http://idp.acme.example/"}, "https"),
        ({"metadata": "<x/>"}, "bad metadata"),
        ({"home_realm_domains": ["x"]}, "is not a domain"),
    ],
)
def test_an_identity_provider_is_judged_whoever_calls(fields: dict[str, object], text: str) -> None:
    organisation = make_organisation()
    with pytest.raises(BadValue, match=text):
        create_identity_provider("acme", organisation=organisation, actor=SYSTEM, **{"metadata": ACME} | fields)

    assert not IdentityProvider.objects.exists()


def test_an_e_mail_domain_leads_to_one_identity_provider() -> None:
    make_identity_provider(home_realm_domains=("acme.example",))

    with pytest.raises(BadValue, match=r"acme\.example leads to"):
        change_identity_provider(make_identity_provider(), actor=SYSTEM, home_realm_domains=["acme.example"])


def test_an_application_with_integration_clients_is_not_retired() -> None:
    client = make_client(kind="service")

    with pytest.raises(BadValue, match=client.client_id):
        retire_application(client.application, actor=SYSTEM)


def test_a_retired_application_takes_its_faces_with_it_and_frees_their_names() -> None:
    application = create_application("erp", actor=SYSTEM)
    create_service_provider(application, actor=SYSTEM, metadata=ERP)
    client = make_client(application=application, client_id="erp")
    assert find_client("erp") is not None

    retire_application(application, actor=SYSTEM)

    client.refresh_from_db()
    assert client.retired_at is not None
    assert find_client("erp") is None
    other = create_application("erp", actor=SYSTEM)
    assert create_service_provider(other, actor=SYSTEM, metadata=ERP).entity_id == "https://erp.acme.example/saml"


def test_the_entity_id_of_a_saml_face_belongs_to_one_application() -> None:
    create_service_provider(make_application(), actor=SYSTEM, metadata=ERP)
    other = make_application()
    with pytest.raises(BadValue, match="Entity id"):
        create_service_provider(other, actor=SYSTEM, metadata=ERP)


def test_new_metadata_of_a_saml_face_brings_its_entity_id() -> None:
    face = create_service_provider(make_application(), actor=SYSTEM, metadata=ERP)

    changed = change_service_provider(face, actor=SYSTEM, metadata=ERP.replace('/saml"', '/saml2"'))

    assert changed.entity_id == "https://erp.acme.example/saml2"


def test_an_application_has_one_client_for_sign_on() -> None:
    client = make_client()

    with pytest.raises(BadValue):
        create_client(
            "second",
            kind=Client.Kind.SIGN_ON,
            actor=SYSTEM,
            application=client.application,
            redirect_uris=["https://crm.acme.example/"],
        )


def test_a_client_for_sign_on_keeps_a_redirect_uri() -> None:
    with pytest.raises(BadValue, match="at least one redirect URI"):
        change_client(make_client(), actor=SYSTEM, redirect_uris=[])


def test_names_longer_than_the_books_column_stand_there_as_a_digest() -> None:
    create_resource(f"urn:{'a' * 400}", actor=SYSTEM)

    assert Event.objects.get().subject_id.startswith("sha256:")


def test_memories_are_forgotten_when_the_version_rises() -> None:
    calls: list[int] = []
    parties.get("probe", lambda: calls.append(1))
    create_organisation("acme", actor=SYSTEM)
    parties.get("probe", lambda: calls.append(1))

    assert len(calls) == 2
