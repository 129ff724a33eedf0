"""Parties in the console: saved through the services, retired rather than deleted, secrets shown once."""

import re
from pathlib import Path
from typing import Any

import pytest
from django.test import Client as Browser

from broker.events.models import Event
from broker.registry.models import Application, Client, ClientSecret, IdentityProvider, Organisation, Resource
from broker.registry.secrets import check_secret
from tests.factories import (
    CLIENT_SECRET,
    link,
    make_application,
    make_client,
    make_identity_provider,
    make_organisation,
    make_person,
)
from tests.rivals import rival_saves_before

SAMPLES = Path(__file__).parents[2] / "samples" / "config"
ACME = (SAMPLES / "acme.xml").read_text()
GLOBEX = (SAMPLES / "globex.xml").read_text()

pytestmark = pytest.mark.django_db


def provider_form(**fields: Any) -> dict[str, Any]:
    return {
        "slug": "acme",
        "name": "Acme",
        "enabled": "on",
        "subject": "name_id",
        "unknown_person": "create",
        "outside_authority": "drop",
        "sign_requests": "on",
        "skew_seconds": "60",
        "pasted_metadata": ACME,
        "home_realm": "acme.example",
    } | fields


def client_form(**fields: Any) -> dict[str, Any]:
    return {
        "client_id": "crm",
        "kind": "sign_on",
        "enabled": "on",
        "authentication": "client_secret_basic",
        "pkce": "required",
        "subject_type": "public",
        "id_token_algorithm": "RS256",
        "enforcement": "enforce",
        "redirect_lines": "https://crm.acme.example/callback",
    } | fields


@pytest.mark.parametrize("model", ["organisation", "identityprovider", "application", "client", "resource", "flow"])
def test_lists_open_for_operators_and_viewers(console: Browser, viewer_console: Browser, model: str) -> None:
    make_client()
    make_identity_provider()

    assert console.get(f"/admin/registry/{model}/").status_code == 200
    assert viewer_console.get(f"/admin/registry/{model}/").status_code == 200


def test_the_form_of_saml_providers_leads_to_the_pages_for_both_protocols(console: Browser) -> None:
    new = "/admin/registry/identityprovider/add/"
    assert 'href="../connect/"' in console.get(new).content.decode()
    identity_provider = make_identity_provider()
    page = console.get(f"/admin/registry/identityprovider/{identity_provider.pk}/change/").content.decode()
    assert "This form is for SAML only" not in page


def test_an_empty_list_says_so_and_offers_only_what_may_be_done(console: Browser, viewer_console: Browser) -> None:
    page = console.get("/admin/registry/application/").content.decode()
    assert "There are no applications yet." in page
    assert "Add application" in page
    assert "Add application" not in viewer_console.get("/admin/registry/application/").content.decode()
    assert "Nothing fits what you look for." in console.get("/admin/registry/application/?q=crm").content.decode()


def test_an_organisation_is_registered_with_the_operators_word_for_its_domains(console: Browser) -> None:
    form = {"slug": "acme", "name": "Acme", "owner": "it@acme.example", "enabled": "on"}

    answer = console.post("/admin/registry/organisation/add/", form | {"domain_names": "Acme.example\nacme.test\n"})

    assert answer.status_code == 302
    domains = Organisation.objects.get().domains.all()
    assert [(one.name, one.proof, one.proved_by) for one in domains] == [
        ("acme.example", "operator", "ada@acme.example"),
        ("acme.test", "operator", "ada@acme.example"),
    ]
    event = Event.objects.get(type="party.created")
    assert (event.actor_kind, event.actor_id, event.subject_id) == ("operator", "ada@acme.example", "acme")
    assert event.trace_id


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("slug", "Acme Corp", "valid"),
        ("slug", "ACME", "is no slug"),
        ("domain_names", "*.acme.example", "is not a domain"),
        ("domain_names", "taken.example", "belongs to the organisation other"),
        ("owner", "nobody", "valid email"),
    ],
)
def test_what_the_service_refuses_is_an_error_of_the_form(console: Browser, field: str, value: str, text: str) -> None:
    make_organisation(slug="other", domains=("taken.example",))
    form = {"slug": "acme", "name": "Acme", "owner": "", "enabled": "on", "domain_names": "acme.example"}

    answer = console.post("/admin/registry/organisation/add/", form | {field: value})

    assert answer.status_code == 200
    assert text in answer.content.decode()
    assert not Organisation.objects.filter(name="Acme", slug__iexact="acme").exists()
    assert not Event.objects.filter(type="party.created").exists()


