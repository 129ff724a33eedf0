"""`declare_policy_schema`: the words of policies, from a file."""

import io

import pytest
from django.core.management import CommandError, call_command

from broker.access.declaring import current_schema
from tests.broker.access.house import PERSON, SCHEMA, in_force

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("settled")]


def run(file, *options):
    """Exit code, output, problems."""
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command("declare_policy_schema", str(file), *options, stdout=out, stderr=err)
    except SystemExit as ended:
        return ended.code, out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "words.cedarschema"
    path.write_text(SCHEMA + "entity photo;\n")
    return path


def test_a_file_is_declared_and_the_same_again_is_no_change(file):
    number = current_schema().number
    assert run(file, "--operator", "ada@acme.example") == (0, f"schema {number + 1} declared\n", "")
    assert current_schema().created_by == "operator:ada@acme.example"
    assert current_schema().person_properties == PERSON, "what is not named stays"
    assert run(file) == (0, f"schema {number + 1} as it was\n", "")
    assert run(file, "--person-properties", "")[1] == f"schema {number + 2} declared\n"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("entity a;\nentity User;", ":2: `User` is declared twice"),
        ("entity a {\n  b: Strng\n};", ":2: failed to resolve type"),
        ("entity a", "unexpected"),
        ("\nnamespace A { entity b; }", ":2: namespaces"),
        ("entity a;\x00", ":1: a NUL character"),
        ("entity a;", "reading 1: "),
    ],
)
def test_what_cannot_be_is_told_with_its_line_and_not_stored(file, text, part):
    in_force('permit(principal, action == Action::"read", resource is record);', slug="reading")
    number = current_schema().number
    file.write_text(text)
    code, _, problems = run(file)
    assert code == 1
    assert part in problems, problems
    assert problems.startswith(f"{file}:")
    assert current_schema().number == number


def test_a_file_that_is_not_there_a_stranger_and_no_text(file, tmp_path):
    with pytest.raises(CommandError, match="cannot read"):
        run(tmp_path / "nowhere")
    with pytest.raises(CommandError, match="no operator"):
        run(file, "--operator", "eve@acme.example")
    file.write_bytes(b"\xff")
    with pytest.raises(CommandError, match="cannot read"):
        run(file)
