"""Configuration as code: what a file means, what is refused with its line, and what is written."""

import re
import shutil
from contextlib import AbstractContextManager
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from broker import limits
from broker.actors import SYSTEM, Actor, ActorKind
from broker.events.models import Event
from broker.operations import documents
from broker.operations.configuration import apply_configuration, plan_configuration, read_configuration
from broker.operations.export import export_configuration
from broker.operations.plan_report import outcome_json, outcome_lines, plan_json, plan_lines, problem_lines
from broker.operations.plans import Action, BadConfiguration, Outcome, Plan
from broker.registry.models import (
    Application,
    Client,
    ClientSecret,
    Domain,
    Flow,
    HomeRealmDomain,
    IdentityProvider,
    Organisation,
    RegistryVersion,
    Resource,
    ServiceProvider,
)
from broker.registry.secrets import check_secret
from federation.claims.models import ClaimMapping, ReleaseRule
from tests.fakes.certificates import make_certificate, pem
from tests.fakes.fake_workload_issuer import running_platform
from tests.fakes.server import Server, saying, serving

SAMPLES = Path(__file__).parents[2] / "samples" / "config"
BAD = sorted((SAMPLES / "bad").glob("*.yaml"))
CRM_SECRET = "canary-crm-secret-0123456789abcdef0123456789"
NIGHTLY_SECRET = "canary-nightly-secret-0123456789abcdef01234"
ENVIRONMENT = {"CRM_SECRET": CRM_SECRET, "NIGHTLY_SECRET": NIGHTLY_SECRET, "SHORT_SECRET": "short"}
TABLES = (
    Organisation, Domain, IdentityProvider, HomeRealmDomain, ClaimMapping, Application, ReleaseRule, ServiceProvider,
    Client, ClientSecret, Resource, Flow, Event, RegistryVersion,
)  # fmt: skip

pytestmark = pytest.mark.django_db


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the sample's metadata and keys, to write files into."""
    for sample in (*SAMPLES.glob("*.xml"), *SAMPLES.glob("*.json"), SAMPLES / "company.yaml"):
        shutil.copy(sample, tmp_path)
    return tmp_path


def plan(path: Path, *, prune: bool = False) -> Plan:
    return plan_configuration(read_configuration(path, environment=ENVIRONMENT), prune=prune)


def apply(path: Path, *, prune: bool = False, actor: Actor = SYSTEM) -> Outcome:
    return apply_configuration(read_configuration(path, environment=ENVIRONMENT), actor=actor, prune=prune)


def apply_text(folder: Path, text: str, *, prune: bool = False) -> Outcome:
    path = folder / "file.yaml"
    path.write_text(text)
    return apply(path, prune=prune)


def refused(path: Path, *, prune: bool = False) -> list[str]:
    """The problems of a file that must not be applied, as lines, after both plan and apply refused it alike."""
    with pytest.raises(BadConfiguration) as applied:
        apply(path, prune=prune)
    return problem_lines(path.name, applied.value.problems)


def counts() -> list[int]:
    return [table.objects.count() for table in TABLES]


def changed(outcome: Outcome | Plan) -> list[tuple[str, str]]:
    plan_ = outcome.plan if isinstance(outcome, Outcome) else outcome
    return [(str(one.action), f"{one.section}[{one.key}]") for one in plan_.differences]


# What the format means


