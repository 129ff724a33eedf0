"""The CRM's SCIM service: what it is told is what it holds, unless it is told to misbehave."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from demo.accounts import Accounts, Behaviour
from demo.accounts_page import AccountsPage
from demo.look import Look
from demo.web import Answer, Beside, Site
from tests.demo.browser import Browser

ADDRESS = "http://localhost:8002"
TOKEN = "the-crms-own-token"
USER = {
    "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
    "userName": "nora@acme.example",
    "displayName": "Nora <Berg>",
    "active": True,
}


class CRM:
    """The service and the pages, asked as a WSGI server would."""

    def __init__(self, file: Path) -> None:
        self.accounts = Accounts(file, token=TOKEN)
        page = AccountsPage(self.accounts, look=Look("Acme CRM", "Customers", "C", "blue"))
        site = Site(ADDRESS, page.pages(), on_fault=lambda error: Answer(str(error).encode(), status=400))
        self.served = Beside(site, "/scim/v2", self.accounts)
        self.browser = Browser(site)

    def ask(self, method: str, path: str, body: Any = None, *, token: str = TOKEN) -> tuple[int, dict[str, Any]]:
        raw = b"" if body is None else json.dumps(body).encode()
        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": f"/scim/v2{path}",
            "QUERY_STRING": "",
            "CONTENT_LENGTH": str(len(raw)),
            "CONTENT_TYPE": "application/scim+json",
            "HTTP_AUTHORIZATION": f"Bearer {token}",
            "HTTP_HOST": "localhost:8002",
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(raw),
        }
        statuses: list[int] = []
        said = b"".join(self.served(environ, lambda status, _headers: statuses.append(int(status[:3]))))
        return statuses[0], json.loads(said) if said else {}

    def create(self) -> str:
        status, account = self.ask("POST", "/Users", USER)
        assert status == 201
        return str(account["id"])

    def close(self, account: str) -> int:
        operation = {"op": "replace", "path": "active", "value": False}
        patch = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [operation]}
        return self.ask("PATCH", f"/Users/{account}", patch)[0]

    def is_active(self, account: str) -> bool:
        return bool(self.ask("GET", f"/Users/{account}")[1]["active"])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "accounts.json"


@pytest.fixture
def crm(file: Path) -> CRM:
    return CRM(file)


def test_an_account_that_is_closed_is_closed(crm: CRM) -> None:
    account = crm.create()
    assert crm.close(account) in (200, 204)
    assert not crm.is_active(account)


@pytest.mark.parametrize("token", ["", "another", TOKEN[:-1], "ü"])
def test_nobody_else_writes(crm: CRM, token: str) -> None:
    status, said = crm.ask("POST", "/Users", USER, token=token)
    assert (status, said["status"]) == (401, "401")
    assert crm.accounts.people() == []


def test_a_liar_says_closed_and_leaves_it_open(crm: CRM) -> None:
    account = crm.create()
    crm.accounts.behaviour = Behaviour.LIES
    assert crm.close(account) in (200, 204)
    assert crm.is_active(account)
    crm.accounts.behaviour = Behaviour.HONEST
    assert crm.close(account) in (200, 204)
    assert not crm.is_active(account)


def test_a_liar_shows_the_closed_account_in_its_answer(crm: CRM) -> None:
    account = crm.create()
    crm.accounts.behaviour = Behaviour.LIES
    status, said = crm.ask("PUT", f"/Users/{account}", USER | {"active": False})
    assert (status, said["active"]) == (200, False)
    assert crm.is_active(account)


def test_a_liar_does_everything_else_as_it_is_told(crm: CRM) -> None:
    account = crm.create()
    crm.accounts.behaviour = Behaviour.LIES
    assert crm.ask("PUT", f"/Users/{account}", USER | {"displayName": "Nora Bergström"})[0] == 200
    assert crm.accounts.people()[0]["displayName"] == "Nora Bergström"


def test_who_is_down_answers_503_and_holds_what_it_held(crm: CRM) -> None:
    account = crm.create()
    crm.accounts.behaviour = Behaviour.DOWN
    assert crm.close(account) == 503
    assert crm.ask("GET", f"/Users/{account}")[0] == 503
    crm.accounts.behaviour = Behaviour.HONEST
    assert crm.is_active(account)


def test_accounts_are_there_after_a_restart(crm: CRM, file: Path) -> None:
    kept, gone = crm.create(), crm.ask("POST", "/Users", USER | {"userName": "idris@acme.example"})[1]["id"]
    crm.close(kept)
    assert crm.ask("DELETE", f"/Users/{gone}")[0] == 204
    again = CRM(file)
    assert [one["id"] for one in again.accounts.people()] == [kept]
    assert not again.is_active(kept)
    assert again.close(kept) in (200, 204)


def test_somebody_there_turns_an_account_on_again(crm: CRM, file: Path) -> None:
    account = crm.create()
    crm.close(account)
    page = crm.browser.get("/accounts")
    assert "Turn on Nora &lt;Berg&gt; again" in page.text
    assert page.post("/accounts/turn-on", account=account).status == 303
    assert crm.is_active(account)
    assert CRM(file).is_active(account)


def test_only_a_closed_account_is_turned_on(crm: CRM) -> None:
    account = crm.create()
    assert not crm.accounts.turn_on(account)
    assert not crm.accounts.turn_on("nobody")


def test_the_page_says_who_has_an_account_and_what_came(crm: CRM) -> None:
    assert "Nobody has an account yet" in crm.browser.get("/accounts").text
    crm.create()
    text = crm.browser.get("/accounts").text
    assert "Nora &lt;Berg&gt;" in text
    assert "POST /Users" in text
    assert TOKEN not in text


def test_the_page_says_that_it_misbehaves(crm: CRM) -> None:
    assert "misbehaves" not in crm.browser.get("/accounts").text
    assert crm.browser.post("/accounts/behave", behaviour="lies").status == 303
    assert "It misbehaves on purpose" in crm.browser.get("/accounts").text


def test_an_unknown_behaviour_changes_nothing(crm: CRM) -> None:
    assert crm.browser.post("/accounts/behave", behaviour="explode").status == 400
    assert crm.accounts.behaviour is Behaviour.HONEST


@pytest.mark.parametrize("path", ["/accounts/behave", "/accounts/turn-on"])
def test_another_sites_form_switches_nothing(crm: CRM, path: str) -> None:
    account = crm.create()
    crm.close(account)
    sent = crm.browser.post(path, origin="https://elsewhere.example", behaviour="lies", account=account)
    assert sent.status == 403
    assert crm.accounts.behaviour is Behaviour.HONEST
    assert not crm.is_active(account)
