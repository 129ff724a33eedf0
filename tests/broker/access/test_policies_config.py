"""`policies:` in a configuration file: planned, tried, exported; never in force without a second operator."""

import io

import pytest
import yaml
from django.core.management import call_command

from broker.access.models import Policy, PolicyVersion
from broker.approvals.models import Approval
from broker.approvals.services import approve
from tests.broker.access.house import BOB, in_force, permits, reread
from tests.configured import run

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("settled")]

State = PolicyVersion.State
READ = '@id("read")\npermit(principal, action == Action::"read", resource is record);\n'
WRITE = 'permit(principal, action == Action::"write", resource is record);\n'


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "read.cedar").write_text(READ)
    return tmp_path


READING = "policies:\n  - {slug: reading, file: read.cedar}\n"
INLINE = "policies:\n  - slug: reading\n    rules: |\n      "
BY_ADA = ("--operator", "ada@acme.example")


def test_a_file_is_tried_and_waits_for_a_second_operator(folder):
    code, out, _ = run("apply", folder, READING, *BY_ADA)
    assert (code, "waits for a second operator" in out) == (0, True)
    version = PolicyVersion.objects.get()
    assert (version.state, version.source, version.policy.name) == (State.CANDIDATE, READ, "reading")
    assert not permits()
    approve(Approval.objects.get(), actor=BOB)
    assert permits()
    assert run("plan", folder, READING, "--exit-code")[0] == 0


def test_without_an_operator_it_is_tried_and_nobody_is_asked(folder):
    code, out, _ = run("apply", folder, READING)
    assert (code, "an operator asks for its activation" in out) == (0, True)
    assert PolicyVersion.objects.get().state == State.CANDIDATE
    assert not Approval.objects.exists()


def test_an_apply_again_changes_nothing(folder):
    run("apply", folder, READING, *BY_ADA)
    assert "0 changed" in run("apply", folder, READING, *BY_ADA)[1]
    assert PolicyVersion.objects.count() == 1


def test_a_changed_file_is_a_new_version_beside_the_active_one(folder):
    standing = in_force(READ, slug="reading")
    (folder / "read.cedar").write_text(READ + WRITE)
    run("apply", folder, READING, *BY_ADA)
    assert [one.state for one in PolicyVersion.objects.order_by("number")] == [State.ACTIVE, State.CANDIDATE]
    assert permits()
    assert not permits(action="write")
    approve(Approval.objects.get(state="pending"), actor=BOB)
    assert permits(action="write")
    assert reread(standing).state == State.RETIRED


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("policies:\n  - {slug: reading}\n", "file is missing"),
        ("policies:\n  - {slug: reading, file: nowhere.cedar}\n", "cannot read"),
        ("policies:\n  - {slug: reading, file: read.cedar, rules: x}\n", "already given"),
        ("policies:\n  - {slug: built-in, file: read.cedar}\n", "built-in"),
        ("policies:\n  - {slug: reading, file: read.cedar, owner: nobody}\n", "owner"),
        ("policies:\n  - {slug: reading, file: read.cedar, colour: red}\n", "unknown key"),
        ("policies:\n  - {slug: reading, file: read.cedar, resource_types: [invoice]}\n", "confined"),
        ("policies:\n  - {slug: reading, file: read.cedar, applications: [erp]}\n", "no application erp"),
        ("policies:\n  - slug: reading\n    rules: permit(principal\n", "line 1: unexpected end of input"),
        (f"{INLINE}permit(principal, action,\n        resource is nothing);\n", "line 2: unrecognized"),
        ("policies:\n  - {slug: reading, file: read.cedar}\n  - {slug: reading, file: read.cedar}\n", "reading"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("command", ["plan", "apply"])
def test_what_cannot_be_is_refused_with_file_and_line_and_nothing_is_written(folder, command, text, part):
    code, _, problems = run(command, folder, text)
    assert code == 1
    assert part in problems, problems
    assert problems.splitlines()[0].startswith(f"{folder / 'company.yaml'}:")
    assert not Policy.objects.exists()


def test_a_file_that_is_no_text_is_refused(folder):
    (folder / "read.cedar").write_bytes(b"\xff\xfe")
    assert "UTF-8" in run("apply", folder, READING)[2]


def test_an_export_is_read_again_without_a_change(folder):
    text = READING.replace("}", ", owner: erp@acme.example, description: Who reads, resource_types: [record]}")
    run("apply", folder, text, *BY_ADA)
    out = io.StringIO()
    call_command("export", stdout=out)
    (exported,) = yaml.safe_load(out.getvalue())["policies"]
    assert (exported["slug"], exported["rules"], exported["resource_types"]) == ("reading", READ, ["record"])
    assert run("plan", folder, yaml.safe_dump({"policies": [exported]}), "--exit-code")[0] == 0


def test_pruning_ends_what_is_tried_and_asks_about_what_is_in_force(folder):
    run("apply", folder, READING, *BY_ADA)
    in_force(WRITE, slug="writing")
    nothing = "policies: []\n"
    assert "--operator" in run("apply", folder, nothing, "--prune")[2]
    assert PolicyVersion.objects.get(policy__slug="reading").state == State.CANDIDATE, "all or nothing"
    code, _, problems = run("apply", folder, nothing, "--prune", *BY_ADA)
    assert (code, problems) == (0, "")
    assert PolicyVersion.objects.get(policy__slug="reading").state == State.RETIRED
    assert permits(action="write"), "only a second operator takes it out of force"
    approve(Approval.objects.get(state="pending"), actor=BOB)
    assert not permits(action="write")


def test_a_policy_that_was_retired_comes_back_as_a_new_version(folder):
    run("apply", folder, READING)
    run("apply", folder, "policies: []\n", "--prune")
    code, _, problems = run("apply", folder, READING)
    assert (code, problems) == (0, "")
    assert [one.state for one in PolicyVersion.objects.order_by("number")] == [State.RETIRED, State.CANDIDATE]
