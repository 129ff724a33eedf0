"""HR says that somebody left. What the person had is closed, item by item, and the certificate says what was seen.

HR's own words over SCIM, an application that listens, targets in processes of their own with their own logs.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import time_machine
from django.test import Client as Http
from django.utils import timezone

from broker import limits
from broker.actors import SYSTEM
from broker.delivery.models import Delivery, Lane
from broker.directory.models import Person
from broker.events.models import Event
from broker.registry.registering.clients import change_client
from provisioning.inbound.models import ScimSource
from provisioning.inbound.tokens import issue_token
from provisioning.leaver.models import Case
from provisioning.outbound.models import Target
from provisioning.outbound.registering import create_target
from tests.broker.console.conftest import console, make_operator, sign_in
from tests.factories import CLIENT_SECRET, link, make_application, make_service
from tests.fakes.fake_logout import listening
from tests.fakes.scim_target.running import ScimTarget
from tests.federation.logout.stage import says, told
from tests.flows.stage import Browser, Company, answer_of, basic, make_company
from tests.provisioning.leaver.stage import export, seal, verify, work

__all__ = ["console", "make_operator", "sign_in"]
pytestmark = pytest.mark.django_db
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
EMAIL = "alice@acme.example"
TOKEN = "the-targets-own-bearer-token"
OFFLINE = {"scope": "openid offline_access", "prompt": "consent"}


class Acme:
    """A company whose HR writes to us, and whose applications have accounts of their own."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self.stack = folder, stack
        self.targets: dict[str, ScimTarget] = {}
        self.crm = stack.enter_context(listening(says(200)))
        self.company: Company = make_company()
        change_client(self.company.client, actor=SYSTEM, backchannel_logout_uri=self.crm.url)
        self.company.client.refresh_from_db()
        source = ScimSource.objects.create(
            slug="hr",
            name="HR",
            owner="hr@acme.example",
            dialect="entra",
            organisation=self.company.identity_provider.organisation,
            created_at=timezone.now(),
        )
        self.hr_token = issue_token(source, actor=SYSTEM)

    def target(self, slug: str, **fields: Any) -> ScimTarget:
        there = ScimTarget(self.folder / f"{slug}.log", fast=True, token=TOKEN)
        self.targets[slug] = self.stack.enter_context(there)
        fields = {"scope": {"everyone": True}, "breaker_count": 1000, "breaker_share": 1.0} | fields
        create_target(
            slug,
            application=make_application(slug=slug),
            actor=SYSTEM,
            owner="it@acme.example",
            base_url=there.base_url,
            credential=TOKEN,
            **fields,
        )
        return there

    def hr(self, method: str, path: str, **body: Any) -> Any:
        http = Http(headers={"Authorization": f"Bearer {self.hr_token}"})
        answer = http.generic(
            method, f"/scim/v2{path}", json.dumps(body).encode(), content_type="application/scim+json"
        )
        assert answer.status_code in (200, 201, 204), answer.content
        return answer.json() if answer.content else {}

    def hire(self) -> Person:
        """With an account at every target that takes everybody, and a sign-on to the CRM."""
        names = {"givenName": "Alice", "familyName": "Doe"}
        mail = [{"value": EMAIL, "type": "work", "primary": True}]
        made = self.hr("POST", "/Users", schemas=[USER], userName=EMAIL, active="True", name=names, emails=mail)
        person = Person.objects.get(pk=made["id"])
        link(person, self.company.identity_provider, "alice")
        work()
        return person

    def dismiss(self, person: Person) -> Case:
        """In Entra's words."""
        operations = [{"op": "Replace", "path": "active", "value": "False"}]
        self.hr("PATCH", f"/Users/{person.pk}", schemas=[PATCH], Operations=operations)
        work()
        return Case.objects.get(person=person, closed_at=None)

    def is_active(self, slug: str) -> bool:
        (account,) = self.targets[slug].users()
        return bool(account["active"])


@pytest.fixture
def acme(tmp_path: Path, settings: Any) -> Iterator[Acme]:
    settings.OUTGOING_NETWORKS = ["127.0.0.0/8"]
    settings.OUTGOING_PROXY = ""
    settings.SEAL_LOG = tmp_path / "seals.log"
    with ExitStack() as stack:
        yield Acme(tmp_path, stack)


def hurry() -> None:
    """What waits for its time is due now."""
    Delivery.objects.filter(settled_at=None).update(due_at=timezone.now() - timedelta(seconds=1))
    Lane.objects.update(not_before=None)
    work()


def later(by: timedelta) -> Any:
    return time_machine.travel(timezone.now() + by, tick=True)


def item(case: Case, kind: str, reference: str = "") -> Any:
    found = case.items.filter(kind=kind)
    return found.get(reference=reference) if reference else found.get()


def judged(acme: Acme, case: Case) -> Any:
    """What the offline verifier makes of the case, once the book is sealed."""
    seal()
    return verify(acme.folder, export(case), anchor=acme.folder / "seals.log")


