"""docs/use/*.md do what they say: their configuration is applied, and their snippets are run against a live broker."""

from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from broker.actors import SYSTEM
from broker.registry.models import Client, Flow
from broker.registry.registering.resources import register_own_resources
from broker.tokens.models import Grant
from tests.docs.pages import COMMANDS, Page, credentials, objects
from tests.factories import make_keys, make_resource, make_service
from tests.flows.stage import Browser, answer_of, make_company, unverified_claims

pytestmark = pytest.mark.django_db(transaction=True)
LANGUAGES = pytest.mark.parametrize("language", ["python", pytest.param("javascript", marks=pytest.mark.node)])


@pytest.fixture
def address(live_server: Any, settings: Settings) -> str:
    """The broker that the snippets call, with its keys and its own APIs."""
    settings.BROKER_BASE_URL = live_server.url
    make_keys()
    register_own_resources(actor=SYSTEM)
    return str(live_server.url)


def test_every_page_of_use_is_run_here() -> None:
    pages = {path.name for path in Path(__file__).parents[2].joinpath("docs", "use").glob("*.md")}
    assert pages == {"service_token.md", "introspection.md", "token_exchange.md", "api.md"}
    for name in pages:
        assert all(Page.read(f"use/{name}").snippets(language) for language in (*COMMANDS, "yaml")), name


def test_a_service_gets_its_token(address: str, tmp_path: Path) -> None:
    page = Page.read("use/service_token.md")
    page.apply(tmp_path)
    environment = {"COUNTERSIGN": address, **credentials("order-mirror")}
    issued, refused = (objects(printed)[0] for printed in page.run("bash", **environment))
    assert unverified_claims(issued["access_token"])["aud"] == "https://erp.acme.example/api"
    assert issued["scope"] == "orders.read"
    assert (refused["error"], bool(refused["trace_id"])) == ("invalid_scope", True)
    assert Flow.objects.filter(state="proposed", scopes=["orders.write"]).exists()


@LANGUAGES
def test_a_service_gets_its_token_in_its_own_language(address: str, tmp_path: Path, language: str) -> None:
    page = Page.read("use/service_token.md")
    page.apply(tmp_path)
    printed = page.run(language, COUNTERSIGN=address, **credentials("order-mirror"))
    assert printed == ["orders.read for 600 seconds\n"]


@pytest.fixture
def with_token(address: str, tmp_path: Path) -> dict[str, str]:
    """The environment of the page about introspection, with a token that came to the API."""
    Page.read("use/introspection.md").apply(tmp_path)
    environment = {"COUNTERSIGN": address, **credentials("order-mirror"), **credentials("erp", prefix="API")}
    issued = objects(Page.read("use/service_token.md").run("bash", **environment)[0])[0]
    return environment | {"TOKEN": issued["access_token"]}


def test_an_api_asks_whether_a_token_is_good_until_its_client_gives_it_back(with_token: dict[str, str]) -> None:
    live, ended = (objects(printed)[-1] for printed in Page.read("use/introspection.md").run("bash", **with_token))
    assert (live["active"], live["client_id"]) == (True, "order-mirror")
    assert ended == {"active": False}


@LANGUAGES
def test_an_api_lets_a_good_token_in_and_no_other(with_token: dict[str, str], language: str) -> None:
    page = Page.read("use/introspection.md")
    assert page.run(language, **with_token) == ["let in order-mirror for order-mirror\n"]
    with pytest.raises(AssertionError, match="401"):
        page.run(language, **with_token | {"TOKEN": with_token["TOKEN"][:-4]})


@pytest.fixture
def for_a_person(address: str, tmp_path: Path) -> dict[str, str]:
    """The environment of the page about exchanges, with the token of somebody who is signed on to the CRM."""
    company = make_company()
    Client.objects.filter(pk=company.client.pk).update(client_id="crm")
    company.client.client_id = "crm"
    Page.read("use/token_exchange.md").apply(tmp_path)
    ask = {"scope": "openid orders.read", "resource": "https://erp.acme.example/api"}
    code = answer_of(company.sign_on(Browser(), ask=ask))["code"]
    subject_token = company.redeem(code, resource=ask["resource"]).json()["access_token"]
    return {"COUNTERSIGN": address, "SUBJECT_TOKEN": subject_token, **credentials("erp")}


def test_a_service_acts_for_a_person_and_says_so(for_a_person: dict[str, str]) -> None:
    (exchanged,) = objects(Page.read("use/token_exchange.md").run("bash", **for_a_person)[0])
    claims = unverified_claims(exchanged["access_token"])
    assert (claims["aud"], claims["act"]) == ("https://hr.acme.example/api", {"sub": "erp", "client_id": "erp"})
    assert claims["sub"] == unverified_claims(for_a_person["SUBJECT_TOKEN"])["sub"]


@LANGUAGES
def test_a_service_acts_for_a_person_until_their_grant_ends(for_a_person: dict[str, str], language: str) -> None:
    page = Page.read("use/token_exchange.md")
    assert page.run(language, **for_a_person) == ["a token for people.read\n"]
    Grant.objects.filter(client__client_id="crm").update(revoked_at="2026-01-01T00:00:00Z")
    with pytest.raises(AssertionError, match=r"oauth\.subject_token"):
        page.run(language, **for_a_person)


@pytest.fixture
def managing(address: str, tmp_path: Path) -> dict[str, str]:
    """The environment of the page about the management API."""
    Page.read("use/api.md").apply(tmp_path)
    make_resource(identifier="https://erp.acme.example/api", scopes={"orders.read": "Read orders"})
    return {"COUNTERSIGN": address, **credentials("terraform")}


def test_a_program_manages_clients(managing: dict[str, str]) -> None:
    page = Page.read("use/api.md")
    made, listed = (objects(printed)[-1] for printed in page.run("bash", **managing))
    assert made["client_secret"].startswith("cs_")
    assert listed["items"][0]["client_id"] == "order-mirror"
    assert listed["next_cursor"]
    assert page.run("python", **managing) == ["now of mirror@acme.example\n"]


@pytest.mark.node
def test_a_program_proposes_flows(managing: dict[str, str]) -> None:
    make_service(client_id="order-mirror")
    (said,) = Page.read("use/api.md").run("javascript", **managing)
    assert said.endswith("is proposed\n")
    assert Flow.objects.get(client__client_id="order-mirror").state == "proposed"


@LANGUAGES
def test_a_snippet_that_fails_is_noticed(address: str, language: str) -> None:
    page = Page.read("use/service_token.md")
    with pytest.raises(AssertionError, match=r"oauth\.invalid_client"):
        page.run(language, COUNTERSIGN=address, CLIENT_ID="nobody", CLIENT_SECRET="nothing")
