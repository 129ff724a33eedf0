"""What docker/ promises: no root, nothing writable, nothing secret, and only variables that exist."""

import json
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings

from broker import env

DOCKER = settings.ROOT / "docker"
COMPOSE_FILE = DOCKER / "compose.yml"
COMPOSE = yaml.safe_load(COMPOSE_FILE.read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ONCE = {"migrate"}
"""Services that end by themselves."""


def read_dockerfile() -> list[tuple[str, str]]:
    """Its instructions as (name, arguments), with continued lines joined."""
    text = re.sub(r"^\s*#.*\n", "", (DOCKER / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = text.replace("\\\n", " ").splitlines()
    return [(line.split()[0], line.partition(" ")[2].strip()) for line in lines if line.strip()]


DOCKERFILE = read_dockerfile()
LAST_STAGE = DOCKERFILE[max(number for number, (name, _) in enumerate(DOCKERFILE) if name == "FROM") :]


def arguments(name: str, instructions: list[tuple[str, str]] = DOCKERFILE) -> list[str]:
    return [rest for one, rest in instructions if one == name]


def is_pinned(image: str) -> bool:
    tag = image.rpartition("/")[2].partition(":")[2].partition("@")[0]
    return bool(tag) and tag != "latest"


def variables(text: str) -> set[str]:
    return set(re.findall(r"\bBROKER_[A-Z_]+\b", text))


# --- The image ------------------------------------------------------------------------------------------------------
def test_the_image_runs_as_an_account_without_rights() -> None:
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", arguments("USER", LAST_STAGE)[-1])


def test_every_stage_begins_with_a_pinned_tag() -> None:
    named = dict(rest.split("=", 1) for rest in arguments("ARG"))
    images = [re.sub(r"\$\{(\w+)\}", lambda name: named[name[1]], rest.split()[0]) for rest in arguments("FROM")]
    assert len(images) == 3
    assert all(is_pinned(image) for image in images), images


def test_dependencies_are_the_lock_by_hash_and_never_compiled() -> None:
    (install,) = [rest for rest in arguments("RUN") if "pip install" in rest]
    for option in ("--require-hashes", "--only-binary :all:", "--requirement /requirements.lock"):
        assert option in install


def test_the_image_asks_itself_whether_it_is_ready() -> None:
    (check,) = arguments("HEALTHCHECK", LAST_STAGE)
    assert "/health/ready" in check


def test_no_secret_is_baked_into_the_image() -> None:
    secrets = {f"BROKER_{name.upper()}" for name in env.SECRET_NAMES}
    for name in ("ENV", "ARG"):
        assert not [rest for rest in arguments(name) if variables(rest) & secrets]
    assert "BROKER_SECRET_KEY" not in " ".join(rest for _, rest in LAST_STAGE)


def test_the_commands_are_lists_so_that_signals_reach_them() -> None:
    command = json.loads(arguments("CMD", LAST_STAGE)[-1])
    assert command[0] == "granian"
    assert command[-1] == settings.WSGI_APPLICATION.rpartition(".")[0] + ":application"
    assert not arguments("ENTRYPOINT")


def test_the_image_gets_only_what_is_named_and_is_there() -> None:
    rules = [line for line in (settings.ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    allowed = {rule[1:] for rule in rules if rule.startswith("!")}
    copied = {source for rest in arguments("COPY") if not rest.startswith("--from") for source in rest.split()[:-1]}
    assert rules[0] == "*"
    assert copied == allowed
    assert all((settings.ROOT / one).exists() for one in copied)
    assert not {"docker", "var", ".git", "tests", "demo"} & allowed


# --- The services ---------------------------------------------------------------------------------------------------
def test_the_compose_file_fits_its_schema() -> None:
    checked = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE_FILE],
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_services_are_these() -> None:
    assert set(SERVICES) == {"web", "worker", "beat", "migrate", "postgres", "valkey"}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_locked_in(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert "privileged" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service.get("user", "not root") not in {"root", "0", 0}
    assert "build" in service or "user" in service, "an image of others runs as root unless told otherwise"


@pytest.mark.parametrize("name", SERVICES)
def test_an_image_has_a_pinned_tag(name: str) -> None:
    assert is_pinned(SERVICES[name]["image"])


@pytest.mark.parametrize("name", sorted(set(SERVICES) - ONCE))
def test_a_service_that_stays_says_whether_it_is_healthy(name: str) -> None:
    service = SERVICES[name]
    assert service["restart"] == "unless-stopped"
    assert name == "web" or service["healthcheck"]["test"]  # the web server's is the image's


def test_only_the_web_server_has_a_port_and_only_on_loopback() -> None:
    ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert list(ports) == ["web"]
    assert all(port.startswith("127.0.0.1:") for port in ports["web"])
    assert COMPOSE["networks"]["inside"]["internal"] is True
    assert SERVICES["postgres"]["networks"] == SERVICES["valkey"]["networks"] == ["inside"]


@pytest.mark.parametrize("name", ["web", "worker", "beat"])
def test_ours_start_after_the_migration(name: str) -> None:
    assert SERVICES[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}


def test_secrets_are_files_and_every_one_is_used() -> None:
    used = {secret for service in SERVICES.values() for secret in service["secrets"]}
    assert used == set(COMPOSE["secrets"])
    assert all(secret == {"file": f"secrets/{name}"} for name, secret in COMPOSE["secrets"].items())
    secrets = {f"BROKER_{name.upper()}" for name in env.SECRET_NAMES}
    for service in SERVICES.values():
        assert not set(service.get("environment", {})) & secrets
        for variable, value in service.get("environment", {}).items():
            if variable.endswith("_FILE"):
                assert value.removeprefix("/run/secrets/") in service["secrets"]


# --- Their variables and their secrets ------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["Dockerfile", "compose.yml", "dev.env.example"])
def test_every_variable_that_is_named_exists(name: str) -> None:
    known = {f"BROKER_{field.upper()}" for field in env.Environment.model_fields}
    known |= {f"BROKER_{secret.upper()}_FILE" for secret in env.SECRET_NAMES}
    named = variables((DOCKER / name).read_text())
    assert named
    assert not named - known


def test_the_secrets_are_made_once_closed_to_others_and_ours_to_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "secrets"
    run = ["sh", str(DOCKER / "make-secrets.sh"), str(folder)]
    subprocess.run(run, check=True, capture_output=True)
    made = {path.name: path.read_text() for path in folder.iterdir()}
    subprocess.run(run, check=True, capture_output=True)

    assert set(made) == set(COMPOSE["secrets"])
    assert {path.name: path.read_text() for path in folder.iterdir()} == made
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700

    for secret in env.SECRET_NAMES:
        monkeypatch.delenv(f"BROKER_{secret.upper()}", raising=False)
        monkeypatch.setenv(f"BROKER_{secret.upper()}_FILE", str(folder / secret))
    for line in (DOCKER / "dev.env.example").read_text().splitlines():
        if line.startswith("BROKER_"):
            monkeypatch.setenv(*line.split("=", 1))
    environment = env.load()
    assert environment.database_url.get_secret_value().endswith("@postgres:5432/countersign")
    assert made["postgres_password"].strip() in environment.database_url.get_secret_value()
    assert made["valkey_password"].strip() in environment.redis_url.get_secret_value()
