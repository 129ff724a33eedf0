"""The wizard: from what an identity provider publishes to a connection that is tested and enabled, in one go."""

import json
import re
from contextlib import AbstractContextManager
from html import unescape
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client as DjangoClient

from broker import limits
from broker.directory.models import Person
from broker.events.models import Event
from broker.registry.models import IdentityProvider, Organisation
from federation.claims.models import ClaimMapping
from tests.broker.console.conftest import console, make_operator, sign_in, viewer_console
from tests.factories import make_application, make_client, make_identity_provider, make_keys, make_organisation
from tests.fakes.fake_idp import FakeIdentityProvider
from tests.fakes.fake_op import CLIENT_ID, CLIENT_SECRET
from tests.fakes.server import Server, saying, serving
from tests.flows.conftest import fake_op
from tests.flows.openid_stage import OpenIDCompany
from tests.flows.stage import ATTRIBUTES, REDIRECT_URI, Browser, Company, answer_of
from tests.rivals import rival_saves_before

__all__ = ["console", "fake_op", "make_operator", "sign_in", "viewer_console"]
pytestmark = pytest.mark.django_db
NEW = "/admin/connections/new/"
SAVE = "/admin/connections/new/save/"


@pytest.fixture
def fake() -> FakeIdentityProvider:
    return FakeIdentityProvider(
        "https://idp.acme.example/saml", sso_url="https://idp.acme.example/sso", scopes=["acme.example"]
    )


def fields_of(page: Any) -> dict[str, str]:
    """What the form in a page would send if nobody touched it, as a browser reads it."""
    html = page.content.decode()
    form = html[html.index('action="/admin/connections/new/save/"') :]
    form = form[: form.index("</form>")]
    found = {}
    for tag in re.findall(r"<input[^>]*>", form):
        name, value = re.search(r'name="([^"]+)"', tag), re.search(r'value="([^"]*)"', tag)
        if name:
            found[name[1]] = unescape(value[1]) if value else ""
    for name, text in re.findall(r'<textarea[^>]*name="([^"]+)"[^>]*>(.*?)</textarea>', form, re.DOTALL):
        found[name] = unescape(text).removeprefix("\r\n").removeprefix("\n")
    for name, options in re.findall(r'<select[^>]*name="([^"]+)"[^>]*>(.*?)</select>', form, re.DOTALL):
        values = re.findall(r'<option value="([^"]*)"( selected)?', options)
        found[name] = next((value for value, selected in values if selected), values[0][0])
    found.pop("csrfmiddlewaretoken", None)
    return found


def publishing(body: str, status: str = "200 OK") -> AbstractContextManager[Server]:
    raw = body.encode()
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(raw)}\r\nConnection: close\r\n\r\n"
    return serving(saying(head.encode() + raw))


def test_from_metadata_to_a_sign_on_in_one_go(console, fake):
    """Paste, look, save, test, enable; then an application's person signs on, without a restart."""
    make_keys()
    client = make_client(application=make_application(release=("email",)), redirect_uris=[REDIRECT_URI])
    preview = console.post(NEW, {"pasted": fake.metadata()})
    text = preview.content.decode()
    for shown in (fake.entity_id, fake.sso_url, "acme.example", "days left", "sign-on by redirect".capitalize()):
        assert shown in text
    assert not IdentityProvider.objects.exists()
    fields = fields_of(preview)
    assert (fields["slug"], fields["domains"], fields["home_realm"]) == ("acme", "acme.example", "acme.example")
    saved = console.post(SAVE, fields | {"name": "Acme", "new_organisation_name": "Acme Ltd"})
    assert (saved.status_code, saved["Location"]) == (302, "/admin/connections/acme/test/")
    identity_provider = IdentityProvider.objects.get()
    assert not identity_provider.enabled
    assert (identity_provider.organisation.slug, identity_provider.organisation.name) == ("acme", "Acme Ltd")
    assert [one.name for one in identity_provider.organisation.domains.all()] == ["acme.example"]
    assert not ClaimMapping.objects.exists()

    company, browser = Company(identity_provider, fake, client), Browser(console)
    test_page = browser.get(saved["Location"]).content.decode()
    for told in (company.audience, company.acs_url):
        assert told in test_page
    address = re.search(r'href="([^"]*/signon/test\?flow=[^"]+)"', test_page)
    assert address
    result = company.answer(browser, browser.get(address[1]), attributes=ATTRIBUTES)
    assert "The test passed." in result.content.decode()
    assert "Enable it" in result.content.decode()
    assert not Person.objects.exists()
    enabled = console.post("/admin/connections/acme/enable/")
    assert enabled["Location"].startswith("/admin/registry/identityprovider/")
    answer_of(company.sign_on(Browser(), attributes=ATTRIBUTES))
    assert Person.objects.count() == 1
    events = Event.objects.filter(type__in=["party.created", "party.changed", "connection.tested"]).order_by("id")
    assert {(event.actor_kind, event.actor_id) for event in events} == {("operator", "ada@acme.example")}
    assert [(event.type, event.subject_kind) for event in events] == [
        ("party.created", "organisation"),
        ("party.created", "identity_provider"),
        ("connection.tested", ""),
        ("party.changed", "identity_provider"),
    ]