def test_the_whole_example_of_the_format_is_registered_as_it_says(folder: Path) -> None:
    apply(folder / "company.yaml", actor=Actor(ActorKind.OPERATOR, "sam@acme.example"))

    acme = Organisation.objects.get(slug="acme")
    assert (acme.name, acme.owner) == ("Acme", "it@acme.example")
    domain = acme.domains.get()
    assert (domain.name, domain.proof, domain.proved_by) == ("acme.example", "operator", "sam@acme.example")
    assert domain.proved_at is not None

    entra = IdentityProvider.objects.get(slug="acme-entra")
    assert (entra.organisation, entra.name, entra.protocol) == (acme, "Acme (Entra ID)", "saml")
    assert (entra.issuer, entra.sso_binding) == ("https://idp.acme.example/saml", "redirect")
    assert entra.sso_url.startswith("https://")
    assert [set(certificate) for certificate in entra.certificates] == [{"der", "subject", "fingerprint", "not_after"}]
    assert (entra.subject, entra.unknown_person) == ("name_id", "create")
    assert (entra.match_claim, entra.match_person) == ("employee_id", "external_id")
    assert (entra.idp_initiated, entra.sign_requests) == (False, True)
    assert [home.name for home in entra.home_realm_domains.all()] == ["acme.example"]
    assert entra.claim_mapping.claims == {"email": ["mail", "urn:oid:0.9.2342.19200300.100.1.3"], "groups": ["groups"]}

    erp = Application.objects.get(slug="erp")
    assert (erp.name, erp.kind, erp.service_provider.entity_id) == ("ERP", "erp", "https://erp.acme.example/saml")
    assert (erp.service_provider.sign, erp.service_provider.encrypt) == ("both", "auto")

    crm = Application.objects.get(slug="crm")
    assert (crm.name, crm.kind) == ("crm", "crm")
    assert crm.release_rule.claims == ["email", "given_name", "family_name", "groups"]
    client = crm.clients.get(kind="sign_on")
    assert (client.client_id, client.authentication, client.pkce) == ("crm", "client_secret_basic", "required")
    assert client.redirect_uris == ["https://crm.acme.example/callback"]
    check_secret(client, CRM_SECRET)

    resource = Resource.objects.get(identifier="https://erp.acme.example/api")
    assert resource.scopes == {"invoices.read": "Read invoices", "invoices.write": "Change invoices"}
    assert (resource.token_algorithm, resource.token_lifetime) == ("RS256", 600)
    assert [client.client_id for client in resource.introspectors.all()] == ["api-gateway"]

    nightly = Client.objects.get(client_id="nightly-sync")
    assert (nightly.kind, nightly.application, nightly.enforcement) == ("service", crm, "enforce")
    check_secret(nightly, NIGHTLY_SECRET)
    assert Client.objects.get(client_id="api-gateway").jwks["keys"][0]["kid"] == "sync-1"
    assert Client.objects.get(client_id="reporting-job").workload["audience"] == "countersign"

    flow = Flow.objects.get()
    assert (flow.client, flow.resource, flow.grant) == (nightly, resource, "client_credentials")
    assert (flow.state, flow.approved_by, flow.expires) == ("approved", "security@acme.example", date(2027, 12, 31))


def test_applying_twice_changes_nothing_and_writes_nothing(folder: Path) -> None:
    first = apply(folder / "company.yaml")
    before = counts()

    second = apply(folder / "company.yaml")

    assert len(first.plan.differences) == 9
    assert outcome_lines(second)[-1] == "0 changed of 9 checked."
    assert counts() == before
    assert changed(plan(folder / "company.yaml")) == []
    assert plan_lines(plan(folder / "company.yaml")) == ["Nothing to change: 9 checked."]


def test_a_plan_reads_only(folder: Path) -> None:
    with CaptureQueriesContext(
        connection,
    ) as queries:
        found = plan(folder / "company.yaml")

    assert {str(one.action) for one in found.differences} == {"create"}
    assert [query["sql"] for query in queries if not query["sql"].startswith("SELECT")] == []
    assert counts() == [0] * len(TABLES)


def test_what_is_exported_applies_as_no_change(folder: Path) -> None:
    apply(folder / "company.yaml")
    exported = folder / "exported.yaml"
    exported.write_text(export_configuration())

    assert changed(plan(exported, prune=True)) == []
    assert plan(exported).checked == 9


def test_what_is_exported_registers_the_same_in_an_empty_installation(folder: Path) -> None:
    apply(folder / "company.yaml")
    exported = folder / "exported.yaml"
    exported.write_text(export_configuration())
    apply_text(folder, "organisations: []\n", prune=True)
    assert export_configuration().count("slug:") == 0

    apply(exported)

    assert export_configuration() == exported.read_text()


def test_an_export_holds_no_secret_and_says_so(folder: Path) -> None:
    apply(folder / "company.yaml")

    text = export_configuration()

    assert CRM_SECRET not in text
    assert NIGHTLY_SECRET not in text
    assert not any(secret.secret_hash in text for secret in ClientSecret.objects.all())
    assert "# oidc.client_secret_env: its secret is kept as a hash" in text


