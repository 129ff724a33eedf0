"""scim2-tester and scim2-cli against the server as anybody runs it, over HTTP."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_models import ScimProvider
from scim2_tester import Status, check_server

from tests.peers.processes import Server, outer_environment

ROOT = Path(__file__).resolve().parent.parent.parent
BASE_URL = "http://127.0.0.1:18190"
SCIM_URL = f"{BASE_URL}/scim/v2"
TOKEN = "the-token-of-the-peers-0123456789-0123456789"
PARTIES = """
organisations:
  - {slug: acme, name: Acme, owner: it@acme.example}
scim_sources:
  - {slug: tester, organisation: acme, owner: hr@acme.example, token_env: PEERS_SCIM_TOKEN}
"""
ENOUGH_CHECKS = 100
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("scim")
    environment = {
        "DJANGO_SETTINGS_MODULE": "broker.settings",
        "BROKER_BASE_URL": BASE_URL,
        "BROKER_VAR": str(folder / "var"),
        "PEERS_SCIM_TOKEN": TOKEN,
    }
    (folder / "var").mkdir()
    (folder / "parties.yaml").write_text(PARTIES)
    command = [sys.executable, str(ROOT / "manage.py")]
    ready = f"{BASE_URL}/health/ready"
    with Server("the broker", [*command, "serve"], ready_url=ready, environment=environment, log=folder / "log") as one:
        one.wait()
        done = subprocess.run(
            [*command, "apply", str(folder / "parties.yaml")],
            env={**outer_environment(), **environment},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        yield one


@pytest.fixture
def scim2(server: Server) -> Run:
    """The command line of scim2-cli, told of the server by its environment."""
    del server
    program = Path(sys.executable).with_name("scim2")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        headers = f"Authorization: Bearer {TOKEN}"
        return subprocess.run(
            [str(program), "--url", SCIM_URL, *arguments],
            env={**outer_environment(), "SCIM_CLI_HEADERS": headers},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run


def test_every_check_of_scim2_tester_passes(server: Server) -> None:
    with httpx2.Client(
        base_url=SCIM_URL, headers={"Authorization": f"Bearer {TOKEN}"}, trust_env=False, timeout=60
    ) as http:
        results = check_server(SyncSCIMClient(http, provider=ScimProvider()))
    # A search over Users and Groups at once is optional (RFC 7644 section 3.4.2.1), and refused with 501.
    results = [one for one in results if (one.title, one.status) != ("search_with_attributes", Status.SKIPPED)]
    passed = [one for one in results if one.status in {Status.SUCCESS, Status.COMPLIANT, Status.ACCEPTABLE}]
    failed = [f"{one.status.name} {one.title}: {one.reason}" for one in results if one not in passed]
    assert not failed, "\n".join(failed)
    assert len(passed) >= ENOUGH_CHECKS, server.last_lines()


def test_the_command_line_tests_the_server(scim2: Run) -> None:
    done = scim2("test")
    said = done.stdout + done.stderr
    # Its status counts a skipped check as well; what it skips is the search over Users and Groups at once.
    assert said.count("SUCCESS") >= ENOUGH_CHECKS, said
    assert not {"ERROR", "DEVIATION", "CRITICAL"} & set(said.split()), said


def test_the_command_line_creates_reads_and_deletes(scim2: Run) -> None:
    created = scim2("create", "user", "--user-name", "ada.cli")
    assert created.returncode == 0, created.stderr
    shown = json.loads(created.stdout)
    assert shown["userName"] == "ada.cli"
    read = scim2("query", "user", shown["id"])
    assert json.loads(read.stdout)["id"] == shown["id"]
    assert scim2("delete", "user", shown["id"]).returncode == 0
    gone = scim2("query", "user", shown["id"])
    assert "scim.not_found" in gone.stdout + gone.stderr
