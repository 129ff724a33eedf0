"""Registering OpenID providers: by service, by file and in the console; their secret, and their document each hour."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings as django_settings
from django.test import Client as Browser
from django.utils import timezone

from broker import limits
from broker.actors import SYSTEM
from broker.errors import BrokerError
from broker.events.models import Event
from broker.notify.secrets import secrets_of
from broker.notify.services import create_subscription
from broker.operations.configuration import apply_configuration, plan_configuration, read_configuration
from broker.operations.export import export_configuration
from broker.operations.plan_report import problem_lines
from broker.operations.plans import BadConfiguration, Outcome
from broker.registry.doctor import check_parties
from broker.registry.models import IdentityProvider, RegistryVersion
from broker.registry.openid import discovery_of
from broker.registry.registering.identity_providers import (
    change_identity_provider,
    create_identity_provider,
    retire_identity_provider,
)
from broker.registry.registering.openid_providers import refresh_due_discoveries
from broker.registry.tasks import refresh_discoveries, reseal_secrets
from broker.registry.upstream_secrets import reseal_upstream_secrets, upstream_secret
from broker.registry.values import BadValue
from provisioning.outbound.credentials import credential_of
from provisioning.outbound.registering import create_target
from tests.factories import make_application, make_identity_provider, make_organisation
from tests.fakes.fake_op import CLIENT_ID, CLIENT_SECRET, FakeOpenIDProvider, http, running
from tests.flows.openid_stage import register

pytestmark = pytest.mark.django_db
OTHER_SECRET = "another-canary-secret-0123456789"


@pytest.fixture
def fake_op(settings):
    settings.OUTGOING_NETWORKS = ["127.0.0.0/8"]
    settings.OUTGOING_PROXY = ""
    with running() as provider:
        yield provider


def everything() -> str:
    rows = (model._base_manager.values_list() for model in apps.get_models(include_auto_created=True))
    return "\n".join(repr(row) for found in rows for row in found)


# By service -----------------------------------------------------------------------------------------------------------


def test_a_provider_is_registered_with_honest_defaults(fake_op):
    row = register(fake_op)
    assert (row.protocol, row.issuer, row.subject) == ("oidc", fake_op.issuer, "sub")
    assert (row.authentication, row.assertion_audience) == ("client_secret_basic", "issuer")
    assert row.scopes == ["openid", "profile", "email"]
    assert discovery_of(row).token_endpoint == f"{fake_op.issuer}/token"
    assert row.discovered_at is not None


def test_our_secret_is_sealed_and_stands_nowhere_in_clear(fake_op):
    row = register(fake_op)
    assert upstream_secret(row) == CLIENT_SECRET
    stored = everything()
    assert row.client_secret_sealed in stored
    assert CLIENT_SECRET not in stored
    created = Event.objects.get(type="party.created", subject_kind="identity_provider")
    assert created.details["after"]["client_secret"] == "(another secret)"
    assert "client_secret_sealed" not in created.details["after"]


def test_a_sealed_secret_opens_in_its_own_row_only(fake_op):
    row, other = register(fake_op), register(fake_op, "initech")
    other.client_secret_sealed = row.client_secret_sealed
    with pytest.raises(BrokerError) as caught:
        upstream_secret(other)
    assert caught.value.code == "oidc.not_registered"


def test_the_same_secret_again_is_no_change_and_another_one_is_told_without_it(fake_op):
    row = register(fake_op)
    before = Event.objects.count()
    change_identity_provider(row, actor=SYSTEM, client_secret=CLIENT_SECRET)
    assert Event.objects.count() == before
    changed = change_identity_provider(row, actor=SYSTEM, client_secret=OTHER_SECRET)
    assert upstream_secret(changed) == OTHER_SECRET
    event = Event.objects.latest("pk")
    assert event.details == {
        "before": {"client_secret": "(the secret that is registered)"},
        "after": {"client_secret": "(another secret)"},
    }


def test_secrets_move_to_the_newest_master_key_and_one_that_does_not_open_is_left(fake_op, settings):
    row, broken = register(fake_op), register(fake_op, "initech")
    IdentityProvider.objects.filter(pk=broken.pk).update(client_secret_sealed="k1.AAAA")
    settings.BROKER_MASTER_KEYS = {"k2": bytes(range(1, 33)), **django_settings.BROKER_MASTER_KEYS}
    version = RegistryVersion.objects.get().number
    assert reseal_upstream_secrets() == 1
    row.refresh_from_db()
    assert row.client_secret_sealed.startswith("k2.")
    assert upstream_secret(row) == CLIENT_SECRET
    assert RegistryVersion.objects.get().number > version
    assert reseal_upstream_secrets() == 0


def test_the_scheduler_lets_go_of_older_master_keys_for_every_room_that_keeps_secrets(fake_op, settings):
    row = register(fake_op)
    webhook, told = create_subscription(
        "siem", actor=SYSTEM, owner="soc@acme.example", url="https://siem.acme.example/in", types=["person.*"]
    )
    target = create_target(
        "accounts",
        application=make_application(),
        actor=SYSTEM,
        owner="it@acme.example",
        base_url="https://crm.acme.example/scim/v2",
        credential="the-targets-own-bearer-token",
        scope={"everyone": True},
    )
    settings.BROKER_MASTER_KEYS = {"k2": bytes(range(1, 33)), **django_settings.BROKER_MASTER_KEYS}
    assert reseal_secrets() == 3
    settings.BROKER_MASTER_KEYS = {"k2": bytes(range(1, 33))}
    for one in (row, webhook, target):
        one.refresh_from_db()
    assert upstream_secret(row) == CLIENT_SECRET
    assert secrets_of(webhook, now=timezone.now()) == [told]
    assert credential_of(target) == "the-targets-own-bearer-token"
    assert reseal_secrets.name in {one["task"] for one in django_settings.CELERY_BEAT_SCHEDULE.values()}
    assert reseal_secrets() == 0


BAD = {
    "no client_id": ({"client_id": ""}, "no client_id"),
    "a client_id with a space": ({"client_id": "a b"}, "no client_id"),
    "our own issuer as client_id": ({"client_id": "http://localhost:8000"}, "our own issuer"),
    "no document": ({"discovery": None}, "needs its discovery"),
    "no secret": ({"client_secret": None}, "needs our client secret"),
    "a short secret": ({"client_secret": "1234567"}, "8 to 512"),
    "a long secret": ({"client_secret": "x" * 513}, "8 to 512"),
    "an unknown authentication": ({"authentication": "tls_client_auth"}, "authentication"),
    "an unknown audience": ({"assertion_audience": "anybody"}, "assertion_audience"),
    "no openid among the scopes": ({"scopes": ["profile"]}, "must hold openid"),
    "a scope with a space": ({"scopes": ["openid", "e mail"]}, "is no scope"),
    "a NameID": ({"subject": "name_id"}, "has no NameID"),
    "an e-mail as subject": ({"subject": "attribute: email"}, "can become another person's"),
    "a name as subject": ({"subject": "attribute: preferred_username"}, "can become another person's"),
    "a principal name as subject": ({"subject": "attribute: upn with tid"}, "can become another person's"),
    "SAML metadata": ({"metadata": "<x/>"}, "has no meaning for oidc"),
    "an entityID": ({"entity_id_override": "x"}, "has no meaning for oidc"),
    "an issuer with a query": ({"issuer": "https://a.example/?x"}, "is no issuer"),
    "an issuer in plain http": ({"issuer": "http://a.example"}, "must begin with https"),
}


@pytest.mark.parametrize(("fields", "text"), BAD.values(), ids=BAD.keys())
def test_what_could_not_sign_anybody_on_is_not_registered(fake_op, fields, text):
    with pytest.raises(BadValue, match=text):
        register(fake_op, **fields)
    assert not IdentityProvider.objects.exists()


def test_openid_fields_have_no_meaning_for_saml(fake_op):
    saml = make_identity_provider()
    for fields in ({"client_id": "x"}, {"client_secret": OTHER_SECRET}, {"scopes": ["openid"]}):
        with pytest.raises(BadValue, match="has no meaning for saml"):
            change_identity_provider(saml, actor=SYSTEM, **fields)
    with pytest.raises(BadValue, match="has no sub"):
        change_identity_provider(saml, actor=SYSTEM, subject="sub")
    with pytest.raises(BadValue, match="needs its metadata"):
        create_identity_provider("x", organisation=saml.organisation, actor=SYSTEM)


def test_another_issuer_does_not_keep_the_endpoints_of_the_first(fake_op):
    row = register(fake_op)
    with pytest.raises(BadValue, match="its own discovery document"):
        change_identity_provider(row, actor=SYSTEM, issuer="https://other.example")


def test_a_provider_without_a_secret_proves_itself_by_assertion(fake_op):
    row = register(fake_op, authentication="private_key_jwt")
    assert row.client_secret_sealed == ""
    with pytest.raises(BadValue, match="needs our client secret"):
        change_identity_provider(row, actor=SYSTEM, authentication="client_secret_post")


def test_a_secret_that_nothing_needs_any_more_is_forgotten(fake_op):
    row = change_identity_provider(register(fake_op), actor=SYSTEM, authentication="private_key_jwt")
    assert row.client_secret_sealed == ""
    assert Event.objects.latest("pk").details["after"] == {"authentication": "private_key_jwt", "client_secret": None}
    with pytest.raises(BadValue, match="uses no secret"):
        change_identity_provider(row, actor=SYSTEM, client_secret=OTHER_SECRET)
    other = register(fake_op, "initech")
    retire_identity_provider(other, actor=SYSTEM)
    assert IdentityProvider.objects.get(pk=other.pk).client_secret_sealed == ""


# The document, each hour ----------------------------------------------------------------------------------------------


def test_the_document_is_read_anew_each_hour_and_a_change_is_recorded(fake_op):
    row = register(fake_op)
    fake_op.asked.clear()
    start = timezone.now()
    assert refresh_due_discoveries(now=start + timedelta(minutes=59), actor=SYSTEM) == 0
    assert fake_op.asked == []
    fake_op.document = {"token_endpoint": f"{fake_op.issuer}/token2"}
    version = RegistryVersion.objects.get().number
    assert refresh_due_discoveries(now=start + timedelta(minutes=61), actor=SYSTEM) == 1
    row.refresh_from_db()
    assert discovery_of(row).token_endpoint == f"{fake_op.issuer}/token2"
    assert RegistryVersion.objects.get().number > version
    event = Event.objects.latest("pk")
    assert (event.type, event.actor_kind, list(event.details["after"])) == ("party.changed", "system", ["discovery"])


def test_a_document_that_says_the_same_changes_nothing_but_when_it_was_read(fake_op):
    row = register(fake_op)
    before = Event.objects.count(), RegistryVersion.objects.get().number
    later = timezone.now() + timedelta(hours=2)
    assert refresh_due_discoveries(now=later, actor=SYSTEM) == 1
    row.refresh_from_db()
    assert row.discovered_at == row.discovery_tried_at == later
    assert (Event.objects.count(), RegistryVersion.objects.get().number) == before


@pytest.mark.parametrize(
    "answer",
    [
        http("{}", status="503 Away"),
        http("<html>", content_type="text/html"),
        http('{"issuer": "https://evil.example"}'),
        http("", status="302 Found", Location="http://127.0.0.1/"),
        b"",
    ],
    ids=["503", "HTML", "another issuer", "redirect", "silence"],
)
def test_the_last_good_document_stays_while_there_is_no_better_one(fake_op, answer):
    row = register(fake_op)
    good, read_at = row.discovery, row.discovered_at
    fake_op.raw["/.well-known/openid-configuration"] = answer
    later = timezone.now() + timedelta(hours=2)
    assert refresh_due_discoveries(now=later, actor=SYSTEM) == 0
    row.refresh_from_db()
    assert (row.discovery, row.discovered_at, row.discovery_tried_at) == (good, read_at, later)
    assert row.discovery_problem
    del fake_op.raw["/.well-known/openid-configuration"]
    assert refresh_due_discoveries(now=later + timedelta(hours=1), actor=SYSTEM) == 1
    row.refresh_from_db()
    assert row.discovery_problem == ""


def test_the_longest_waiting_come_first_and_no_more_than_a_batch(fake_op, monkeypatch):
    first, second = register(fake_op), register(fake_op, "initech")
    now = timezone.now()
    IdentityProvider.objects.filter(pk=first.pk).update(discovery_tried_at=now - timedelta(hours=2))
    IdentityProvider.objects.filter(pk=second.pk).update(discovery_tried_at=now - timedelta(hours=3))
    monkeypatch.setattr(limits, "DISCOVERY_BATCH", 1)
    refresh_due_discoveries(now=now, actor=SYSTEM)
    second.refresh_from_db()
    first.refresh_from_db()
    assert (second.discovery_tried_at, first.discovery_tried_at) == (now, now - timedelta(hours=2))


@pytest.mark.parametrize("state", [{"enabled": False}, {"retired_at": timezone.now()}])
def test_a_provider_out_of_use_is_not_asked(fake_op, state):
    row = register(fake_op)
    IdentityProvider.objects.filter(pk=row.pk).update(**state)
    fake_op.asked.clear()
    refresh_due_discoveries(now=timezone.now() + timedelta(hours=2), actor=SYSTEM)
    assert fake_op.asked == []


def test_the_scheduler_reads_documents():
    names = {entry["task"] for entry in django_settings.CELERY_BEAT_SCHEDULE.values()}
    assert refresh_discoveries.name in names
    assert refresh_discoveries() == 0


# The doctor -----------------------------------------------------------------------------------------------------------


def find(name: str) -> Any:
    return next(finding for finding in check_parties() if finding.name == f"parties: {name}")


def test_a_whole_provider_is_in_order(fake_op):
    register(fake_op)
    assert find("identity providers").level == find("discovery documents").level == "ok"


@pytest.mark.parametrize("gap", [{"discovery": {}}, {"client_id": ""}, {"client_secret_sealed": ""}])
def test_a_gap_in_the_registration_is_a_fault(fake_op, gap):
    row = register(fake_op)
    IdentityProvider.objects.filter(pk=row.pk).update(**gap)
    assert find("identity providers").level == "fault"
    assert "globex" in find("identity providers").text


def test_a_document_that_cannot_be_read_for_long_is_a_warning_with_its_reason(fake_op):
    row = register(fake_op)
    then = timezone.now() - limits.DISCOVERY_OVERDUE
    IdentityProvider.objects.filter(pk=row.pk).update(discovered_at=then)
    assert "worker and beat" in find("discovery documents").remedy
    IdentityProvider.objects.filter(pk=row.pk).update(discovery_problem="it answers 503")
    assert find("discovery documents").level == "warning"
    assert "globex: it answers 503" in find("discovery documents").text


# By file --------------------------------------------------------------------------------------------------------------

FILE = """
organisations:
  - {{slug: globex, domains: [globex.example], owner: it@globex.example}}
