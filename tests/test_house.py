"""The plan of the house holds: floors, doors, rooms, migrations, and no trace of where it was built."""

import ast
import io
import subprocess
import sys
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings
from django.core.management import call_command

PACKAGES = sorted(
    path
    for room in ("broker", "federation", "provisioning")
    for path in Path(settings.ROOT / room).rglob("__init__.py")
    if "migrations" not in path.parts
)
REGISTRIES = ("pypi", "org"), ("files.pythonhosted", "org"), ("registry.npmjs", "org"), ("deb.debian", "org")
"""In two parts, so that this file is not a finding of its own."""


def relative(path: Path) -> str:
    return str(path.relative_to(settings.ROOT))


def test_floors_doors_and_rooms_keep_their_import_contracts() -> None:
    # In a process of its own: it would switch off the loggers of this one.
    linter = Path(sys.executable).with_name("lint-imports")
    run = subprocess.run([linter, "--no-cache", "--no-logo"], cwd=settings.ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "0 broken" in run.stdout


@pytest.mark.django_db
def test_no_migration_is_missing() -> None:
    output = io.StringIO()
    try:
        call_command("makemigrations", "--check", "--dry-run", stdout=output)
    except SystemExit:
        pytest.fail(output.getvalue())


@pytest.mark.parametrize("path", PACKAGES, ids=relative)
def test_a_package_says_what_it_is_in_a_docstring(path: Path) -> None:
    module = ast.parse(path.read_text())
    docstring = ast.get_docstring(module)
    if path.parent.name != "models":  # Django looks for a room's models there
        assert len(module.body) == 1, "only a docstring"
    assert docstring, "a docstring"
    is_room = path.parent.parent.parent == settings.ROOT
    assert (2 if is_room else 1) <= len(docstring.splitlines()) <= 12


@pytest.mark.parametrize("room", sorted({path.parent for path in PACKAGES}), ids=relative)
def test_a_room_with_models_has_its_first_migration(room: Path) -> None:
    if (room / "models.py").exists():
        assert (room / "migrations" / "0001_initial.py").exists()


def test_constraints_and_indexes_are_not_named_like_tables() -> None:
    """PostgreSQL keeps both in one namespace; SQLite would not notice."""
    models = apps.get_models(include_auto_created=True)
    tables = {model._meta.db_table for model in models}
    names = [part.name for model in models for part in (*model._meta.constraints, *model._meta.indexes)]
    assert len(names) > 20
    assert not tables & set(names)


def test_no_tracked_file_names_a_package_registry() -> None:
    hosts = tuple(".".join(parts).encode() for parts in REGISTRIES)
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=settings.ROOT, check=True, capture_output=True, text=True
    ).stdout.split("\0")
    found = [
        name
        for name in filter(None, tracked)
        if (path := settings.ROOT / name).is_file() and any(host in path.read_bytes() for host in hosts)
    ]
    assert len(tracked) > 100
    assert found == []
