"""Sources in configuration, console, command line and the doctor's eyes."""

import io
import json
from datetime import timedelta

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.utils import timezone

from broker.actors import SYSTEM
from broker.console.models import Operator
from broker.events.models import Event
from broker.registry.values import BadValue
from provisioning.inbound.doctor import check_sources
from provisioning.inbound.models import JournalEntry, PendingMember, ScimSource, SourceToken
from provisioning.inbound.sources import create_source, retire_source
from provisioning.inbound.tokens import issue_token
from tests.factories import make_organisation
from tests.provisioning.inbound.conftest import Caller, make_source, user

TOKEN = "a-token-of-workday-0123456789-0123456789"
FILE = """
organisations:
  - {slug: acme, name: Acme, owner: it@acme.example}
scim_sources:
  - slug: workday
    organisation: acme
    owner: hr@acme.example
    dialect: entra
    unknown_members: report
    authoritative_for: [title, active]
    token_env: WORKDAY_TOKEN
"""


@pytest.fixture
def apply(db, tmp_path, monkeypatch):
    def run(text, *arguments):
        path = tmp_path / "parties.yaml"
        path.write_text(text)
        out = io.StringIO()
        call_command("apply", str(path), *arguments, stdout=out, stderr=out)
        return out.getvalue()

    monkeypatch.setenv("WORKDAY_TOKEN", TOKEN)
    return run


def test_a_file_registers_a_source_and_takes_over_its_token(apply):
    said = apply(FILE)
    source = ScimSource.objects.get()
    assert (source.slug, source.dialect, source.unknown_members) == ("workday", "entra", "report")
    assert source.authoritative_for == ["active", "title"]
    assert TOKEN not in said
    assert Caller(source, TOKEN)("GET", "/Users").status_code == 200
    apply(FILE)
    assert SourceToken.objects.count() == 1
    assert Event.objects.filter(type="party.changed", subject_kind="scim_source").count() == 0


def test_a_token_may_lie_in_a_file_beside_the_configuration(apply, tmp_path):
    (tmp_path / "workday.secret").write_text(f"{TOKEN}\n")
    file = FILE.replace("token_env: WORKDAY_TOKEN", "token_file: workday.secret")
    assert TOKEN not in apply(file)
    assert Caller(ScimSource.objects.get(), TOKEN)("GET", "/Users").status_code == 200
    apply(file)
    assert SourceToken.objects.count() == 1


@pytest.mark.parametrize("held", [b"", b"short", b"\xff" * 60, b"x" * 10_000], ids=["empty", "short", "binary", "long"])
def test_a_file_that_holds_no_token_writes_nothing(apply, tmp_path, held):
    (tmp_path / "workday.secret").write_bytes(held)
    with pytest.raises(SystemExit):
        apply(FILE.replace("token_env: WORKDAY_TOKEN", "token_file: workday.secret"))
    assert not ScimSource.objects.exists()


def test_a_source_without_a_token_of_its_own_gets_one_that_is_shown_once(apply):
    said = apply(FILE.replace("    token_env: WORKDAY_TOKEN\n", ""))
    (value,) = [word.strip('",') for word in said.split() if word.strip('",').startswith("cst_")]
    assert Caller(ScimSource.objects.get(), value)("GET", "/Users").status_code == 200


def test_what_is_exported_applies_again_without_a_change(apply, tmp_path):
    apply(FILE)
    out = io.StringIO()
    call_command("export", stdout=out)
    assert TOKEN not in out.getvalue()
    exported = tmp_path / "exported.yaml"
    exported.write_text(out.getvalue())
    again = io.StringIO()
    call_command("plan", str(exported), "--json", stdout=again)
    assert "scim_sources" not in json.dumps([one for one in json.loads(again.getvalue()).get("changes", []) if one])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("dialect: entra", "dialect: novell"),
        ("unknown_members: report", "unknown_members: ignore"),
        ("authoritative_for: [title, active]", "authoritative_for: [shoe_size]"),
        ("token_env: WORKDAY_TOKEN", "token_env: NOT_THERE"),
        ("token_env: WORKDAY_TOKEN", f"token: {TOKEN}"),
        ("token_env: WORKDAY_TOKEN", "token_file: not-there"),
        ("token_env: WORKDAY_TOKEN", "token_file: parties.yaml"),
        ("token_env: WORKDAY_TOKEN", "token_env: WORKDAY_TOKEN\n    token_file: workday.secret"),
        ("organisation: acme\n", "organisation: nobody\n"),
        ("    owner: hr@acme.example\n", ""),
        ("owner: hr@acme.example", "owner: nobody"),
        ("slug: workday", "slug: Work Day"),
        ("dialect: entra", "colour: red"),
    ],
    ids=lambda text: text.strip()[:40],
)
def test_a_file_that_cannot_be_writes_nothing(apply, old, new):
    with pytest.raises(SystemExit):
        apply(FILE.replace(old, new))
    assert not ScimSource.objects.exists()


def test_a_source_that_is_pruned_keeps_its_people_and_comes_back(apply):
    apply(FILE)
    caller = Caller(ScimSource.objects.get(), TOKEN)
    ada = caller.create("ada")
    apply("organisations:\n  - {slug: acme, name: Acme, owner: it@acme.example}\n", "--prune")
    source = ScimSource.objects.get()
    assert source.retired_at is not None
    assert caller("GET", "/Users").status_code == 401
    back = create_source("workday", organisation=source.organisation, owner="hr@acme.example", actor=SYSTEM)
    assert Caller(back, issue_token(back, actor=SYSTEM)).read(ada["id"])["userName"] == "ada"