def test_a_leaver_loses_everything_and_the_certificate_is_green_when_it_was_seen(
    acme: Acme, make_operator: Callable[..., Any], sign_in: Callable[..., Any]
) -> None:
    acme.target("crm")
    acme.target("wiki")
    acme.target("lab", scope={})
    person = acme.hire()
    assert acme.is_active("crm")
    browser = Browser()
    code = answer_of(acme.company.sign_on(browser, ask=OFFLINE))["code"]
    tokens = acme.company.redeem(code).json()
    make_operator("boss@acme.example")
    make_operator("alice.ops@acme.example", person=person)
    nightly = make_service(client_id="nightly", owner=EMAIL)

    case = acme.dismiss(person)

    assert not acme.is_active("crm")
    assert not acme.is_active("wiki")
    assert acme.targets["lab"].users() == []
    assert refresh(acme, tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert "Location" in acme.company.ask(browser), "the browser is sent to sign on anew"
    assert sign_in("alice.ops@acme.example").status_code == 200, "the console says no"
    logout = told(acme.crm.heard[0], acme.company.client)
    assert logout["sid"] == item(case, "application").reference
    states = {one.key: (one.state, one.code) for one in case.items.all()}
    assert states["target:crm"] == ("read_back", "inactive")
    assert states["target:wiki"] == ("read_back", "inactive")
    assert states["target:lab"] == ("read_back", "no_account")
    assert {key.partition(":")[0]: state for key, (state, _) in states.items()} == {
        "session": "read_back",
        "grant": "read_back",
        "access_token": "not_verifiable",
        "operator": "read_back",
        "application": "acknowledged",
        "target": "read_back",
        "ownership": "open",
    }
    assert case.state == "open"

    change_client(nightly, owner="bob@acme.example", actor=SYSTEM)
    work()
    case.refresh_from_db()
    assert case.state == "green"
    run = judged(acme, case)
    assert run.returncode == 0, run.stdout
    assert "Certificate: green. Every one of 9 items is closed; 1 cannot be verified and end by" in run.stdout


def test_a_liar_and_one_who_is_down_keep_the_certificate_red_by_name(acme: Acme) -> None:
    liar, down = acme.target("liar"), acme.target("down")
    acme.target("honest")
    person = acme.hire()
    liar.change(lie_on_disable=True)
    down.stop()

    case = acme.dismiss(person)
    assert item(case, "target", "honest").state == "read_back"
    assert item(case, "target", "liar").code == "target.lied"
    assert item(case, "target", "down").state == "open"
    assert Event.objects.filter(type="leaver.target_lied", subject_id=str(case.pk)).count() == 1
    with later(limits.TARGET_LEAVER_DEADLINE * 2):
        work()
        case.refresh_from_db()
        assert case.state == "late"
        run = judged(acme, case)
    assert run.returncode == 0, run.stdout
    assert "Certificate: late. 2 of 3 items are open, 2 of them late." in run.stdout
    for slug in ("liar", "down"):
        assert f"OPEN             target {slug}" in run.stdout

    with later(limits.TARGET_LEAVER_DEADLINE * 3):
        liar.mend()
        down.start()
        hurry()
        case.refresh_from_db()
        assert case.state == "green"
        assert not acme.is_active("liar")
        assert not acme.is_active("down")
        run = judged(acme, case)
    assert run.returncode == 0, run.stdout
    assert "2 of them late" in run.stdout


def test_access_that_comes_back_is_seen_and_closed_again(acme: Acme) -> None:
    there = acme.target("crm")
    person = acme.hire()
    case = acme.dismiss(person)
    assert case.state == "green"
    there.act("enable", external_id=str(person.pk))
    assert acme.is_active("crm")
    there.change(lie_on_disable=True)
    with later(timedelta(minutes=2)):
        work()
        case.refresh_from_db()
        assert case.state == "reopened"
        assert item(case, "target").code in ("access_returned", "target.lied")
        assert Event.objects.filter(type="leaver.access_returned", severity="alert").count() == 1
        there.mend()
        hurry()
        case.refresh_from_db()
        assert case.state == "green"
        assert not acme.is_active("crm")
        run = judged(acme, case)
    assert run.returncode == 0, run.stdout
    assert "[returned]" in run.stdout


def test_an_account_that_nobody_knew_of_is_found_and_closed(acme: Acme) -> None:
    person = acme.hire()
    there = acme.target("shadow", scope={})
    there.act("create", document={"schemas": [USER], "userName": EMAIL, "externalId": str(person.pk), "active": True})
    case = acme.dismiss(person)
    hurry()
    case.refresh_from_db()
    assert not acme.is_active("shadow")
    assert (case.state, item(case, "target").code) == ("green", "inactive")


def test_a_row_of_the_ledger_that_somebody_edits_is_named_by_the_verifier(acme: Acme) -> None:
    acme.target("crm")
    case = acme.dismiss(acme.hire())
    assert judged(acme, case).returncode == 0
    row = item(case, "target").delivery
    Delivery.objects.filter(pk=row).update(attempts=7)
    run = judged(acme, case)
    assert run.returncode == 1
    assert f"ledger row {row} was changed since event" in run.stdout


def test_a_rehire_ends_the_case_and_gives_the_account_back(acme: Acme) -> None:
    acme.target("crm")
    person = acme.hire()
    case = acme.dismiss(person)
    operations = [{"op": "Replace", "path": "active", "value": "True"}]
    acme.hr("PATCH", f"/Users/{person.pk}", schemas=[PATCH], Operations=operations)
    work()
    case.refresh_from_db()
    assert case.state == "returned"
    assert acme.is_active("crm")
    (account,) = acme.targets["crm"].users()
    assert account["externalId"] == str(person.pk)
    assert acme.dismiss(person).pk != case.pk
    assert not acme.is_active("crm")


def test_a_target_whose_policy_is_to_delete_is_read_back_as_empty(acme: Acme) -> None:
    acme.target("crm", leaver_policy=Target.LeaverPolicy.DELETE)
    case = acme.dismiss(acme.hire())
    assert acme.targets["crm"].users() == []
    assert (item(case, "target").state, item(case, "target").code) == ("read_back", "absent")


def refresh(acme: Acme, token: str) -> Any:
    return Http().post(
        "/oauth/token",
        urlencode({"grant_type": "refresh_token", "refresh_token": token}),
        content_type="application/x-www-form-urlencoded",
        headers={"authorization": basic(acme.company.client.client_id, CLIENT_SECRET)},
    )