def test_from_a_discovery_document_to_a_sign_on_in_one_go(console, fake_op):
    """The same steps for an OpenID provider, by the address of its document."""
    make_keys()
    client = make_client(application=make_application(release=("email",)), redirect_uris=[REDIRECT_URI])
    preview = console.post(NEW, {"address": f"{fake_op.issuer}/.well-known/openid-configuration"})
    text = preview.content.decode()
    for shown in ("OpenID Connect", fake_op.issuer, "RS256"):
        assert shown in text
    fields = fields_of(preview) | {"slug": "globex", "name": "Globex", "new_organisation_slug": "globex"}
    fields |= {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "domains": "globex.example"}
    assert fields["subject"] == "sub"
    saved = console.post(SAVE, fields)
    assert (saved.status_code, saved["Location"]) == (302, "/admin/connections/globex/test/")
    identity_provider = IdentityProvider.objects.get()
    assert (identity_provider.protocol, identity_provider.issuer, identity_provider.enabled) == (
        "oidc",
        fake_op.issuer,
        False,
    )
    company, browser = OpenIDCompany(identity_provider, fake_op, client), Browser(console)
    test_page = browser.get(saved["Location"]).content.decode()
    assert company.callback_url in test_page
    address = re.search(r'href="([^"]*/signon/test\?flow=[^"]+)"', test_page)
    assert address
    result = company.answer(browser, browser.get(address[1])).content.decode()
    assert "The test passed." in result
    assert not Person.objects.exists()
    console.post("/admin/connections/globex/enable/")
    assert answer_of(company.sign_on(Browser()))["code"]
    assert CLIENT_SECRET not in str(list(Event.objects.values_list("details", flat=True)))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"client_id": ""}, "required"),
        ({"client_secret": ""}, "needs our client secret"),
        ({"subject": "name_id"}, "has no NameID"),
        ({"subject": "attribute: email"}, "no subject"),
    ],
)
def test_what_is_missing_of_an_openid_provider_is_an_error_of_the_form(console, fake_op, changes, told):
    preview = console.post(NEW, {"address": f"{fake_op.issuer}/.well-known/openid-configuration"})
    fields = fields_of(preview) | {"slug": "globex", "name": "Globex", "new_organisation_slug": "globex"}
    page = console.post(SAVE, fields | {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET} | changes)
    assert told in unescape(page.content.decode())
    assert CLIENT_SECRET not in page.content.decode()
    assert not IdentityProvider.objects.exists()
    assert not Organisation.objects.exists()


def test_an_uploaded_file_is_read_like_pasted_text(console, fake):
    upload = SimpleUploadedFile("metadata.xml", b"\xef\xbb\xbf" + fake.metadata().encode())
    assert fields_of(console.post(NEW, {"upload": upload}))["metadata"] == fake.metadata()


