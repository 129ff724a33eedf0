"""Leavers in the console: red ones first seen, each item with its evidence, and what an operator may decide."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from broker.events.models import Event
from broker.registry.models import Client as RegisteredClient
from tests.factories import make_service
from tests.provisioning.leaver.places import Places
from tests.provisioning.leaver.stage import (
    EMAIL,
    Leaver,
    make_target,
    seal,
    verify,
    with_account,
    with_grant,
    with_session,
    work,
)

pytestmark = pytest.mark.django_db


def page(console: Client, address: str) -> str:
    answer = console.get(f"/admin/leaver/case/{address}")
    assert answer.status_code == 200, answer.content[:500]
    return answer.content.decode()


def post(console: Client, leaver: Leaver, action: str, **fields: Any) -> str:
    answer = console.post(f"/admin/leaver/case/{leaver.case.pk}/{action}", fields, follow=True)
    assert answer.status_code == 200
    return answer.content.decode()


def test_the_list_names_what_is_open(console: Client, leaver: Leaver, places: Places) -> None:
    with_account(leaver, "crm")
    places.behaviour["target:crm"] = "down"
    leaver.leave()
    text = page(console, "")
    assert "target crm (CRM)" in text
    assert "This is no proof of closing." in text
    assert "Alice" in page(console, "?standing=open")
    assert "Alice" not in page(console, "?standing=red")
    assert "Alice" not in page(console, "?standing=lied")


def test_a_case_shows_each_item_with_its_evidence(console: Client, leaver: Leaver) -> None:
    with_session(leaver, tell=True)
    with_grant(leaver)
    with_account(leaver, "crm")
    leaver.leave()
    leaver.ask_targets_to_close()
    work()
    text = page(console, f"{leaver.case.pk}/change/")
    for item in leaver.case.items.all():
        assert item.title in text
        assert item.digest in text
    assert "Not verifiable until" in text
    assert "leaver.opened" in text


def test_the_certificate_is_a_page_of_its_own_that_says_what_the_items_show(console: Client, leaver: Leaver) -> None:
    leaver.leave()
    seal()
    text = page(console, f"{leaver.case.pk}/certificate")
    assert "Nothing was found" in text
    assert "Alice" in text
    assert "nav" not in text


def test_the_export_and_the_verifier_are_downloaded_and_fit(
    console: Client, leaver: Leaver, log: Path, tmp_path: Path
) -> None:
    with_session(leaver)
    leaver.leave()
    seal()
    export = console.get(f"/admin/leaver/case/{leaver.case.pk}/export")
    program = console.get(f"/admin/leaver/case/{leaver.case.pk}/verifier")
    assert export["Content-Disposition"].startswith('attachment; filename="leaver-')
    assert program["Content-Disposition"] == 'attachment; filename="verify_leaver.py"'
    assert Event.objects.filter(type="leaver.exported", actor_id="ada@acme.example").count() == 1
    assert verify(tmp_path, export.content.decode(), anchor=log).returncode == 0


def test_an_operator_hands_over_what_the_leaver_owned(
    console: Client, leaver: Leaver, log: Path, tmp_path: Path
) -> None:
    make_service(client_id="nightly", owner=EMAIL)
    leaver.leave()
    item = leaver.item("ownership")
    text = post(console, leaver, "owner", item=[item.pk], owner="bob@acme.example")
    assert "1 thing has a new owner." in text
    assert RegisteredClient.objects.get(client_id="nightly").owner == "bob@acme.example"
    item = leaver.item("ownership")
    assert (item.state, item.code) == ("read_back", "owner_changed")
    assert leaver.case.state == "green"
    seal()
    export = console.get(f"/admin/leaver/case/{leaver.case.pk}/export").content.decode()
    run = verify(tmp_path, export, anchor=log)
    assert run.returncode == 0, run.stdout


def test_an_owner_that_is_no_address_is_refused(console: Client, leaver: Leaver) -> None:
    make_service(client_id="nightly", owner=EMAIL)
    leaver.leave()
    post(console, leaver, "owner", item=[leaver.item("ownership").pk], owner="nobody")
    assert leaver.item("ownership").state == "open"
    assert RegisteredClient.objects.get(client_id="nightly").owner == EMAIL


def test_an_item_that_is_nothing_owned_gets_no_owner(console: Client, leaver: Leaver) -> None:
    with_account(leaver, "crm")
    leaver.leave()
    text = post(console, leaver, "owner", item=[leaver.item("target").pk], owner="bob@acme.example")
    assert "nothing of a leaver" in text
    assert leaver.item("target").state == "open"


def test_an_account_kept_by_policy_needs_an_operator_with_a_reason(
    console: Client, leaver: Leaver, log: Path, tmp_path: Path
) -> None:
    with_account(leaver, "archive", leaver_policy="keep")
    leaver.leave()
    item = leaver.item("target")
    assert "No reason was given." in post(console, leaver, "accept", item=item.pk, note="  ")
    assert leaver.case.state == "open"
    post(console, leaver, "accept", item=item.pk, note="mail is kept for two years")
    item = leaver.item("target")
    assert (item.state, item.acknowledged_by) == ("acknowledged", "ada@acme.example")
    assert leaver.case.state == "green"
    seal()
    export = json.loads(console.get(f"/admin/leaver/case/{leaver.case.pk}/export").content)
    run = verify(tmp_path, export, anchor=log)
    assert run.returncode == 0, run.stdout
    assert "acknowledged by ada@acme.example" in run.stdout


def test_nobody_talks_away_an_account_that_has_to_be_closed(console: Client, leaver: Leaver, places: Places) -> None:
    with_account(leaver, "crm")
    places.behaviour["target:crm"] = "lies"
    leaver.leave()
    leaver.ask_targets_to_close()
    work()
    text = post(console, leaver, "accept", item=leaver.item("target").pk, note="it is fine")
    assert "Nobody can take the responsibility" in text
    assert leaver.item("target").state == "open"


def test_a_viewer_reads_and_decides_nothing(viewer_console: Client, leaver: Leaver) -> None:
    with_account(leaver, "archive", leaver_policy="keep")
    leaver.leave()
    text = page(viewer_console, f"{leaver.case.pk}/change/")
    assert "Answer for" not in text
    address = f"/admin/leaver/case/{leaver.case.pk}/accept"
    assert viewer_console.post(address, {"item": leaver.item("target").pk, "note": "why not"}).status_code == 403
    assert leaver.item("target").state == "open"


def test_a_decision_is_no_link_to_follow(console: Client, leaver: Leaver) -> None:
    make_target("erp")
    leaver.leave()
    assert console.get(f"/admin/leaver/case/{leaver.case.pk}/accept").status_code == 405
    assert console.get(f"/admin/leaver/case/{leaver.case.pk}/owner").status_code == 405


def test_a_stranger_sees_nothing(client: Client, leaver: Leaver) -> None:
    leaver.leave()
    for address in ("", f"{leaver.case.pk}/change/", f"{leaver.case.pk}/export", f"{leaver.case.pk}/certificate"):
        answer = client.get(f"/admin/leaver/case/{address}")
        assert answer.status_code == 302
        assert answer["Location"].startswith("/admin/login/")
