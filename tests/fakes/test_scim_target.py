"""The application that the fault tests provision: both of its engines say the same, and its log is to be believed."""

import http.client
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.fakes.scim_target.effects import read_effects
from tests.fakes.scim_target.running import DidNotStart, ScimTarget

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
TOKEN = "the target's token"


class Client:
    """A client that keeps its connection, and asks as it is told to."""

    def __init__(self, target: ScimTarget) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=5)
        self.headers: http.client.HTTPMessage

    def ask(self, method: str, path: str, document: Any = None, **headers: str) -> tuple[int, Any]:
        sent = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/scim+json"}
        sent.update({name.replace("_", "-"): value for name, value in headers.items()})
        body = None if document is None else json.dumps(document)
        self._connection.request(method, f"/scim/v2{path}", body, sent)
        answer = self._connection.getresponse()
        raw = answer.read()
        self.headers = answer.headers
        return answer.status, (json.loads(raw) if raw else None)

    def create(self, name: str, /, **more: Any) -> dict[str, Any]:
        status, document = self.ask(
            "POST", "/Users", {"schemas": [USER], "userName": name, "externalId": f"x-{name}", "active": True, **more}
        )
        assert status == 201, document
        return document  # type: ignore[no-any-return]  # a User

    def patch(self, path: str, *operations: dict[str, Any], **headers: str) -> tuple[int, Any]:
        body = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": list(operations)}
        status, said = self.ask("PATCH", path, body, **headers)
        return (200 if status == 204 else status), said

    def disable(self, account: dict[str, Any]) -> tuple[int, Any]:
        return self.patch(f"/Users/{account['id']}", {"op": "replace", "path": "active", "value": False})

    def read(self, account: dict[str, Any]) -> dict[str, Any]:
        status, document = self.ask("GET", f"/Users/{account['id']}")
        assert status == 200
        document.pop("meta")
        return document  # type: ignore[no-any-return]

    def find(self, text: str, **parameters: str) -> list[str]:
        query = "".join(f"&{name}={quote(value)}" for name, value in parameters.items())
        status, page = self.ask("GET", f"/Users?filter={quote(text)}{query}")
        assert status == 200, page
        return [one["userName"] for one in page.get("Resources", [])]

    def bulk(self, *operations: dict[str, Any]) -> tuple[int, Any]:
        body = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": list(operations)}
        return self.ask("POST", "/Bulk", body)

    def close(self) -> None:
        self._connection.close()


@pytest.fixture(scope="module", params=[True, False], ids=["lean", "honest"])
def process(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScimTarget]:
    log = tmp_path_factory.mktemp("target") / "target.log"
    with ScimTarget(log, fast=request.param, token=TOKEN) as target:
        yield target


@pytest.fixture
def target(process: ScimTarget) -> ScimTarget:
    """Without accounts, faults and memory of what was asked."""
    process.mend()
    for kind, held in (("User", process.users()), ("Group", process.groups())):
        for document in held:
            process.act("delete", type=kind, id=document["id"])
    return process


@pytest.fixture
def client(target: ScimTarget) -> Iterator[Client]:
    client = Client(target)
    yield client
    client.close()


@pytest.fixture
def new_effects(target: ScimTarget) -> Callable[[], list[dict[str, Any]]]:
    before = len(target.effects())
    return lambda: target.effects()[before:]


def test_an_account_is_made_changed_read_and_removed(
    client: Client, new_effects: Callable[[], list[dict[str, Any]]]
) -> None:
    made = client.create("ada", name={"familyName": "Lovelace"})
    assert client.headers["Location"] == made["meta"]["location"]
    assert client.headers["ETag"] == made["meta"]["version"]
    status, _ = client.patch(
        f"/Users/{made['id']}",
        {"op": "add", "path": "name.givenName", "value": "Ada"},
        {"op": "replace", "path": "active", "value": False},
        {"op": "add", "path": f"{ENTERPRISE}:department", "value": "Engines"},
        {"op": "add", "path": "emails", "value": [{"type": "work", "value": "ada@acme.example"}]},
    )
    assert status == 200
    held = client.read(made)
    assert held["name"] == {"familyName": "Lovelace", "givenName": "Ada"}
    assert held["active"] is False
    assert held[ENTERPRISE] == {"department": "Engines"}
    assert held["emails"] == [{"type": "work", "value": "ada@acme.example"}]
    assert client.ask("DELETE", f"/Users/{made['id']}") == (204, None)
    assert client.ask("GET", f"/Users/{made['id']}")[0] == 404
    assert [effect["act"] for effect in new_effects()] == ["create", "change", "delete"]
    assert [effect["document"]["active"] for effect in new_effects()] == [True, False, False]


