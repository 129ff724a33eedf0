"""Targets in a configuration file: one step, and nothing of a credential ever comes out again."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from broker.actors import SYSTEM
from broker.events.models import Event
from broker.operations.configuration import apply_configuration, read_configuration
from broker.operations.export import export_configuration
from provisioning.outbound.credentials import credential_of
from provisioning.outbound.models import Target

pytestmark = pytest.mark.django_db
SECRET = "canary-secret-of-the-target-0123456789"
APPLICATION = {"slug": "crm", "kind": "crm", "owner": "crm-team@acme.example"}
TARGET = {
    "slug": "crm-scim",
    "application": "crm",
    "base_url": "https://crm.acme.example/scim/v2",
    "token_env": "CRM_SCIM_TOKEN",
    "dialect": "generic",
}


def write(folder: Path, **changes: Any) -> Path:
    target = {name: value for name, value in (TARGET | changes).items() if value is not None}
    path = folder / "company.yaml"
    path.write_text(yaml.safe_dump({"applications": [APPLICATION], "targets": [target]}))
    return path


def read(folder: Path, **changes: Any) -> Any:
    return read_configuration(write(folder, **changes), environment={"CRM_SCIM_TOKEN": SECRET})


def apply(folder: Path, **changes: Any) -> Target:
    apply_configuration(read(folder, **changes), actor=SYSTEM)
    return Target.objects.get(slug="crm-scim")


def problems(folder: Path, **changes: Any) -> str:
    with pytest.raises(Exception) as caught:
        apply(folder, **changes)
    assert not Target.objects.exists()
    said = f"{caught.value} {getattr(caught.value, 'problems', '')}"
    assert SECRET not in said
    return said


def test_a_target_is_registered_with_the_owner_of_its_application_and_a_sealed_credential(tmp_path: Path):
    target = apply(tmp_path, scope={"groups": ["sales"], "organisations": []})
    assert (target.owner, target.application.slug) == ("crm-team@acme.example", "crm")
    assert target.scope == {"groups": ["sales"]}
    assert target.mapping["userName"] == "user_name|email"
    assert SECRET not in target.credential_sealed
    assert credential_of(target) == SECRET


def test_what_was_applied_comes_out_and_goes_in_again_without_a_change(tmp_path: Path):
    apply(
        tmp_path,
        scope={"everyone": True},
        leaver_policy="delete",
        adoption="any",
        breaker_share=0.25,
        max_connections=64,
    )
    exported = export_configuration()
    assert SECRET not in exported
    [found] = yaml.safe_load(exported)["targets"]
    assert (found["leaver_policy"], found["breaker_share"], found["max_connections"]) == ("delete", 0.25, 64)
    assert found["adoption"] == "any"
    before = Event.objects.filter(type="party.changed").count()
    (tmp_path / "again.yaml").write_text(exported)
    apply_configuration(read_configuration(tmp_path / "again.yaml", environment={}), actor=SYSTEM)
    assert Event.objects.filter(type="party.changed").count() == before


def test_a_changed_mapping_is_computed_anew_and_a_changed_address_is_probed_anew(tmp_path: Path):
    target = apply(tmp_path)
    Target.objects.update(capabilities={"bulk": True}, probed_at=target.created_at)
    assert apply(tmp_path, mapping={"userName": "email"}).probed_at is not None
    assert apply(tmp_path, base_url="https://crm2.acme.example/scim/v2").probed_at is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"token_env": None}, "who are we there"),
        ({"token_env": "NOT_THERE"}, "the environment has no NOT_THERE"),
        ({"token_env": SECRET}, "is not the name of an environment variable"),
        ({"token": SECRET}, "do not stand in the file"),
        ({"client_secret_env": "CRM_SCIM_TOKEN"}, "already given"),
        ({"base_url": "http://crm.acme.example/scim"}, "https"),
        ({"base_url": "https://user:pw@crm.acme.example/scim"}, "name or a password"),
        ({"application": "erp"}, "erp"),
        ({"scope": {"grups": ["sales"]}}, "grups"),
        ({"scope": {"everyone": "yes"}}, "true or false"),
        ({"scope": {"everyone": True, "groups": ["a"]}}, "already"),
        ({"scope": {"organisations": ["nobody"], "everyone": True}}, "nobody"),
        ({"mapping": {"displayName": "name"}}, "userName is missing"),
        ({"mapping": {"userName": "email", "password": "email"}}, "password"),
        ({"mapping": {"userName": "email", "roles": "groups"}}, "roles"),
        ({"leaver_policy": "forget"}, "forget"),
        ({"adoption": "all"}, "all"),
        ({"max_connections": 65}, "64"),
        ({"breaker_share": 2}, "from 0 to 1"),
        ({"groups": ["sales"]}, "memberships"),
        ({"authentication": "client_credentials"}, "token_url is missing"),
        ({"verify_tls": False}, "verify_tls"),
    ],
)
def test_what_cannot_be_is_said_and_nothing_is_written(tmp_path: Path, changes: dict[str, Any], words: str):
    assert words in problems(tmp_path, **changes)