def test_every_means_of_authentication_is_registered_and_exported_as_it_was(folder: Path, settings: Settings) -> None:
    settings.OUTGOING_NETWORKS = ["127.0.0.0/8"]
    settings.OUTGOING_PROXY = ""
    (folder / "nightly.pem").write_text(pem(make_certificate()))
    with running_platform() as platform:
        (folder / "means.yaml").write_text(f"""
applications:
  - slug: crm
    oidc:
      client_id: crm
      redirect_uris: [https://crm.acme.example/callback]
      authentication: private_key_jwt
      jwks_url: https://crm.acme.example/jwks
      token_endpoint_audience_until: 2027-03-31
      require_pushed_authorization_requests: true
      dpop_bound_access_tokens: true
clients:
  - client_id: by-name
    authentication: tls_client_auth
    tls: {{subject_dn: "CN=nightly, OU=Integration, O=Acme, C=NO"}}
  - {{client_id: by-address, authentication: tls_client_auth, tls: {{san_dns: Nightly.acme.example}}}}
  - client_id: pinned
    authentication: self_signed_tls_client_auth
    certificate_file: nightly.pem
    tls_client_certificate_bound_access_tokens: true
  - client_id: in-the-cluster
    authentication: private_key_jwt
    workload:
      issuer: {platform.issuer}
      subject: "system:serviceaccount:erp:nightly"
      long_lived_until: 2027-01-31
""")
        apply(folder / "means.yaml")
        clients = {one.client_id: one for one in Client.objects.all()}
        assert clients["crm"].token_endpoint_audience_until == date(2027, 3, 31)
        assert clients["crm"].require_pushed_authorization_requests
        assert clients["crm"].dpop_bound_access_tokens
        assert clients["pinned"].tls_client_certificate_bound_access_tokens
        assert not clients["by-name"].tls_client_certificate_bound_access_tokens
        assert clients["by-name"].tls == {"subject_dn": "CN=nightly,OU=Integration,O=Acme,C=NO"}
        assert clients["by-address"].tls == {"san_dns": "nightly.acme.example"}
        assert [one["subject"] for one in clients["pinned"].certificates] == ["CN=nightly,OU=Integration,O=Acme,C=NO"]
        assert clients["in-the-cluster"].workload == {
            "issuer": platform.issuer,
            "subject": "system:serviceaccount:erp:nightly",
            "audience": "",
            "jwks_url": platform.jwks_url,
            "is_discovered": True,
            "long_lived_until": "2027-01-31",
        }
        assert not ClientSecret.objects.exists()
        exported = folder / "exported.yaml"
        exported.write_text(export_configuration())
        assert platform.jwks_url not in exported.read_text()
        assert changed(plan(exported, prune=True)) == []
        assert changed(plan(folder / "means.yaml")) == []
        apply_text(folder, "organisations: []\n", prune=True)
        apply(exported)
        assert export_configuration() == exported.read_text()
        platform.document = {"jwks_uri": f"{platform.issuer}/elsewhere"}
        assert changed(plan(exported)) == [("change", "clients[in-the-cluster]")]
    found = plan(exported)
    assert changed(found) == []
    assert any("the address of its keys that is registered stays" in note for note in found.notes)


def test_keys_that_an_entry_does_not_name_stay_as_they_are(folder: Path) -> None:
    apply(folder / "company.yaml")
    Organisation.objects.update(enabled=False)

    outcome = apply_text(folder, "organisations:\n  - {slug: acme, name: Acme Corporation}\n")

    acme = Organisation.objects.get(slug="acme")
    assert (acme.name, acme.owner, acme.enabled) == ("Acme Corporation", "it@acme.example", False)
    assert outcome.plan.differences[0].changes == {"name": ("Acme", "Acme Corporation")}
    assert plan_lines(outcome.plan)[:2] == ["~ organisations[acme]", '    name: "Acme" -> "Acme Corporation"']


def test_parties_that_the_file_does_not_name_are_left_alone(folder: Path) -> None:
    apply(folder / "company.yaml")

    outcome = apply_text(folder, "organisations:\n  - {slug: globex}\n")

    assert changed(outcome) == [("create", "organisations[globex]")]
    assert Application.objects.filter(retired_at=None).count() == 2


