"""`manage.py setup`: the first keys, once, and what is left to do."""

import io
import json

import pytest
from django.core.management import call_command

from broker.actors import SYSTEM
from broker.console.models import Operator
from broker.console.services import create_operator
from broker.keys.models import SigningKey
from broker.keys.services import NEEDED, ensure_keys
from broker.registry.registering.resources import register_own_resources
from tests.factories import make_keys

pytestmark = pytest.mark.django_db


def run(*options: str) -> tuple[int, str]:
    """Exit code and standard output."""
    out = io.StringIO()
    try:
        call_command("setup", *options, stdout=out)
    except SystemExit as ended:
        return int(ended.code or 0), out.getvalue()
    return 0, out.getvalue()


def test_the_first_run_makes_the_keys_and_names_what_is_left() -> None:
    code, text = run()

    assert code == 0
    assert text.count("made    key ") == len(NEEDED) == SigningKey.objects.count()
    assert text.count("made    API ") == 2
    assert "to do   operators" in text
    assert "manage.py create_operator" in text


def test_a_second_run_makes_nothing() -> None:
    make_keys()
    register_own_resources(actor=SYSTEM)
    before = set(SigningKey.objects.values_list("kid", "state"))

    code, text = run("--json")

    assert (code, json.loads(text)["made"]) == (0, [])
    assert set(SigningKey.objects.values_list("kid", "state")) == before


def test_it_says_so_when_nothing_is_left() -> None:
    make_keys()
    for name in ("first", "second"):
        create_operator(f"{name}@acme.example", name=name, role=Operator.Role.OPERATOR, actor=SYSTEM)

    code, text = run("--json")

    assert code == 0
    assert {finding["level"] for finding in json.loads(text)["findings"]} == {"ok"}


def test_it_makes_no_key_in_tables_of_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "django.db.migrations.executor.MigrationExecutor.migration_plan",
        lambda *_: [(type("Waiting", (), {"app_label": "keys", "name": "0002_more"}), False)],
    )

    code, text = run()

    assert code == 1
    assert "Run: manage.py migrate" in text
    assert not SigningKey.objects.exists()


def test_it_fails_when_a_key_does_not_open() -> None:
    ensure_keys(SYSTEM)  # new ones, which no test has opened yet
    SigningKey.objects.filter(use=SigningKey.Use.SAML_SIGNING).update(private_key_sealed="k1.damaged")

    code, text = run()

    assert code == 1
    assert "BROKER_MASTER_KEYS" in text
