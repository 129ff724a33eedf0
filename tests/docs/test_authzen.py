"""docs/authzen.md does what it says: its configuration is applied and its snippets are run."""

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from pytest_django import Settings

from broker.actors import SYSTEM
from broker.keys.services import ensure_keys
from broker.registry.models import Client
from broker.registry.secrets import issue_secret
from tests.broker.access.policies import activate

PAGE = Path(settings.ROOT / "docs" / "authzen.md").read_text()
POLICY = """
permit (principal == User::"alice", action == Action::"read", resource is record);
permit (principal == User::"alice", action == Action::"write", resource is record)
unless { resource has status && resource.status == "archived" };
"""


def snippets(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture
def environment(live_server: Any, tmp_path: Path, settings: Settings) -> dict[str, str]:
    """The page's own configuration, applied, and what its snippets take from the environment."""
    settings.BROKER_BASE_URL = live_server.url
    for number, configuration in enumerate(snippets("yaml")):
        path = tmp_path / f"{number}.yaml"
        path.write_text(configuration.replace("https://sso.acme.example", live_server.url))
        call_command("apply", str(path), stdout=io.StringIO())
    activate(POLICY)
    ensure_keys(SYSTEM)
    client = Client.objects.get(client_id="records-gateway")
    return {
        **os.environ,
        "COUNTERSIGN": live_server.url,
        "CLIENT_ID": client.client_id,
        "CLIENT_SECRET": issue_secret(client, actor=SYSTEM),
    }


def run(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.django_db(transaction=True)
def test_the_curl_snippets_get_the_answers_that_the_page_promises(environment: dict[str, str]) -> None:
    answers = [json.loads(run(["sh", "-euc", text], environment)) for text in snippets("bash")]
    one, by_token, several, search = answers
    assert one["decision"] is by_token["decision"] is True
    assert one["context"]["id"]
    assert [item["decision"] for item in several["evaluations"]] == [True, True]
    assert [found["id"] for found in search["results"]] == ["record-1", "record-2"]
    assert search["page"]["next_token"] == ""


@pytest.mark.django_db(transaction=True)
def test_the_python_snippet_is_denied_what_the_page_says(environment: dict[str, str]) -> None:
    (snippet,) = snippets("python")
    assert run([sys.executable, "-c", snippet], environment).startswith("denied, see decision ")