def test_prune_retires_what_the_file_does_not_name(folder: Path) -> None:
    apply(folder / "company.yaml")

    outcome = apply_text(folder, "organisations:\n  - {slug: globex}\n", prune=True)

    assert ("retire", "identity_providers[acme-entra]") in changed(outcome)
    assert not IdentityProvider.objects.filter(retired_at=None).exists()
    assert IdentityProvider.objects.get().enabled is False
    assert Application.objects.count() == 2
    assert not Client.objects.filter(retired_at=None).exists()
    assert not Flow.objects.exists()
    assert not Domain.objects.exists()
    assert Event.objects.filter(type="party.retired", subject_kind="flow").count() == 1


def test_prune_retires_a_face_that_the_entry_does_not_name(folder: Path) -> None:
    apply(folder / "company.yaml")

    apply_text(folder, "applications:\n  - {slug: crm}\n  - {slug: erp}\n", prune=True)

    assert Application.objects.filter(retired_at=None).count() == 2
    assert not ServiceProvider.objects.exists()
    assert not Client.objects.filter(retired_at=None).exists()


def test_a_party_that_was_retired_and_comes_back_is_another_one(folder: Path) -> None:
    apply(folder / "company.yaml")
    old = IdentityProvider.objects.get()
    apply_text(folder, "organisations:\n  - {slug: acme}\n", prune=True)

    apply(folder / "company.yaml")

    assert IdentityProvider.objects.get(retired_at=None).pk != old.pk


def test_a_domain_moves_from_one_organisation_to_another_in_one_file(folder: Path) -> None:
    apply_text(folder, "organisations:\n  - {slug: b, domains: [x.example, b.example]}\n  - {slug: a, domains: []}\n")

    apply_text(folder, "organisations:\n  - {slug: a, domains: [x.example]}\n  - {slug: b, domains: [b.example]}\n")

    assert Domain.objects.get(name="x.example").organisation.slug == "a"
    assert Domain.objects.get(name="b.example").organisation.slug == "b"


def test_a_domain_is_not_taken_from_an_organisation_that_the_file_does_not_name(folder: Path) -> None:
    apply_text(folder, "organisations:\n  - {slug: b, domains: [x.example]}\n")
    (folder / "file.yaml").write_text("organisations:\n  - {slug: a, domains: [x.example]}\n")

    assert refused(folder / "file.yaml") == [
        "file.yaml:2: organisations[a]: the domain x.example also belongs to organisations[b]"
    ]


def test_prune_frees_the_names_of_what_it_retires(folder: Path) -> None:
    text = "applications:\n  - {{slug: {slug}, oidc: {{client_id: portal, redirect_uris: ['https://p.example/']}}}}\n"
    apply_text(folder, text.format(slug="old"))

    apply_text(folder, text.format(slug="new"), prune=True)

    assert Client.objects.get(retired_at=None).application.slug == "new"


def test_another_client_id_makes_another_client_and_retires_the_old_one(folder: Path) -> None:
    text = "applications:\n  - {{slug: crm, oidc: {{client_id: {id}, redirect_uris: ['https://crm.example/{id}']}}}}\n"
    apply_text(folder, text.format(id="one"))

    outcome = apply_text(folder, text.format(id="two"))

    assert list(outcome.secrets) == ["two"]
    assert Client.objects.get(client_id="one").retired_at is not None
    assert Client.objects.get(retired_at=None).redirect_uris == ["https://crm.example/two"]


def test_the_organisation_of_an_identity_provider_does_not_change(folder: Path) -> None:
    apply(folder / "company.yaml")
    text = "organisations:\n  - {slug: globex}\nidentity_providers:\n  - {slug: acme-entra, organisation: globex}\n"
    (folder / "file.yaml").write_text(text)

    (line,) = refused(folder / "file.yaml")

    assert line.startswith(
        "file.yaml:4: identity_providers[acme-entra].organisation: cannot change from acme to globex"
    )


def test_an_attribute_as_subject_is_written_as_a_text_or_as_a_mapping(folder: Path) -> None:
    apply(folder / "company.yaml")

    for subject in ('"attribute: uid"', "{attribute: uid}", '"attribute:uid"'):
        apply_text(folder, f"identity_providers:\n  - {{slug: acme-entra, subject: {subject}}}\n")
        assert IdentityProvider.objects.get().subject == "attribute: uid"