def test_metadata_is_fetched_from_its_address_which_is_kept(console, fake, settings):
    settings.OUTGOING_NETWORKS = ["127.0.0.0/8"]
    with publishing(fake.metadata()) as server:
        address = f"http://127.0.0.1:{server.port}/metadata"
        fields = fields_of(console.post(NEW, {"address": address}))
    assert fields["metadata_url"] == address
    console.post(SAVE, fields)
    saved = IdentityProvider.objects.get()
    assert (saved.metadata_url, saved.metadata) == (address, fake.metadata())


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "exactly one of the three"),
        ({"pasted": "<x/>", "address": "https://idp.example/"}, "exactly one of the three"),
        ({"pasted": "<x/>"}, "(saml.metadata)"),
        ({"pasted": "nothing"}, "(saml.metadata)"),
        ({"pasted": "<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>"}, "(saml.metadata)"),
        ({"address": "idp.acme.example"}, "is not an absolute URL"),
        ({"address": "http://idp.acme.example/metadata"}, "must begin with https://"),
        ({"address": "https://127.0.0.1/metadata"}, "(outgoing.refused)"),
        ({"address": "https://[::1]/metadata"}, "(outgoing.refused)"),
        ({"address": "https://169.254.169.254/.well-known/openid-configuration"}, "cannot be fetched"),
    ],
)
def test_what_cannot_be_read_is_an_error_of_the_form(console, given, told):
    page = console.post(NEW, given)
    assert page.status_code == 200
    assert told in unescape(page.content.decode())
    assert "Save and test" not in page.content.decode()


def test_a_file_that_is_no_text_or_too_large_is_an_error_of_the_form(console):
    for raw, told in ((b"\xff\xfe<\x00", "not UTF-8"), (b" " * (limits.SAML_METADATA_BYTES + 1), "more than")):
        page = console.post(NEW, {"upload": SimpleUploadedFile("metadata.xml", raw)})
        assert told in page.content.decode()


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        ("gone", "404 Not Found", "answers 404"),
        ("<html/>", "200 OK", "(saml.metadata)"),
        (json.dumps({"issuer": "x"}), "200 OK", "openid-configuration"),
    ],
)
def test_an_address_that_answers_something_else_is_an_error_of_the_form(console, settings, body, status, told):
    settings.OUTGOING_NETWORKS = ["127.0.0.0/8"]
    with publishing(body, status) as server:
        page = console.post(NEW, {"address": f"http://127.0.0.1:{server.port}/metadata"})
    assert told in page.content.decode()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"slug": "Acme Corp"}, "is no slug"),
        ({"slug": "taken"}, "is registered already"),
        ({"slug": ""}, "required"),
        ({"new_organisation_slug": ""}, "is no slug"),
        ({"domains": "*.acme.example"}, "is not a domain"),
        ({"domains": "taken.example"}, "belongs to the organisation other"),
        ({"home_realm": "led.example"}, "leads to the identity provider"),
        ({"subject": "sub"}, "has no sub"),
        ({"subject": "e-mail"}, "is no subject rule"),
        ({"claim_email": "mail, \x07bell"}, "is no attribute name"),
    ],
)
def test_what_a_service_refuses_is_an_error_of_the_form_and_nothing_is_saved(console, fake, changes, told):
    other = make_organisation(slug="other", domains=("taken.example",))
    make_identity_provider(slug="taken", organisation=other, home_realm_domains=("led.example",))
    page = console.post(SAVE, fields_of(console.post(NEW, {"pasted": fake.metadata()})) | changes)
    assert page.status_code == 200
    assert told in unescape(page.content.decode())
    assert IdentityProvider.objects.count() == 1
    assert Organisation.objects.count() == 1
    assert not Event.objects.filter(type__startswith="party.").exists()
    assert fake.entity_id in page.content.decode()


@pytest.mark.parametrize("insert", [1, 2])
def test_a_name_that_another_operator_takes_meanwhile_is_an_error_of_the_form(console, fake, insert):
    other = make_organisation(slug="other", domains=())
    form = fields_of(console.post(NEW, {"pasted": fake.metadata()}))
    slug = form["slug"]
    with rival_saves_before(
        insert, "registry_identityprovider", lambda: make_identity_provider(slug=slug, organisation=other)
    ):
        page = console.post(SAVE, form)
    assert page.status_code == 200
    assert "has just registered" in page.content.decode()
    assert IdentityProvider.objects.get().organisation == other