identity_providers:
  - slug: globex
    organisation: globex
    name: Globex
    protocol: oidc
    issuer: {issuer}
    client_id: "{client_id}"
    authentication: client_secret_post
    client_secret_env: GLOBEX_SECRET
    home_realm_domains: [globex.example]
    claims: {{groups: [groups]}}
"""


def write(folder: Path, fake_op: FakeOpenIDProvider, *, more: str = "", text: str = FILE) -> Path:
    path = folder / "file.yaml"
    path.write_text(text.format(issuer=fake_op.issuer, client_id=CLIENT_ID) + more)
    return path


def apply(path: Path, *, secret: str = OTHER_SECRET) -> Outcome:
    return apply_configuration(read_configuration(path, environment={"GLOBEX_SECRET": secret}), actor=SYSTEM)


def problems_of(path: Path, **environment: str) -> str:
    with pytest.raises(BadConfiguration) as caught:
        plan_configuration(read_configuration(path, environment=environment))
    return "\n".join(problem_lines(path.name, caught.value.problems))


def test_a_file_registers_a_provider_in_one_step(fake_op, tmp_path):
    apply(write(tmp_path, fake_op, more="    scopes: [openid, groups]\n    subject: 'attribute: oid'\n"))
    row = IdentityProvider.objects.get()
    assert (row.protocol, row.issuer, row.client_id) == ("oidc", fake_op.issuer, CLIENT_ID)
    assert (row.authentication, row.scopes, row.subject) == (
        "client_secret_post",
        ["openid", "groups"],
        "attribute: oid",
    )
    assert upstream_secret(row) == OTHER_SECRET
    assert row.claim_mapping.claims == {"groups": ["groups"]}


def test_the_same_file_again_changes_nothing(fake_op, tmp_path):
    path = write(tmp_path, fake_op)
    apply(path)
    assert apply(path).plan.differences == ()


def test_a_plan_shows_what_changes_and_never_a_secret(fake_op, tmp_path):
    path = write(tmp_path, fake_op)
    apply(path)
    fake_op.document = {"token_endpoint": f"{fake_op.issuer}/token2"}
    plan = plan_configuration(read_configuration(path, environment={"GLOBEX_SECRET": CLIENT_SECRET}))
    (difference,) = plan.differences
    assert set(difference.changes) == {"client_secret", "discovery"}
    assert CLIENT_SECRET not in repr(plan)
    assert OTHER_SECRET not in repr(plan)


def test_what_was_exported_can_be_applied_and_holds_no_secret(fake_op, tmp_path):
    apply(write(tmp_path, fake_op))
    text = export_configuration()
    assert OTHER_SECRET not in text
    assert "# client_secret_env: its secret is sealed" in text
    assert "discovery" not in text
    assert "client_secret_sealed" not in text
    (tmp_path / "export.yaml").write_text(text)
    assert apply(tmp_path / "export.yaml").plan.differences == ()


def test_an_entry_need_not_repeat_the_protocol_of_a_provider_that_is_there(fake_op, tmp_path):
    apply(write(tmp_path, fake_op))
    path = tmp_path / "short.yaml"
    path.write_text("identity_providers:\n  - {slug: globex, scopes: [openid, email]}\n")
    apply(path)
    assert IdentityProvider.objects.get().scopes == ["openid", "email"]


def test_a_provider_that_does_not_answer_keeps_the_document_that_is_registered(fake_op, tmp_path):
    path = write(tmp_path, fake_op)
    apply(path)
    fake_op.raw["/.well-known/openid-configuration"] = http("{}", status="503 Away")
    outcome = apply(path)
    assert outcome.plan.differences == ()
    assert any("the document that is registered stays" in note for note in outcome.notes)


def test_a_new_provider_that_does_not_answer_is_a_problem_of_its_line(fake_op, tmp_path):
    fake_op.raw["/.well-known/openid-configuration"] = http("{}", status="503 Away")
    lines = problems_of(write(tmp_path, fake_op), GLOBEX_SECRET=OTHER_SECRET)
    assert lines.startswith("file.yaml:9: identity_providers[globex].issuer: ")
    assert "answers 503" in lines
    assert not IdentityProvider.objects.exists()


def test_a_document_of_another_issuer_is_a_problem_even_when_one_is_registered(fake_op, tmp_path):
    path = write(tmp_path, fake_op)
    apply(path)
    fake_op.document = {"issuer": "https://evil.example"}
    assert "is of the issuer 'https://evil.example'" in problems_of(path, GLOBEX_SECRET=OTHER_SECRET)


@pytest.mark.parametrize(
    ("replaced", "by", "text"),
    [
        ("    client_secret_env: GLOBEX_SECRET\n", "", "client_secret_env or client_secret_file is missing"),
        ("client_secret_post", "private_key_jwt", "private_key_jwt uses no secret, and one is given"),
        ("client_secret_env: GLOBEX_SECRET", "client_secret: the-secret-itself", "secrets do not stand in the file"),
        ('    client_id: "{client_id}"\n', "", "client_id is missing"),
        ("    issuer: {issuer}\n", "", "issuer is missing"),
        ("    issuer: {issuer}\n", "    issuer: {issuer}\n    sign_requests: true\n", "sign_requests: unknown key"),
        (
            "    issuer: {issuer}\n",
            "    issuer: {issuer}\n    metadata_url: https://x.example/\n",
            "metadata_url: unknown",
        ),
    ],
)
def test_what_is_missing_or_misplaced_is_named(fake_op, tmp_path, replaced, by, text):
    assert replaced in FILE
    found = problems_of(write(tmp_path, fake_op, text=FILE.replace(replaced, by)), GLOBEX_SECRET=OTHER_SECRET)
    assert text in found
    assert "the-secret-itself" not in found


def test_the_protocol_of_a_provider_cannot_change(fake_op, tmp_path):
    make_identity_provider(slug="globex", organisation=make_organisation(slug="globex", domains=("globex.example",)))
    assert "cannot change from saml to oidc" in problems_of(write(tmp_path, fake_op), GLOBEX_SECRET=OTHER_SECRET)


def test_what_a_provider_does_not_announce_is_a_note(fake_op, tmp_path):
    fake_op.document = {"token_endpoint_auth_methods_supported": ["private_key_jwt"], "userinfo_endpoint": ...}
    notes = apply(write(tmp_path, fake_op)).notes
    assert any("does not announce client_secret_post, only private_key_jwt" in note for note in notes)
    assert any("no userinfo endpoint" in note for note in notes)


# In the console -------------------------------------------------------------------------------------------------------


def openid_form(**fields: Any) -> dict[str, Any]:
    return {
        "name": "Globex",
        "enabled": "on",
        "client_id": CLIENT_ID,
        "authentication": "client_secret_basic",
        "assertion_audience": "issuer",
        "subject": "sub",
        "unknown_person": "create",
        "outside_authority": "drop",
        "skew_seconds": "60",
        "new_secret": "",
        "scope_lines": "openid\nprofile\nemail",
        "home_realm": "globex.example",
    } | fields


def test_the_console_shows_a_provider_and_never_its_secret(console: Browser, viewer_console: Browser, fake_op):
    row = register(fake_op)
    for browser in (console, viewer_console):
        page = browser.get(f"/admin/registry/identityprovider/{row.pk}/change/").content.decode()
        assert fake_op.issuer in page
        assert f"{fake_op.issuer}/token" in page
        assert CLIENT_SECRET not in page
        assert row.client_secret_sealed not in page
    assert "sealed" in viewer_console.get(f"/admin/registry/identityprovider/{row.pk}/change/").content.decode()


def test_an_operator_changes_a_provider_and_an_empty_secret_stays(console: Browser, fake_op):
    row = register(fake_op)
    page = f"/admin/registry/identityprovider/{row.pk}/change/"
    answer = console.post(page, openid_form(scope_lines="openid\ngroups", name="Globex Ltd"))
    assert answer.status_code == 302, answer.content.decode()
    row.refresh_from_db()
    assert (row.name, row.scopes, upstream_secret(row)) == ("Globex Ltd", ["openid", "groups"], CLIENT_SECRET)
    assert console.post(page, openid_form(new_secret=OTHER_SECRET)).status_code == 302
    row.refresh_from_db()
    assert upstream_secret(row) == OTHER_SECRET
    event = Event.objects.filter(type="party.changed").latest("pk")
    assert (event.actor_id, event.details["after"]["client_secret"]) == ("ada@acme.example", "(another secret)")


def test_the_console_reads_the_document_anew_when_asked(console: Browser, fake_op):
    row = register(fake_op)
    page = f"/admin/registry/identityprovider/{row.pk}/change/"
    fake_op.document = {"token_endpoint": f"{fake_op.issuer}/token2"}
    fake_op.asked.clear()
    assert console.post(page, openid_form()).status_code == 302
    assert fake_op.asked == []
    assert console.post(page, openid_form(read_anew="on")).status_code == 302
    row.refresh_from_db()
    assert discovery_of(row).token_endpoint == f"{fake_op.issuer}/token2"
    assert fake_op.asked == ["/.well-known/openid-configuration"]
    fake_op.document = {"issuer": "https://evil.example"}
    answer = console.post(page, openid_form(read_anew="on"))
    assert answer.status_code == 200
    assert "https://evil.example" in answer.content.decode()


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"subject": "attribute: email"}, "become another person"),
        ({"scope_lines": "profile"}, "must hold openid"),
        ({"client_id": "a b"}, "is no client_id"),
        ({"new_secret": "short"}, "8 to 512"),
    ],
)
def test_what_the_service_refuses_is_an_error_of_the_form(console: Browser, fake_op, fields, text):
    row = register(fake_op)
    answer = console.post(f"/admin/registry/identityprovider/{row.pk}/change/", openid_form(**fields))
    assert answer.status_code == 200
    assert text in answer.content.decode()
    assert IdentityProvider.objects.get().scopes == row.scopes


def test_a_viewer_changes_nothing(viewer_console: Browser, fake_op):
    row = register(fake_op)
    answer = viewer_console.post(f"/admin/registry/identityprovider/{row.pk}/change/", openid_form(name="Mine"))
    assert answer.status_code == 403
    assert IdentityProvider.objects.get().name == row.name