def test_where_a_provider_leads_people_by_itself_is_an_application_of_the_same_or_an_earlier_file(folder: Path) -> None:
    apply(folder / "company.yaml")
    leading = "identity_providers:\n  - {{slug: acme-entra, idp_initiated: true, idp_initiated_application: {}}}\n"

    apply_text(folder, leading.format("portal") + "applications:\n  - {slug: portal, kind: other}\n")
    entra = IdentityProvider.objects.get()
    assert (entra.idp_initiated, entra.idp_initiated_application.slug) == (True, "portal")
    assert changed(apply_text(folder, leading.format("portal"))) == []
    assert "idp_initiated_application: portal" in export_configuration()
    with pytest.raises(BadConfiguration):
        apply_text(folder, leading.format("nowhere"))


def test_new_metadata_shows_what_follows_from_it(folder: Path) -> None:
    apply(folder / "company.yaml")
    shutil.copy(folder / "globex.xml", folder / "acme.xml")

    (difference,) = plan(folder / "company.yaml").differences

    assert difference.changes["issuer"] == ("https://idp.acme.example/saml", "https://idp.globex.example/saml")
    assert {"metadata", "issuer", "certificates"} <= difference.changes.keys()
    lines = plan_lines(plan(folder / "company.yaml"))
    assert not any("EntityDescriptor" in line for line in lines)


def test_metadata_may_stand_in_the_file(folder: Path) -> None:
    xml = (folder / "acme.xml").read_text().replace("\n", "\n      ")
    text = f"""
organisations: [{{slug: acme}}]
identity_providers:
  - slug: acme
    organisation: acme
    protocol: saml
    metadata: |
      {xml}
"""

    apply_text(folder, text)

    assert IdentityProvider.objects.get().issuer == "https://idp.acme.example/saml"


def serving_metadata(raw: bytes, status: str = "200 OK") -> AbstractContextManager[Server]:
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(raw)}\r\nConnection: close\r\n\r\n"
    return serving(saying(head.encode() + raw))


PUBLISHED = """
organisations: [{{slug: acme}}]
identity_providers:
  - slug: acme
    organisation: acme
    protocol: saml
    metadata_url: http://127.0.0.1:{port}/metadata
"""


def test_metadata_is_fetched_from_its_address_at_each_apply(folder: Path, settings: Any) -> None:
    settings.OUTGOING_NETWORKS = ["127.0.0.0/8"]
    old, new = (folder / "acme.xml").read_bytes(), (folder / "globex.xml").read_bytes()

    with serving_metadata(old) as server:
        apply_text(folder, PUBLISHED.format(port=server.port))
        assert changed(apply_text(folder, PUBLISHED.format(port=server.port))) == []
    with serving_metadata(old.replace(b"><", b">\n<")) as server:
        (difference,) = apply_text(folder, PUBLISHED.format(port=server.port)).plan.differences
        assert list(difference.changes) == ["metadata_url"]
    with serving_metadata(new) as server:
        apply_text(folder, PUBLISHED.format(port=server.port))

    assert IdentityProvider.objects.get().issuer == "https://idp.globex.example/saml"
    assert "metadata_url: http://127.0.0.1" in export_configuration()
    assert "EntityDescriptor" not in export_configuration()


def test_metadata_that_is_held_stays_when_its_address_does_not_answer(folder: Path, settings: Any) -> None:
    settings.OUTGOING_NETWORKS = ["127.0.0.0/8"]
    with serving_metadata((folder / "acme.xml").read_bytes()) as server:
        text = PUBLISHED.format(port=server.port)
        apply_text(folder, text)

    outcome = apply_text(folder, text)

    assert changed(outcome) == []
    assert outcome.notes[0].endswith("the metadata that is registered stays")
    assert IdentityProvider.objects.get().issuer == "https://idp.acme.example/saml"


@pytest.mark.parametrize(
    ("raw", "status", "text"), [(b"", "404 Not Found", "answers 404"), (b"<html/>", "200 OK", "bad metadata")]
)
def test_an_address_without_metadata_is_refused(
    folder: Path, settings: Any, raw: bytes, status: str, text: str
) -> None:
    settings.OUTGOING_NETWORKS = ["127.0.0.0/8"]
    with serving_metadata(raw, status) as server:
        (folder / "file.yaml").write_text(PUBLISHED.format(port=server.port))
        (line,) = refused(folder / "file.yaml")

    assert line.startswith("file.yaml:7: identity_providers[acme].metadata_url: ")
    assert text in line


# Secrets