def test_an_organisation_that_is_registered_keeps_its_domains_and_gets_the_new_ones(console, fake):
    held = make_organisation(slug="acme", domains=("acme.example", "acme.test"))
    fields = fields_of(console.post(NEW, {"pasted": fake.metadata()}))
    assert fields["organisation"] == str(held.pk)
    console.post(SAVE, fields | {"domains": "acme.example\nacme.org"})
    assert [one.name for one in held.domains.all()] == ["acme.example", "acme.org", "acme.test"]
    assert IdentityProvider.objects.get().organisation == held


def test_only_changed_lines_of_the_mapping_are_kept(console, fake):
    fields = fields_of(console.post(NEW, {"pasted": fake.metadata()}))
    assert fields["claim_email"].startswith("urn:oid:0.9.2342.19200300.100.1.3, ")
    console.post(SAVE, fields | {"claim_groups": "Gruppen, groups", "claim_title": ""})
    assert ClaimMapping.objects.get().claims == {"groups": ["Gruppen", "groups"]}


def test_an_issuer_that_is_registered_already_is_shown_as_odd(console, fake):
    make_identity_provider(slug="first", issuer=fake.entity_id)
    page = console.post(NEW, {"pasted": fake.metadata()})
    assert "The identity provider first has the same issuer." in page.content.decode()


def test_metadata_that_was_changed_on_the_way_is_judged_again(console, fake):
    fields = fields_of(console.post(NEW, {"pasted": fake.metadata()}))
    answer = console.post(SAVE, fields | {"metadata": "<x/>"})
    assert (answer.status_code, answer["Location"]) == (302, NEW)
    assert not IdentityProvider.objects.exists()


def test_metadata_as_large_as_others_publish_it_goes_through(console, fake):
    """Above what other forms may hold."""
    large = fake.metadata(comment="x" * 3 * limits.FORM_BYTES)
    fields = fields_of(console.post(NEW, {"pasted": large}))
    assert console.post(SAVE, fields).status_code == 302
    body = {"pasted": "x" * (limits.CONSOLE_POST_BYTES + 1)}
    assert console.post(NEW, body).status_code == 413


def test_viewers_connect_and_enable_nothing(viewer_console, fake):
    make_identity_provider(slug="acme", enabled=False)
    for answer in (
        viewer_console.get(NEW),
        viewer_console.post(NEW, {"pasted": fake.metadata()}),
        viewer_console.post(SAVE, {"metadata": fake.metadata()}),
        viewer_console.post("/admin/connections/acme/enable/"),
    ):
        assert answer.status_code == 403
    assert not IdentityProvider.objects.get().enabled


def test_strangers_are_sent_to_the_sign_in_and_foreign_forms_change_nothing(console, fake):
    make_identity_provider(slug="acme", enabled=False)
    assert DjangoClient().post("/admin/connections/acme/enable/")["Location"].startswith("/admin/login/")
    forged = DjangoClient(enforce_csrf_checks=True)
    forged.cookies = console.cookies
    assert forged.post("/admin/connections/acme/enable/").status_code == 403
    assert not IdentityProvider.objects.get().enabled
    assert console.get("/admin/connections/acme/enable/").status_code == 405
    assert console.post("/admin/connections/nobody/enable/").status_code == 404


def test_the_list_and_the_page_of_a_provider_lead_here(console):
    identity_provider = make_identity_provider(slug="acme")
    assert "/connect" in console.get("/admin/registry/identityprovider/").content.decode()
    assert console.get("/admin/registry/identityprovider/connect/")["Location"] == NEW
    page = console.get(f"/admin/registry/identityprovider/{identity_provider.pk}/change/").content.decode()
    link = re.search(rf'href="([^"]*{identity_provider.pk}/test[^"]*)"', page)
    assert link
    assert console.get(link[1])["Location"] == "/admin/connections/acme/test/"