@pytest.mark.parametrize("insert", [1, 2])
def test_a_name_that_another_operator_takes_meanwhile_is_an_error_of_the_form(console: Browser, insert: int) -> None:
    form = {"slug": "crm", "name": "CRM", "kind": "crm", "owner": "", "home_url": "", "enabled": "on"}

    with rival_saves_before(insert, "registry_application", lambda: make_application(slug="crm", name="Theirs")):
        answer = console.post("/admin/registry/application/add/", form)

    assert answer.status_code == 200
    told = "has just registered one" if insert == 1 else "one with the same slug is registered already"
    assert told in answer.content.decode()
    assert Application.objects.get().name == "Theirs"
    assert not Event.objects.filter(type="party.created").exists()


def test_pasted_metadata_is_read_on_saving(console: Browser) -> None:
    organisation = make_organisation()

    answer = console.post("/admin/registry/identityprovider/add/", provider_form(organisation=organisation.pk))

    assert answer.status_code == 302
    saved = IdentityProvider.objects.get()
    assert (saved.issuer, saved.sso_binding) == ("https://idp.acme.example/saml", "redirect")
    assert len(saved.certificates) == 1
    assert [one.name for one in saved.home_realm_domains.all()] == ["acme.example"]


@pytest.mark.parametrize(
    ("pasted", "text"),
    [("", "needs its metadata"), ("<x/>", "bad metadata"), ("<!DOCTYPE x []>" + ACME, "bad metadata"), ("x", "bad")],
)
def test_bad_metadata_is_an_error_of_the_form(console: Browser, pasted: str, text: str) -> None:
    form = provider_form(organisation=make_organisation().pk, pasted_metadata=pasted)

    answer = console.post("/admin/registry/identityprovider/add/", form)

    assert answer.status_code == 200
    assert text in answer.content.decode()
    assert not IdentityProvider.objects.exists()


def test_new_metadata_replaces_the_old_and_an_empty_box_keeps_it(console: Browser) -> None:
    console.post("/admin/registry/identityprovider/add/", provider_form(organisation=make_organisation().pk))
    page = f"/admin/registry/identityprovider/{IdentityProvider.objects.get().pk}/change/"

    console.post(page, provider_form(pasted_metadata="", name="Renamed"))
    kept = IdentityProvider.objects.get()
    console.post(page, provider_form(pasted_metadata=GLOBEX, name="Renamed"))

    assert (kept.name, kept.issuer) == ("Renamed", "https://idp.acme.example/saml")
    assert IdentityProvider.objects.get().issuer == "https://idp.globex.example/saml"
    changes = [event.details["after"] for event in Event.objects.filter(type="party.changed").order_by("id")]
    assert changes[0] == {"name": "Renamed"}
    assert changes[1]["issuer"] == "https://idp.globex.example/saml"


def test_the_list_shows_the_days_left_of_a_certificate_and_the_last_sign_on(console: Browser) -> None:
    provider = make_identity_provider(
        certificates=[{"der": "", "subject": "CN=x", "fingerprint": "ab", "not_after": "2020-01-01T00:00:00+00:00"}]
    )
    link(make_person(organisation=provider.organisation), provider, "alice")

    body = console.get("/admin/registry/identityprovider/").content.decode()

    assert re.search(r"2020-01-01 \(ended \d+ days ago\)", body)
    assert console.get(f"/admin/registry/identityprovider/{provider.pk}/change/").status_code == 200


def test_a_new_client_gets_a_secret_that_is_shown_once(console: Browser) -> None:
    form = client_form(application=make_application().pk)

    answer = console.post("/admin/registry/client/add/", form)

    (secret,) = re.findall(r"cs_[\w-]{43}", answer.content.decode())
    client = Client.objects.get()
    check_secret(client, secret)
    page = console.get(f"/admin/registry/client/{client.pk}/change/").content.decode()
    assert secret not in page
    assert ClientSecret.objects.get().secret_hash not in page


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"redirect_lines": "https://crm.acme.example/#x"}, "has a fragment"),
        ({"redirect_lines": "http://crm.acme.example/"}, "must begin with https"),
        ({"redirect_lines": ""}, "at least one redirect URI"),
        ({"application": ""}, "belongs to an application"),
        ({"client_id": "a b"}, "is no client_id"),
    ],
)
def test_a_bad_client_is_refused_on_the_form(console: Browser, fields: dict[str, str], text: str) -> None:
    answer = console.post("/admin/registry/client/add/", client_form(application=make_application().pk) | fields)

    assert answer.status_code == 200
    assert text in answer.content.decode()
    assert not Client.objects.exists()
    assert not ClientSecret.objects.exists()