def test_a_client_without_a_named_secret_gets_one_that_is_told_once(folder: Path) -> None:
    text = "applications:\n  - {slug: crm, oidc: {client_id: crm, redirect_uris: ['https://crm.example/']}}\n"

    first, second = apply_text(folder, text), apply_text(folder, text)

    check_secret(Client.objects.get(), first.secrets["crm"])
    assert first.secrets["crm"] in "\n".join(outcome_lines(first))
    assert outcome_json(first)["secrets"] == first.secrets
    assert second.secrets == {}


def test_a_secret_is_taken_from_a_file_beside_the_configuration(folder: Path) -> None:
    (folder / "secret").write_text(f"{CRM_SECRET}\n")
    face = "{client_id: crm, client_secret_file: secret, redirect_uris: ['https://crm.example/']}"

    apply_text(folder, f"applications:\n  - {{slug: crm, oidc: {face}}}\n")

    check_secret(Client.objects.get(), CRM_SECRET)


def test_another_secret_is_a_change_that_shows_neither(folder: Path) -> None:
    apply(folder / "company.yaml")
    renewed = ENVIRONMENT | {"CRM_SECRET": "canary-another-secret-0123456789abcdef0123"}
    configuration = read_configuration(folder / "company.yaml", environment=renewed)

    found = plan_configuration(configuration)
    apply_configuration(configuration, actor=SYSTEM)

    assert changed(found) == [("change", "applications[crm]")]
    assert "canary" not in "\n".join(plan_lines(found))
    assert "canary" not in repr(plan_json(found))
    assert "canary" not in repr(configuration)
    check_secret(Client.objects.get(client_id="crm"), renewed["CRM_SECRET"])


def test_no_secret_stands_in_the_book(folder: Path) -> None:
    outcome = apply(folder / "company.yaml")

    book = repr(list(Event.objects.values()))
    assert outcome.secrets == {}
    assert "canary" not in book
    assert not any(secret.secret_hash in book for secret in ClientSecret.objects.all())


# The book


def test_each_party_and_the_file_have_their_event(folder: Path) -> None:
    operator = Actor(ActorKind.OPERATOR, "sam@acme.example")

    apply(folder / "company.yaml", actor=operator)

    created = Event.objects.filter(type="party.created").values_list("subject_kind", "subject_id")
    assert ("organisation", "acme") in created
    assert ("identity_provider", "acme-entra") in created
    assert ("service_provider", "https://erp.acme.example/saml") in created
    assert ("client", "crm") in created
    whole = Event.objects.get(type="configuration.applied")
    assert re.fullmatch(r"[0-9a-f]{64}", whole.details["digest"])
    assert (whole.details["checked"], whole.details["changed"]) == (9, 9)
    assert set(Event.objects.values_list("actor_id", flat=True)) == {"sam@acme.example"}


def test_a_change_is_recorded_with_before_and_after(folder: Path) -> None:
    apply(folder / "company.yaml")

    apply_text(folder, "identity_providers:\n  - {slug: acme-entra, sign_requests: false, claims: {email: [mail]}}\n")

    events = list(Event.objects.filter(type="party.changed", connection="acme-entra").order_by("id")[1:])
    assert [(one.details["before"], one.details["after"]) for one in events] == [
        ({"sign_requests": True}, {"sign_requests": False}),
        (
            {"claims": {"email": ["mail", "urn:oid:0.9.2342.19200300.100.1.3"], "groups": ["groups"]}},
            {"claims": {"email": ["mail"]}},
        ),
    ]


# Flows


@pytest.mark.parametrize("risk", ["data_classes: [personal]", "data_classes: [Person.contact]", "impersonation: true"])
def test_a_flow_with_personal_data_or_impersonation_is_only_proposed(folder: Path, risk: str) -> None:
    text = (folder / "company.yaml").read_text()
    text = re.sub(r"data_classes: .*" if risk.startswith("data") else r"impersonation: .*", risk, text)

    first = apply_text(folder, text)
    second = apply_text(folder, text)

    flow = Flow.objects.get()
    assert (flow.state, flow.approved_by) == ("proposed", "")
    assert any("a second operator approves it" in note for note in first.notes)
    assert changed(second) == []


