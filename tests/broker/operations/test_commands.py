"""plan, apply and export as commands: what they print, and with which exit code they end."""

import io
import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from broker.console.models import Operator
from broker.events.models import Event
from broker.registry.models import Client, Organisation
from broker.registry.secrets import check_secret

pytestmark = pytest.mark.django_db

CRM = """applications:
  - {slug: crm, oidc: {client_id: crm, redirect_uris: ["https://crm.acme.example/callback"]}}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "company.yaml"
    path.write_text("organisations:\n  - {slug: acme, name: Acme, domains: [acme.example]}\n")
    return path


def run(*arguments: object) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command(*[str(one) for one in arguments], stdout=out, stderr=err)
    except SystemExit as ended:
        return int(ended.code or 0), out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


def test_a_plan_shows_the_difference_and_ends_well(file: Path) -> None:
    assert run("plan", file) == (
        0,
        '+ organisations[acme]\n    name: "Acme"\n    domains: ["acme.example"]\n'
        "1 to create, 0 to change, 0 to retire; 1 checked.\n",
        "",
    )
    assert not Organisation.objects.exists()


def test_a_plan_with_exit_code_ends_with_two_only_when_something_would_change(file: Path) -> None:
    assert run("plan", file, "--exit-code")[0] == 2
    run("apply", file)
    assert run("plan", file, "--exit-code") == (0, "Nothing to change: 1 checked.\n", "")


def test_an_apply_says_what_it_did_and_the_next_one_that_nothing_was_left(file: Path) -> None:
    code, first, _ = run("apply", file)

    assert (code, first.splitlines()[-1]) == (0, "1 changed of 1 checked.")
    assert run("apply", file) == (0, "0 changed of 1 checked.\n", "")


def test_an_apply_as_json_is_one_object_with_the_issued_secrets(file: Path) -> None:
    file.write_text(CRM)

    code, out, _ = run("apply", file, "--json")

    answer = json.loads(out)
    assert code == 0
    assert (answer["changed"], answer["checked"]) == (1, 1)
    assert answer["differences"][0]["changes"]["oidc.client_id"] == {"before": None, "after": "crm"}
    check_secret(Client.objects.get(), answer["secrets"]["crm"])
    assert json.loads(run("apply", file, "--json")[1])["secrets"] == {}


@pytest.mark.parametrize("command", ["plan", "apply"])
def test_problems_go_to_standard_error_with_file_line_and_path_and_exit_code_one(command: str, file: Path) -> None:
    file.write_text("organisations:\n  - {slug: acme, nmae: Acme}\n  - {slug: B}\n")

    code, out, err = run(command, file)

    assert (code, out) == (1, "")
    first, second, last = err.splitlines()
    assert first.startswith(f"{file}:2: organisations[acme].nmae: unknown key")
    assert second.startswith(f"{file}:3: organisations[1].slug: 'B' is no slug")
    assert last == "2 problems; nothing was written."
    assert not Organisation.objects.exists()


@pytest.mark.parametrize("command", ["plan", "apply"])
def test_problems_as_json_are_one_object(command: str, file: Path) -> None:
    file.write_text("targets: {}\n")

    code, out, _ = run(command, file, "--json")

    assert code == 1
    assert json.loads(out) == {"problems": [{"file": str(file), "line": 1, "path": "targets", "text": "wants a list"}]}


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    code, _, err = run("apply", tmp_path / "nowhere.yaml")

    assert code == 1
    assert err.splitlines()[0] == f"{tmp_path / 'nowhere.yaml'}:1: cannot read the file: No such file or directory"


def test_the_operator_who_answers_for_it_stands_in_the_book(file: Path) -> None:
    Operator.objects.create(email="sam@acme.example", name="Sam", role="operator", created_at=timezone.now())

    run("apply", file, "--operator", "Sam@acme.example")

    assert set(Event.objects.values_list("actor_kind", "actor_id")) == {("operator", "sam@acme.example")}
    assert Organisation.objects.get().domains.get().proved_by == "sam@acme.example"


@pytest.mark.parametrize(("role", "active"), [("viewer", True), ("operator", False), (None, True)])
def test_nobody_but_an_active_operator_answers_for_it(file: Path, role: str | None, active: bool) -> None:
    if role:
        Operator.objects.create(
            email="sam@acme.example", name="Sam", role=role, is_active=active, created_at=timezone.now()
        )

    with pytest.raises(CommandError, match="not an active operator"):
        run("apply", file, "--operator", "sam@acme.example")

    assert not Organisation.objects.exists()


def test_an_export_is_a_file_that_applies_as_no_change(file: Path) -> None:
    run("apply", file)
    code, out, _ = run("export")
    file.write_text(out)

    assert code == 0
    assert run("apply", file, "--prune") == (0, "0 changed of 1 checked.\n", "")


def test_prune_as_json_shows_what_is_retired_without_a_line(file: Path) -> None:
    run("apply", file)
    file.write_text("applications: []\n")

    answer = json.loads(run("plan", file, "--prune", "--json")[1])

    assert [(one["action"], one["section"], one["line"]) for one in answer["differences"]] == [
        ("retire", "organisations", None)
    ]
    assert answer["checked"] == 0
