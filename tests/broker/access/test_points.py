"""Enforcement points: registered by a file or in the console, exported as they were, and refused with a line."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from django.test import Client as Browser

from broker.access import points
from broker.access.models import DeclaredEntity, EnforcementPoint
from broker.actors import SYSTEM
from broker.events.models import Event
from broker.operations.configuration import apply_configuration, plan_configuration, read_configuration
from broker.operations.export import export_configuration
from broker.operations.plans import BadConfiguration
from broker.registry.values import BadValue
from tests.broker.access.gateway import action, entity, make_gateway
from tests.broker.console.conftest import console, make_operator, sign_in, viewer_console
from tests.factories import make_client

__all__ = ["console", "make_operator", "sign_in", "viewer_console"]

pytestmark = pytest.mark.django_db

FILE = """
clients:
  - {client_id: gateway, owner: records@acme.example, authentication: private_key_jwt,
     jwks_url: "https://gateway.example/jwks"}
enforcement_points:
  - client: gateway
    resource_types: {record: [read, write], invoice: [pay]}
    subjects:
      - {type: user, id: alice, properties: {role: admin}}
    resources:
      - {type: record, id: record-1}
      - {type: record, id: record-2, properties: {status: archived, level: 3, tags: [a, b]}}
"""


def apply(folder: Path, text: str, *, prune: bool = False) -> Any:
    path = folder / "file.yaml"
    path.write_text(text)
    return apply_configuration(read_configuration(path), actor=SYSTEM, prune=prune)


def problems(folder: Path, text: str) -> list[str]:
    path = folder / "file.yaml"
    path.write_text(text)
    with pytest.raises(BadConfiguration) as caught:
        plan_configuration(read_configuration(path))
    return [f"{one.line}: {one.path}: {one.text}" for one in caught.value.problems]


# --- Configuration files ----------------------------------------------------------------------------------------------
def test_a_file_registers_a_point_and_applying_it_again_changes_nothing(tmp_path):
    apply(tmp_path, FILE)
    point = EnforcementPoint.objects.get()
    assert point.client.client_id == "gateway"
    assert point.resource_types == {"record": ["read", "write"], "invoice": ["pay"]}
    assert [one.entity_id for one in point.declared.all()] == ["alice", "record-1", "record-2"]
    events = Event.objects.count()
    assert apply(tmp_path, FILE).plan.differences == ()
    assert Event.objects.count() == events


def test_an_export_is_a_file_that_changes_nothing(tmp_path):
    apply(tmp_path, FILE)
    exported = export_configuration()
    text = exported if isinstance(exported, str) else exported.text
    assert apply(tmp_path, text).plan.differences == ()
    (point,) = yaml.safe_load(text)["enforcement_points"]
    assert point == yaml.safe_load(FILE)["enforcement_points"][0]


def test_a_change_keeps_the_places_of_what_stays(tmp_path):
    apply(tmp_path, FILE)
    before = dict(DeclaredEntity.objects.values_list("entity_id", "pk"))
    apply(tmp_path, FILE.replace("status: archived", "status: open").replace("id: record-1", "id: record-9"))
    after = dict(DeclaredEntity.objects.values_list("entity_id", "pk"))
    assert after["record-2"] == before["record-2"]
    assert set(after) == {"alice", "record-2", "record-9"}
    assert DeclaredEntity.objects.get(entity_id="record-2").properties["status"] == "open"
    event = Event.objects.filter(type="party.changed", subject_kind="enforcement_point").latest("pk")
    assert event.details["after"] == {"resources": "2 entities, 1 with other properties"}


def test_pruning_retires_a_point_that_the_file_does_not_name(tmp_path):
    apply(tmp_path, FILE)
    apply(tmp_path, FILE.partition("enforcement_points:")[0], prune=True)
    assert not EnforcementPoint.objects.exists()


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ("client: gateway\n", "client: nobody\n", "there is no client nobody"),
        ("    resource_types: {record: [read, write], invoice: [pay]}\n", "", "resource_types is missing"),
        ("{record: [read, write], invoice: [pay]}", "{}", "names no type"),
        ("invoice: [pay]", "invoice: []", "names no action"),
        ("invoice: [pay]", "invoice: pay", "wants a list of texts"),
        ("invoice: [pay]", '"two words": [pay]', "is no name"),
        ("invoice: [pay]", 'invoice: ["a b"]', "is no name"),
        ("id: alice", "id: 7", "both texts"),
        ("id: alice", 'id: ""', "1 to 256 characters"),
        ("id: alice", f"id: {'x' * 257}", "1 to 256 characters"),
        ("type: user, id: alice", "type: client, id: erp", "known already"),
        ("type: user, id: alice", "type: user, id: 8b2e4c1a-6d55-4e0f-9b1c-2f6f1f0f7a11", "known already"),
        ("type: record, id: record-1", "type: application, id: erp", "known already"),
        ("id: record-2", "id: record-1", "stands twice"),
        ("level: 3", "since: 2026-01-01", "mapping of texts, numbers"),
        ("level: 3", "level: .nan", "mapping of texts, numbers"),
        ("properties: {role: admin}", "properties: [role]", "are a mapping"),
        ("properties: {role: admin}", "role: admin", "role is not one of type, id, properties"),
        ("    subjects:", "    subjects: {}\n    subject:", "wants a list of mappings"),
    ],
)
def test_a_bad_value_is_refused_with_its_line_and_writes_nothing(tmp_path, before, after, problem):
    text = FILE.replace(before, after, 1)
    assert text != FILE
    found = problems(tmp_path, text)
    assert any(problem in line and "enforcement_points[" in line for line in found), found
    assert not EnforcementPoint.objects.exists()


# --- Services ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "fields",
    [
        {"resource_types": {}},
        {"resource_types": {"record": []}},
        {"resource_types": {"": ["read"]}},
        {"resource_types": {"x" * 129: ["read"]}},
        {"resource_types": {"record": ["a b"]}},
        {"resource_types": {"record": ["read"]}, "subjects": ["alice"]},
        {"resource_types": {"record": ["read"]}, "resources": [entity("record", "1"), entity("record", "1")]},
        {"resource_types": {"record": ["read"]}, "resources": [entity("record", "a\x00b")]},
        {"resource_types": {"record": ["read"]}, "resources": [entity("record", "1", value=object())]},
    ],
)
def test_a_point_that_makes_no_sense_is_not_registered(fields):
    with pytest.raises(BadValue):
        points.register_point(make_client(kind="service", application=None), actor=SYSTEM, **fields)
    assert not EnforcementPoint.objects.exists()


def test_a_client_has_one_point(db):
    gateway = make_gateway()
    with pytest.raises(BadValue):
        points.register_point(gateway.client, resource_types={"record": ["read"]}, actor=SYSTEM)


def test_what_changes_of_a_point_counts_at_the_next_request():
    gateway = make_gateway(policy="permit (principal, action, resource);")
    asked = {"subject": entity("user", "alice"), "action": action("pay"), "resource": entity("invoice", "1")}
    assert gateway.evaluate(**asked).json()["decision"] is False
    points.change_point(gateway.point, resource_types={"invoice": ["pay"]}, actor=SYSTEM)
    assert gateway.evaluate(**asked).json()["decision"] is True


# --- Console ----------------------------------------------------------------------------------------------------------
ADDRESS = "/admin/access/enforcementpoint/"


def test_an_operator_registers_changes_and_retires_a_point(console: Browser):
    client = make_client(kind="service", application=None, owner="records@acme.example")
    entered = {"client": client.pk, "type_lines": "record: read, write\ninvoice: pay"}
    assert console.post(f"{ADDRESS}add/", entered).status_code == 302
    point = EnforcementPoint.objects.get()
    assert point.resource_types == {"record": ["read", "write"], "invoice": ["pay"]}
    page = console.get(f"{ADDRESS}{point.pk}/change/").content.decode()
    assert "record: read, write" in page
    assert "records@acme.example" in page
    assert console.post(f"{ADDRESS}{point.pk}/change/", {"type_lines": "record: read"}).status_code == 302
    point.refresh_from_db()
    assert point.resource_types == {"record": ["read"]}
    assert Event.objects.filter(subject_kind="enforcement_point", actor_id="ada@acme.example").count() == 2
    assert console.post(f"{ADDRESS}{point.pk}/retire/").status_code == 302
    assert not EnforcementPoint.objects.exists()


@pytest.mark.parametrize("lines", ["", "record", "record:", "two words: read", "record: re ad"])
def test_the_form_refuses_what_the_service_refuses(console: Browser, lines: str):
    client = make_client(kind="service", application=None)
    assert console.post(f"{ADDRESS}add/", {"client": client.pk, "type_lines": lines}).status_code == 200
    assert not EnforcementPoint.objects.exists()


def test_lists_and_details_open_for_operators_and_viewers(console: Browser, viewer_console: Browser):
    gateway = make_gateway(resources=[entity("record", f"<b>{number}", word="sesame") for number in range(60)])
    for browser in (console, viewer_console):
        listed = browser.get(ADDRESS).content.decode()
        assert gateway.client.client_id in listed
        page = browser.get(f"{ADDRESS}{gateway.point.pk}/change/")
        assert page.status_code == 200
        assert "<b>1" not in page.content.decode()
        assert "sesame" not in page.content.decode()
    assert viewer_console.post(f"{ADDRESS}add/", {}).status_code == 403