def test_a_changed_flow_is_approved_again_only_when_the_file_names_who_approved(folder: Path) -> None:
    apply(folder / "company.yaml")
    widened = (folder / "company.yaml").read_text().replace("[invoices.read]", "[invoices.read, invoices.write]")

    apply_text(folder, widened.replace("    approved_by: security@acme.example\n", ""))
    assert (Flow.objects.get().state, Flow.objects.get().approved_by) == ("proposed", "")

    apply_text(folder, widened)
    assert Flow.objects.get().state == "approved"
    assert changed(apply_text(folder, widened)) == []


# What is refused


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_a_bad_file_is_refused_with_line_and_path_and_writes_nothing(path: Path) -> None:
    expected = re.findall(r"^# problem: (\d+): (.+)$", path.read_text(), flags=re.MULTILINE)
    before = counts()

    lines = refused(path)

    assert expected
    assert len(lines) == len(expected), lines
    for line, (number, text) in zip(lines, expected, strict=True):
        where, _, fragment = text.rpartition(": ")
        assert line.startswith(f"{path.name}:{number}: {where}"), line
        assert fragment in line
        assert "canary" not in line
    assert [after for after, table in zip(counts(), TABLES, strict=True) if table is not RegistryVersion] == [
        count for count, table in zip(before, TABLES, strict=True) if table is not RegistryVersion
    ]


def test_one_bad_party_stops_all_the_others(folder: Path) -> None:
    text = (folder / "company.yaml").read_text()
    (folder / "file.yaml").write_text(text.replace("[invoices.read]", "[invoices.delete]"))

    (line,) = refused(folder / "file.yaml")

    assert line.endswith("there is no scope invoices.delete of https://erp.acme.example/api")
    assert not Organisation.objects.exists()
    assert not Event.objects.exists()


def test_prune_does_not_leave_references_dangling(folder: Path) -> None:
    apply(folder / "company.yaml")
    (folder / "file.yaml").write_text("identity_providers:\n  - {slug: acme-entra, name: Acme}\n")

    (line,) = refused(folder / "file.yaml", prune=True)

    assert line == "file.yaml:2: identity_providers[acme-entra].organisation: there is no organisation acme"
    assert IdentityProvider.objects.get().retired_at is None


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(BadConfiguration) as error:
        read_configuration(tmp_path / "nowhere.yaml")

    assert problem_lines("nowhere.yaml", error.value.problems) == [
        "nowhere.yaml:1: cannot read the file: No such file or directory"
    ]


@pytest.mark.parametrize(
    ("raw", "line", "text"),
    [
        (b"organisations: []\n\xff\xfe", 2, "not UTF-8"),
        (b"[" * 100_000, 1, "nested more than 12 deep"),
        (b"{a: " * 50_000, 1, "nested more than 12 deep"),
        (b"- " * 20_000, 1, "nested more than 12 deep"),
        (b"a: !!binary aGVsbG8=", 1, "not read here"),
        (b"a: !!int " + b"9" * 5_000, 1, "no valid value"),
        (b"a: \x00", 1, "not YAML"),
        (b"? [a]\n: b", 1, "a key must be a text"),
        (b"1: b", 1, "a key must be a text"),
        (b"a: *nowhere", 1, "not YAML"),
        (b"%YAML 9.9\n---\na: b", 1, "not YAML"),
    ],
)
def test_what_is_no_readable_yaml_is_refused_with_its_line(raw: bytes, line: int, text: str) -> None:
    with pytest.raises(documents.BadDocument) as error:
        documents.parse(raw)

    assert error.value.problem.line == line
    assert text in error.value.problem.text


def test_a_file_above_its_limit_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CONFIGURATION_BYTES", 20)

    with pytest.raises(documents.BadDocument, match="more than 20 bytes"):
        documents.parse(b"organisations: [] # [[[")


def test_actions_have_their_marks(folder: Path) -> None:
    apply(folder / "company.yaml")
    (folder / "file.yaml").write_text("organisations:\n  - {slug: acme, name: B}\n  - {slug: c}\n")

    lines = plan_lines(plan(folder / "file.yaml", prune=True))

    assert {"+ organisations[c]", "~ organisations[acme]", "- applications[crm]"} <= set(lines)
    assert lines[-1] == "1 to create, 1 to change, 8 to retire; 2 checked."
    assert {one["action"] for one in plan_json(plan(folder / "file.yaml", prune=True))["differences"]} == {
        str(action) for action in Action
    }
