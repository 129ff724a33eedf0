"""Our own APIs: registered by the setup, with the scopes of the code and no others."""

import io
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from pytest_django import Settings

from broker.actors import SYSTEM
from broker.events.models import Event
from broker.registry.models import Resource
from broker.registry.registering.resources import (
    change_resource,
    create_resource,
    register_own_resources,
    retire_resource,
)
from broker.registry.values import BadValue
from tests.factories import make_resource

pytestmark = pytest.mark.django_db
BASE = settings.BROKER_BASE_URL


def own() -> Resource:
    return Resource.objects.get(identifier=f"{BASE}/api/v1")


def test_the_missing_ones_are_registered_once_with_their_event() -> None:
    done = register_own_resources(actor=SYSTEM)
    assert {row.identifier for row in done} == {f"{BASE}/access", f"{BASE}/api/v1"}
    assert own().scopes == settings.PROTECTED_RESOURCES["api/v1"]
    assert register_own_resources(actor=SYSTEM) == []
    assert Event.objects.filter(type="party.created", subject_kind="resource").count() == 2


def test_what_was_registered_before_keeps_its_lifetime_and_gets_the_scopes_of_this_version() -> None:
    make_resource(identifier=f"{BASE}/api/v1", scopes={"registry.read": "Read"}, token_lifetime=300)
    assert len(register_own_resources(actor=SYSTEM)) == 2
    assert (set(own().scopes), own().token_lifetime) == (set(settings.PROTECTED_RESOURCES["api/v1"]), 300)


def test_userinfo_needs_no_row() -> None:
    register_own_resources(actor=SYSTEM)
    assert not Resource.objects.filter(identifier__contains="userinfo").exists()


@pytest.mark.parametrize("scopes", [{}, {"registry.read": "Read"}, {"admin": "Everything"}])
def test_nobody_gives_them_other_scopes(scopes: dict[str, str]) -> None:
    with pytest.raises(BadValue, match="our own API"):
        create_resource(f"{BASE}/api/v1", scopes=scopes, actor=SYSTEM)
    register_own_resources(actor=SYSTEM)
    with pytest.raises(BadValue, match="our own API"):
        change_resource(own(), scopes=scopes, actor=SYSTEM)
    assert set(own().scopes) == set(settings.PROTECTED_RESOURCES["api/v1"])


def test_nothing_is_registered_under_the_name_of_our_userinfo_endpoint() -> None:
    with pytest.raises(BadValue, match="come with a sign-on"):
        create_resource(f"{BASE}/oauth/userinfo", scopes={"read": "Everybody"}, actor=SYSTEM)


def test_they_are_not_retired() -> None:
    register_own_resources(actor=SYSTEM)
    with pytest.raises(BadValue, match="stays"):
        retire_resource(own(), actor=SYSTEM)


def test_how_long_their_tokens_live_is_the_operators_choice() -> None:
    register_own_resources(actor=SYSTEM)
    change_resource(own(), token_lifetime=120, actor=SYSTEM)
    assert own().token_lifetime == 120


def test_a_file_cannot_change_their_scopes(tmp_path: Path) -> None:
    register_own_resources(actor=SYSTEM)
    path = tmp_path / "own.yaml"
    path.write_text(f"resources:\n  - identifier: {BASE}/api/v1\n    scopes: {{registry.read: Read, root: All}}\n")
    with pytest.raises((CommandError, SystemExit)):
        call_command("apply", str(path), stdout=io.StringIO(), stderr=io.StringIO())
    assert "root" not in own().scopes


def test_another_address_is_another_installation(settings: Settings) -> None:
    register_own_resources(actor=SYSTEM)
    settings.BROKER_BASE_URL = "https://other.example"
    assert len(register_own_resources(actor=SYSTEM)) == 2