def test_the_log_has_a_line_for_an_effect_and_none_for_anything_else(
    client: Client, new_effects: Callable[[], list[dict[str, Any]]]
) -> None:
    made = client.create("ada")
    client.read(made)
    client.patch(f"/Users/{made['id']}", {"op": "replace", "path": "active", "value": True})
    client.ask("POST", "/Users", {"schemas": [USER], "userName": "ADA"})
    client.ask("DELETE", "/Users/nobody")
    assert [effect["act"] for effect in new_effects()] == ["create"]


def test_put_replaces_the_whole_account(client: Client) -> None:
    made = client.create("ada", title="Countess", nickName="A")
    status, _ = client.ask(
        "PUT", f"/Users/{made['id']}", {"schemas": [USER], "userName": "ada", "externalId": "x-ada", "title": "Analyst"}
    )
    assert status == 200
    held = client.read(made)
    assert held["title"] == "Analyst"
    assert "nickName" not in held


def test_a_user_name_is_taken_whatever_its_case(client: Client) -> None:
    client.create("ada")
    status, error = client.ask("POST", "/Users", {"schemas": [USER], "userName": "ADA"})
    assert (status, error["scimType"]) == (409, "uniqueness")


def test_accounts_are_found_by_what_a_client_asks_for(client: Client) -> None:
    client.create("ada")
    client.create("grace", title="Admiral")
    assert client.find('externalId eq "x-ada"') == ["ada"]
    assert client.find('userName eq "GRACE"') == ["grace"]
    assert client.find('userName eq "nobody"') == []
    assert client.find('title pr and userName sw "gr"') == ["grace"]


@pytest.mark.parametrize("text", ["userName", 'userName like "a"', 'userName eq "a" or', "(", "userName eq ada"])
def test_a_filter_that_is_none_is_refused(client: Client, text: str) -> None:
    status, error = client.ask("GET", f"/Users?filter={quote(text)}")
    assert (status, error["scimType"]) == (400, "invalidFilter")


def test_a_list_is_read_page_by_page(client: Client) -> None:
    names = {client.create(f"p{number}")["userName"] for number in range(7)}
    seen = set()
    for start in (1, 4, 7):
        _, page = client.ask("GET", f"/Users?startIndex={start}&count=3")
        assert page["totalResults"] == 7
        seen |= {one["userName"] for one in page["Resources"]}
    assert seen == names


def test_a_list_is_read_by_cursor_only_where_it_is_so(target: ScimTarget, client: Client) -> None:
    target.change(cursor_only=True)
    names = {client.create(f"p{number}")["userName"] for number in range(7)}
    assert client.ask("GET", "/Users?startIndex=4&count=3")[0] == 501
    seen, cursor = set(), ""
    for _ in range(3):
        _, page = client.ask("GET", f"/Users?count=3&cursor={quote(cursor)}")
        seen |= {one["userName"] for one in page["Resources"]}
        cursor = page.get("nextCursor", "")
    assert seen == names
    assert not cursor
    assert client.ask("GET", "/ServiceProviderConfig")[1]["pagination"]["index"] is False


