"""The export answers: every system, flow and credential, and who authorised it."""

import csv
import io
import json
from datetime import date, timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from broker.registry.models import Client, ClientSecret, Flow, FlowEvidence
from tests.factories import CLIENT_SECRET, make_application, make_client, make_flow, make_resource, make_service

pytestmark = pytest.mark.django_db


def export(kind: str) -> str:
    out = io.StringIO()
    call_command("export_flows", "--format", kind, stdout=out)
    return out.getvalue()


def rows() -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(export("csv"))))


def clients() -> dict[str, Any]:
    return {client["client_id"]: client for client in json.loads(export("json"))["clients"]}


def test_a_flow_is_told_with_its_system_credential_and_who_authorised_it() -> None:
    service = make_service(client_id="nightly", application=make_application(slug="crm"))
    make_flow(
        service,
        make_resource(identifier="https://erp.example/api"),
        expires=date(2099, 12, 31),
        proposed_by="ada@acme.example",
        last_used_at=timezone.now(),
    )

    (row,) = rows()

    assert (row["client_id"], row["application"], row["owner"]) == ("nightly", "crm", "integration@acme.example")
    assert row["credentials"].startswith(f"secret {ClientSecret.objects.get().pk} created ")
    assert row["credentials"].endswith("last used never")
    assert (row["flow_grant"], row["flow_resource"]) == ("client_credentials", "https://erp.example/api")
    assert (row["flow_scopes"], row["flow_impersonation"]) == ("invoices.read", "no")
    assert (row["flow_proposed_by"], row["flow_approved_by"]) == ("ada@acme.example", "security@acme.example")
    assert (row["flow_last_day"], row["marks"]) == ("2099-12-31", "")
    told = clients()["nightly"]
    assert told["flows"][0]["scopes"] == ["invoices.read"]
    assert (told["marks"], told["credentials"][0]["kind"]) == ([], "secret")


@pytest.mark.parametrize(
    ("fields", "mark"),
    [
        ({}, "not used for 90 days"),
        ({"last_used_at": timezone.now() - timedelta(days=91)}, "not used for 90 days"),
        ({"expires": date(2020, 1, 1)}, "no flow; ended"),
        ({"ended_at": timezone.now() - timedelta(minutes=1)}, "no flow; ended"),
        ({"state": "proposed"}, "no flow; not approved"),
        ({"state": "refused"}, "no flow; not approved"),
        ({"state": "proposed", "is_draft": True, "owner": ""}, "no flow; asked for, nobody's yet"),
    ],
)
def test_what_an_auditor_has_to_look_at_is_marked(fields: dict[str, Any], mark: str) -> None:
    make_flow(make_service(), make_resource(), **fields)

    assert [row["marks"] for row in rows()] == [mark]


def test_a_client_without_a_flow_stands_there_too_and_is_marked() -> None:
    make_service(client_id="bare", owner="", application=None)
    make_client(client_id="crm")
    make_service(client_id="gone", retired_at=timezone.now())

    assert [(row["client_id"], row["flow_grant"], row["marks"]) for row in rows()] == [
        ("bare", "", "no flow; no owner"),
        ("crm", "", ""),
    ]


def test_what_was_asked_for_beyond_a_flow_is_counted() -> None:
    flow = make_flow(make_service(), make_resource(), last_used_at=timezone.now())
    now = timezone.now()
    for number in (1, 2):
        FlowEvidence.objects.create(
            flow=flow, digest=str(number), code="flow.scope", enforcement="warn", subject_class="client",
            first_seen_at=now, last_seen_at=now, count=10 * number,
        )  # fmt: skip

    (row,) = rows()
    assert (row["flow_asked_outside"], row["marks"]) == ("30", "asked for more")


def test_keys_and_workloads_are_credentials_and_no_secret_is_told() -> None:
    make_service(
        client_id="k8s",
        secret=None,
        authentication=Client.Authentication.PRIVATE_KEY_JWT,
        workload={"issuer": "https://k8s.example", "subject": "system:serviceaccount:a:b", "audience": "us"},
        jwks={"keys": [{"kid": "one", "kty": "RSA", "n": "modulus", "e": "AQAB"}]},
        jwks_url="https://k8s.example/jwks",
    )
    make_service()

    told = clients()["k8s"]["credentials"]
    assert [(one["kind"], one["name"]) for one in told] == [
        ("key", "one"),
        ("workload", "https://k8s.example system:serviceaccount:a:b"),
        ("keys", "https://k8s.example/jwks"),
    ]
    for text in (export("csv"), export("json")):
        assert CLIENT_SECRET not in text
        assert ClientSecret.objects.get().secret_hash not in text


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t"])
def test_no_cell_is_a_formula(start: str) -> None:
    make_flow(make_service(), make_resource(), purpose=f"{start}HYPERLINK(1)")

    assert rows()[0]["flow_purpose"] == f"'{start}HYPERLINK(1)"
    assert Flow.objects.get().purpose in export("json").encode().decode("unicode_escape")


def test_each_client_costs_one_question_more() -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            export("json")
        return len(queries)

    resource = make_resource()
    make_flow(make_service(), resource)
    one = count()
    for _ in range(9):
        make_flow(make_service(), resource)
    assert count() <= one + 9


def test_another_format_is_refused() -> None:
    with pytest.raises(CommandError):
        export("xml")
