"""docs/authzen.md does what it says: its configuration is applied and its snippets are run."""

import json
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from broker.actors import SYSTEM
from broker.keys.services import ensure_keys
from tests.broker.access.policies import activate
from tests.docs.pages import Page, credentials

PAGE = Page.read("authzen.md")
POLICY = """
permit (principal == User::"alice", action == Action::"read", resource is record);
permit (principal == User::"alice", action == Action::"write", resource is record)
unless { resource has status && resource.status == "archived" };
"""


@pytest.fixture
def environment(live_server: Any, tmp_path: Path, settings: Settings) -> dict[str, str]:
    """The page's own configuration, applied, and what its snippets take from the environment."""
    settings.BROKER_BASE_URL = live_server.url
    PAGE.apply(tmp_path)
    activate(POLICY)
    ensure_keys(SYSTEM)
    return {"COUNTERSIGN": live_server.url, **credentials("records-gateway")}


@pytest.mark.django_db(transaction=True)
def test_the_curl_snippets_get_the_answers_that_the_page_promises(environment: dict[str, str]) -> None:
    answers = [json.loads(printed) for printed in PAGE.run("bash", **environment)]
    one, by_token, several, search = answers
    assert one["decision"] is by_token["decision"] is True
    assert one["context"]["id"]
    assert [item["decision"] for item in several["evaluations"]] == [True, True]
    assert [found["id"] for found in search["results"]] == ["record-1", "record-2"]
    assert search["page"]["next_token"] == ""


@pytest.mark.django_db(transaction=True)
def test_the_python_snippet_is_denied_what_the_page_says(environment: dict[str, str]) -> None:
    (printed,) = PAGE.run("python", **environment)
    assert printed.startswith("denied, see decision ")