def test_a_group_s_members_come_and_go_and_the_log_names_them(
    client: Client, new_effects: Callable[[], list[dict[str, Any]]]
) -> None:
    ada, grace = client.create("ada"), client.create("grace")
    status, group = client.ask(
        "POST", "/Groups", {"schemas": [GROUP], "displayName": "Engines", "members": [{"value": ada["id"]}]}
    )
    assert status == 201
    where = f"/Groups/{group['id']}"
    assert client.patch(where, {"op": "add", "path": "members", "value": [{"value": grace["id"]}]})[0] == 200
    assert client.patch(where, {"op": "remove", "path": f'members[value eq "{ada["id"]}"]'})[0] == 200
    members = client.ask("GET", where)[1]["members"]
    assert [member["value"] for member in members] == [grace["id"]]
    assert "members" not in client.ask("GET", f"{where}?excludedAttributes=members")[1]
    changes = [(effect.get("added"), effect.get("removed")) for effect in new_effects() if effect["type"] == "Group"]
    assert changes == [([ada["id"]], None), ([grace["id"]], None), (None, [ada["id"]])]


def test_bulk_makes_accounts_and_the_group_that_holds_them(client: Client) -> None:
    status, answer = client.bulk(
        {"method": "POST", "path": "/Users", "bulkId": "a", "data": {"schemas": [USER], "userName": "ada"}},
        {"method": "POST", "path": "/Users", "bulkId": "b", "data": {"schemas": [USER], "userName": "ADA"}},
        {
            "method": "POST",
            "path": "/Groups",
            "bulkId": "g",
            "data": {"schemas": [GROUP], "displayName": "Engines", "members": [{"value": "bulkId:a"}]},
        },
    )
    assert status == 200
    assert [one["status"] for one in answer["Operations"]] == ["201", "409", "201"]
    user, group = (answer["Operations"][number]["location"].rsplit("/", 1)[1] for number in (0, 2))
    assert client.ask("GET", f"/Groups/{group}")[1]["members"][0]["value"] == user


def test_a_version_that_is_not_the_account_s_changes_nothing(target: ScimTarget, client: Client) -> None:
    made = client.create("ada")
    change = {"op": "replace", "path": "title", "value": "Countess"}
    where, version = f"/Users/{made['id']}", made["meta"]["version"]
    assert client.patch(where, change, If_Match='W/"0"')[0] == 412
    target.change(if_match_required=True)
    assert client.patch(where, change)[0] == 428
    assert client.patch(where, change, If_Match=version)[0] == 200
    assert client.patch(where, {**change, "value": "Analyst"}, If_Match=version)[0] == 412
    assert client.read(made)["title"] == "Countess"


def test_only_who_has_the_token_comes_in(client: Client) -> None:
    assert client.ask("GET", "/Users", Authorization="Bearer another")[0] == 401
    assert client.ask("GET", "/Users", Authorization="")[0] == 401
    assert client.ask("GET", "/ServiceProviderConfig", Authorization="")[0] == 200


@pytest.mark.parametrize("trait", ["no_patch", "no_bulk", "no_filter_by_external_id"])
def test_what_it_cannot_do_is_refused_and_announced(target: ScimTarget, client: Client, trait: str) -> None:
    target.change(**{trait: True})
    made = client.create("ada")
    refused = {
        "no_patch": lambda: client.disable(made),
        "no_bulk": lambda: client.bulk({"method": "DELETE", "path": f"/Users/{made['id']}"}),
        "no_filter_by_external_id": lambda: client.ask("GET", "/Users?filter=externalId%20eq%20%22x-ada%22"),
    }[trait]()
    assert refused[0] in (400, 501)
    config = client.ask("GET", "/ServiceProviderConfig")[1]
    assert config["patch"]["supported"] is (trait != "no_patch")
    assert config["bulk"]["supported"] is (trait != "no_bulk")
    assert client.read(made)["active"] is True


def test_a_liar_says_disabled_and_leaves_the_account(
    target: ScimTarget, client: Client, new_effects: Callable[[], list[dict[str, Any]]]
) -> None:
    target.change(lie_on_disable=["x-ada"], lie_on_delete=["x-ada"])
    ada, grace = client.create("ada"), client.create("grace")
    for account in (ada, grace):
        status, said = client.disable(account)
        assert status == 200
        assert said is None or said["active"] is False
    assert client.read(ada)["active"] is True
    assert client.read(grace)["active"] is False
    assert client.ask("DELETE", f"/Users/{ada['id']}")[0] == 204
    assert client.read(ada)["active"] is True
    acts = [(effect["act"], effect["document"]["userName"]) for effect in new_effects()]
    assert acts[:2] == [("create", "ada"), ("create", "grace")]
    assert ("lie", "ada") in acts
    assert ("change", "ada") not in acts
    assert ("change", "grace") in acts
    target.mend()
    assert client.disable(ada)[0] == 200
    assert client.read(ada)["active"] is False