def test_a_further_secret_is_asked_for_and_then_shown_and_the_older_one_can_be_ended(console: Browser) -> None:
    client = make_client()
    page = f"/admin/registry/client/{client.pk}"

    asked = console.get(f"{page}/rotate-secret/")
    (secret,) = re.findall(
        r"cs_[\w-]{43}", console.post(f"{page}/rotate-secret/", {"overlap_days": 30}).content.decode()
    )
    check_secret(Client.objects.get(pk=client.pk), CLIENT_SECRET)
    console.post(f"{page}/end-older-secrets/")

    assert "cs_" not in asked.content.decode().replace("cs-", "")
    check_secret(Client.objects.get(pk=client.pk), secret)
    assert client.secrets.filter(expires_at=None).count() == 1


def test_a_resource_is_registered_with_its_scopes(console: Browser) -> None:
    form = {
        "identifier": "https://erp.acme.example/api",
        "token_algorithm": "RS256",
        "token_lifetime": "600",
        "scope_lines": "invoices.read Read invoices\ninvoices.write",
    }

    assert console.post("/admin/registry/resource/add/", form).status_code == 302
    assert Resource.objects.get().scopes == {"invoices.read": "Read invoices", "invoices.write": ""}


def test_retiring_asks_first_and_ends_the_application_with_its_client(console: Browser) -> None:
    client = make_client()
    page = f"/admin/registry/application/{client.application.pk}/retire/"

    assert "Retire CRM?" in console.get(page).content.decode()
    assert Application.objects.get().retired_at is None
    assert console.post(page).status_code == 302

    assert Application.objects.get().retired_at is not None
    assert Client.objects.get().retired_at is not None
    assert Event.objects.filter(type="party.retired").count() == 2


def test_an_organisation_with_identity_providers_is_not_retired(console: Browser) -> None:
    provider = make_identity_provider()
    page = f"/admin/registry/organisation/{provider.organisation.pk}/retire/"

    answer = console.post(page, follow=True)

    assert f"identity providers still belong to it: {provider.slug}" in answer.content.decode()
    assert Organisation.objects.get().retired_at is None


def test_nothing_is_deleted_by_hand(console: Browser) -> None:
    client = make_client()

    assert console.post(f"/admin/registry/client/{client.pk}/delete/", {"post": "yes"}).status_code == 403
    assert Client.objects.exists()


@pytest.mark.parametrize("page", ["change/", "retire/", "rotate-secret/", "end-older-secrets/"])
def test_a_viewer_changes_nothing(viewer_console: Browser, page: str) -> None:
    client = make_client()

    answer = viewer_console.post(f"/admin/registry/client/{client.pk}/{page}", client_form())

    assert answer.status_code in (302, 403)
    assert Client.objects.get().retired_at is None
    assert ClientSecret.objects.count() == 1
    assert not Event.objects.filter(actor_id="vic@acme.example", type__startswith="party").exists()


def test_a_viewer_sees_what_the_form_would_show(viewer_console: Browser) -> None:
    client = make_client()
    provider = make_identity_provider(home_realm_domains=("acme.example",))

    assert (
        "https://crm.example/callback"
        in viewer_console.get(f"/admin/registry/client/{client.pk}/change/").content.decode()
    )
    assert (
        "acme.example" in viewer_console.get(f"/admin/registry/identityprovider/{provider.pk}/change/").content.decode()
    )


def test_a_retired_party_cannot_be_changed(console: Browser) -> None:
    client = make_client()
    console.post(f"/admin/registry/client/{client.pk}/retire/")

    answer = console.post(f"/admin/registry/client/{client.pk}/change/", client_form(enabled="on"))

    assert answer.status_code == 403
    assert Client.objects.get().enabled is False