def test_a_retired_sources_name_is_not_another_organisations(db):
    source = make_source(slug="workday")
    retire_source(source, actor=SYSTEM)
    with pytest.raises(BadValue):
        create_source("workday", organisation=make_organisation(domains=()), owner="a@b.example", actor=SYSTEM)


# The command


def test_the_command_prints_a_token_that_works(db):
    source = make_source(slug="workday")
    out, err = io.StringIO(), io.StringIO()
    call_command("issue_scim_token", "workday", stdout=out, stderr=err)
    token = out.getvalue().strip()
    assert token not in err.getvalue()
    assert Caller(source, token)("GET", "/Users").status_code == 200


@pytest.mark.parametrize(
    "arguments", [("nobody",), ("workday", "--overlap-days", "-1"), ("workday", "--overlap-days", "4000")]
)
def test_the_command_refuses_what_cannot_be(db, arguments):
    make_source(slug="workday")
    with pytest.raises(CommandError):
        call_command("issue_scim_token", *arguments, stdout=io.StringIO())
    assert not SourceToken.objects.exists()


# The console


@pytest.fixture
def console(client, db):
    operator = Operator.objects.create(
        email="ada@acme.example", name="Ada", role="operator", must_change_password=False, created_at=timezone.now()
    )
    operator.set_password("correct-horse-battery")
    operator.save()
    assert (
        client.post("/admin/login/", {"username": operator.email, "password": "correct-horse-battery"}).status_code
        == 302
    )
    return client


def test_the_console_shows_sources_journal_and_who_is_awaited(console):
    caller = Caller(make_source(unknown_members="report", slug="workday"))
    shown = caller.create("ada", title="Analyst of engines")
    caller.create_group("Staff", "hr-3")
    caller("POST", "/Users", user("ada"))
    for model in ("scimsource", "journalentry", "pendingmember"):
        page = console.get(f"/admin/inbound/{model}/")
        assert page.status_code == 200
        assert b"workday" in page.content or b"HR" in page.content
    assert console.get(f"/admin/inbound/scimsource/{caller.source.pk}/change/").status_code == 200
    assert caller.token.encode() not in console.get(f"/admin/inbound/scimsource/{caller.source.pk}/change/").content
    for entry in JournalEntry.objects.all():
        page = console.get(f"/admin/inbound/journalentry/{entry.pk}/change/")
        assert page.status_code == 200
    entry = JournalEntry.objects.get(status=201, subject=shown["id"])
    page = console.get(f"/admin/inbound/journalentry/{entry.pk}/change/").content.decode()
    assert "Analyst of engines" in page
    assert "applied" in page
    assert Event.objects.filter(type="scim.journal_read", subject_id=str(entry.pk)).exists()
    refused = JournalEntry.objects.get(code="scim.uniqueness")
    assert "Refused:" in console.get(f"/admin/inbound/journalentry/{refused.pk}/change/").content.decode()
    assert console.get("/admin/inbound/journalentry/999999/change/").status_code == 404
    waiting = PendingMember.objects.get()
    assert console.get(f"/admin/inbound/pendingmember/{waiting.pk}/change/").status_code == 302


def test_the_console_registers_a_source_and_issues_its_token(console):
    organisation = make_organisation(domains=())
    form = {
        "organisation": organisation.pk,
        "slug": "workday",
        "name": "Workday",
        "owner": "hr@acme.example",
        "enabled": "on",
        "dialect": "generic",
        "unknown_members": "refuse",
        "authoritative_for": "title\nactive",
        "tokens-TOTAL_FORMS": "0",
        "tokens-INITIAL_FORMS": "0",
    }
    answer = console.post("/admin/inbound/scimsource/add/", form)
    assert answer.status_code == 302, answer.content.decode()[-2000:]
    source = ScimSource.objects.get()
    assert source.authoritative_for == ["active", "title"]
    address = f"/admin/inbound/scimsource/{source.pk}/issue-token/"
    assert b"cst_" not in console.get(address).content
    page = console.post(address).content.decode()
    token = page[page.index("cst_") :].split("<")[0]
    assert Caller(source, token)("GET", "/Users").status_code == 200
    bad = console.post("/admin/inbound/scimsource/add/", form | {"slug": "other", "authoritative_for": "shoe_size"})
    assert bad.status_code == 200
    assert ScimSource.objects.count() == 1


def test_nobody_deletes_or_edits_the_journal(console):
    Caller(make_source()).create("ada")
    entry = JournalEntry.objects.get()
    assert console.post(f"/admin/inbound/journalentry/{entry.pk}/delete/", {"post": "yes"}).status_code == 403
    assert console.get("/admin/inbound/journalentry/add/").status_code == 403


# The doctor


def levels():
    return [(one.level, one.text) for one in check_sources()]


def test_the_doctor_sees_tokens_silence_refusals_and_who_is_awaited(db):
    assert levels() == [("ok", "0 are registered")]
    caller = Caller(make_source(slug="workday", unknown_members="report"))
    caller("GET", "/Users")
    assert levels() == [("ok", "1 are in use and speak")]
    make_source(slug="mute")
    assert ("warning", "without a live token: mute") in levels()
    caller.create("ada")
    caller("POST", "/Users", user("ada"))
    assert any("scim.uniqueness" in text for _, text in levels())
    caller.create_group("Staff", "hr-3")
    with time_machine.travel(timezone.now() + timedelta(days=3)):
        said = dict.fromkeys(text for _, text in levels())
        assert any("not heard of" in text for text in said)
        assert any("wait for a person" in text and "workday (1)" in text for text in said)
    with time_machine.travel(timezone.now() + timedelta(days=360)):
        assert any("ends within" in text and "workday" in text for _, text in levels())