def test_it_enables_an_account_by_itself_and_its_people_do_what_they_want(target: ScimTarget, client: Client) -> None:
    made = client.create("ada")
    target.change(enable_again_after=0.05)
    client.disable(made)
    deadline = time.monotonic() + 5
    while not client.read(made)["active"]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert target.effects()[-1]["by"] == "target"
    target.act("disable", user_name="ada")
    assert client.read(made)["active"] is False
    target.act("change", external_id="x-ada", document={"title": "Countess"})
    assert client.read(made)["title"] == "Countess"
    target.act("create", document={"schemas": [USER], "userName": "shadow"})
    assert client.find('userName eq "shadow"') == ["shadow"]
    target.act("delete", user_name="shadow")
    assert client.find('userName eq "shadow"') == []
    with pytest.raises(ValueError, match="404"):
        target.act("delete", user_name="shadow")


def test_an_answer_is_replaced_as_often_as_was_asked_for(
    target: ScimTarget, client: Client, new_effects: Callable[[], list[dict[str, Any]]]
) -> None:
    target.fault("answer", status=429, headers={"Retry-After": "7"}, method="POST", path="/Users", skip=1, times=1)
    client.create("ada")
    status, _ = client.ask("POST", "/Users", {"schemas": [USER], "userName": "grace"})
    assert status == 429
    assert client.headers["Retry-After"] == "7"
    client.create("grace")
    assert len(new_effects()) == 2
    assert target.faults()["faults"] == [{"fault": "answer", "times": 0, "hits": 1}]
    last = target.requests()[-2]
    assert (last["method"], last["url"], last["status"], last["fault"]) == ("POST", "/scim/v2/Users", 429, "answer")


def test_html_and_a_redirect_come_instead_of_the_answer(
    target: ScimTarget, client: Client, new_effects: Callable[[], list[dict[str, Any]]]
) -> None:
    target.fault("html", times=1)
    target.fault("redirect", location="http://127.0.0.1:9/", times=1)
    with pytest.raises(json.JSONDecodeError):
        client.create("ada")
    assert client.headers["Content-Type"].startswith("text/html")
    assert client.ask("POST", "/Users", {"schemas": [USER], "userName": "ada"})[0] == 302
    assert client.headers["Location"] == "http://127.0.0.1:9/"
    assert new_effects() == []


@pytest.mark.parametrize("fault", ["cut", "hang"])
def test_an_answer_is_lost_and_its_effect_is_not(
    target: ScimTarget, client: Client, new_effects: Callable[[], list[dict[str, Any]]], fault: str
) -> None:
    target.fault(fault, times=1, seconds=0.05)
    with pytest.raises((http.client.HTTPException, OSError)):
        client.create("ada")
    assert [effect["act"] for effect in new_effects()] == ["create"]
    client.close()
    assert client.find('userName eq "ada"') == ["ada"]


def test_an_answer_comes_byte_by_byte(target: ScimTarget, client: Client) -> None:
    target.fault("trickle", rate=2.0, times=1)
    with socket.create_connection(("127.0.0.1", target.port), timeout=5) as connection:
        connection.sendall(f"GET /scim/v2/Users HTTP/1.1\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode())
        assert connection.recv(1024) == b"H"


def test_a_bulk_request_dies_after_some_of_it(
    target: ScimTarget, client: Client, new_effects: Callable[[], list[dict[str, Any]]]
) -> None:
    target.fault("bulk_dies", after=3, path="/Bulk", times=1)
    operations = [
        {
            "method": "POST",
            "path": "/Users",
            "bulkId": f"b{number}",
            "data": {"schemas": [USER], "userName": f"p{number}"},
        }
        for number in range(5)
    ]
    with pytest.raises((http.client.HTTPException, OSError)):
        client.bulk(*operations)
    assert [effect["document"]["userName"] for effect in new_effects()] == ["p0", "p1", "p2"]


def test_more_than_its_rate_is_told_to_come_later(target: ScimTarget, client: Client) -> None:
    target.change(rate=2.0)
    statuses = [client.ask("GET", "/Users?count=1")[0] for _ in range(5)]
    assert statuses[-1] == 429
    assert client.headers["Retry-After"] == "1"


def test_its_latency_stands_before_and_after_the_effect(
    target: ScimTarget, client: Client, new_effects: Callable[[], list[dict[str, Any]]]
) -> None:
    target.change(latency_ms=100)
    began = time.monotonic()
    client.create("ada")
    assert time.monotonic() - began >= 0.1
    assert time.time() - new_effects()[0]["at"] >= 0.05


def test_what_is_no_fault_is_refused(target: ScimTarget) -> None:
    with pytest.raises(ValueError, match="no such fault"):
        target.fault("meteorite")
    with pytest.raises(ValueError, match="no such trait"):
        target.change(kind=True)


@pytest.mark.parametrize("fast", [True, False], ids=["lean", "honest"])
def test_a_killed_application_comes_back_as_its_log_says(tmp_path: Path, fast: bool) -> None:
    with ScimTarget(tmp_path / "target.log", fast=fast) as target:
        client = Client(target)
        ada, grace = client.create("ada", title="Countess"), client.create("grace")
        client.ask("POST", "/Groups", {"schemas": [GROUP], "displayName": "E", "members": [{"value": ada["id"]}]})
        client.disable(ada)
        client.ask("DELETE", f"/Users/{grace['id']}")
        before, port = (target.users(), target.groups()), target.port
        target.kill()
        with pytest.raises(OSError):
            client.read(ada)
        target.start()
        assert target.port == port
        assert (target.users(), target.groups()) == before
        client.close()
        assert client.read(ada)["active"] is False
        client.create("grace")
        assert client.ask("POST", "/Users", {"schemas": [USER], "userName": "ada"})[0] == 409
        client.close()
    assert [effect["n"] for effect in target.effects()] == list(range(1, len(target.effects()) + 1))


def test_a_line_that_was_not_finished_is_no_effect(tmp_path: Path) -> None:
    log = tmp_path / "target.log"
    log.write_text('{"n": 1}\n{"n": 2')
    assert read_effects(log) == [{"n": 1}]
    assert read_effects(tmp_path / "none.log") == []


def test_two_accounts_of_one_name_where_the_application_does_not_care(tmp_path: Path) -> None:
    for fast in (True, False):
        with ScimTarget(tmp_path / f"{fast}.log", fast=fast, doubles=True) as target:
            client = Client(target)
            client.create("ada")
            client.create("ada")
            assert client.find('externalId eq "x-ada"') == ["ada", "ada"]
            client.close()


def test_a_client_gets_tokens_that_work(tmp_path: Path) -> None:
    with ScimTarget(tmp_path / "target.log", fast=True, client="broker:a secret") as target:
        connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=5)
        form = "grant_type=client_credentials&client_id=broker&client_secret=a+secret"
        connection.request("POST", "/oauth/token", form)
        token = json.loads(connection.getresponse().read())["access_token"]
        connection.request("POST", "/oauth/token", form.replace("secret=a", "secret=b"))
        refused = connection.getresponse()
        refused.read()
        connection.close()
        assert refused.status == 401
        client = Client(target)
        assert client.ask("GET", "/Users", Authorization=f"Bearer {token}")[0] == 200
        assert client.ask("GET", "/Users")[0] == 401
        client.close()


def test_it_says_why_it_did_not_start_and_ends_with_who_started_it(tmp_path: Path) -> None:
    with pytest.raises(DidNotStart, match="no such trait"):
        ScimTarget(tmp_path / "target.log", fast=True, kind=True).start()
    target = ScimTarget(tmp_path / "other.log", fast=True).start()
    pid = target.pid
    assert target._process is not None
    assert target._process.stdin is not None
    target._process.stdin.close()
    target._process.wait(10)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert target._process.stdout is not None
    target._process.stdout.close()
