"""/api/v1/leavers: read and exported by programs, within their scope."""

import uuid
from pathlib import Path

import pytest

from broker.events.models import Event
from tests.broker.api.calls import make_caller, refused
from tests.provisioning.leaver.stage import EMAIL, Leaver, seal, verify, with_account, with_session

pytestmark = pytest.mark.django_db


def test_cases_are_listed_and_shown_item_by_item(leaver: Leaver) -> None:
    with_session(leaver)
    with_account(leaver, "crm")
    case = leaver.leave()
    api = make_caller("leavers.read")
    (shown,) = api.get("/leavers?state=open").json()["items"]
    assert shown["id"] == str(case.pk)
    assert shown["person"] == str(leaver.person.pk)
    assert {item["kind"] for item in shown["items"]} == {"session", "application", "target"}
    assert shown == api.get(f"/leavers/{case.pk}").json()
    assert api.get(f"/leavers?person={leaver.person.pk}").json()["items"] == [shown]
    assert api.get("/leavers?state=green").json()["items"] == []


def test_an_export_is_verified_as_it_came(leaver: Leaver, log: Path, tmp_path: Path) -> None:
    with_session(leaver)
    case = leaver.leave()
    seal()
    api = make_caller("leavers.read")
    answer = api.get(f"/leavers/{case.pk}/export")
    run = verify(tmp_path, answer.content.decode(), anchor=log)
    assert run.returncode == 0, run.stdout
    assert Event.objects.filter(type="leaver.exported", actor_id=api.client.client_id).count() == 1
    assert EMAIL not in answer.content.decode()


def test_another_scope_does_not_reach_leavers(leaver: Leaver) -> None:
    case = leaver.leave()
    api = make_caller("people.read", "decisions.read")
    for path in ("/leavers", f"/leavers/{case.pk}", f"/leavers/{case.pk}/export"):
        assert refused(api.get(path))[0] == 403
    assert not Event.objects.filter(type="leaver.exported").exists()


def test_nothing_of_a_case_is_written_over_the_api(leaver: Leaver) -> None:
    case = leaver.leave()
    api = make_caller("leavers.read")
    for send in (api.post, api.patch):
        assert refused(send(f"/leavers/{case.pk}", {"state": "green"}))[0] in (403, 405)
    assert refused(api.delete(f"/leavers/{case.pk}"))[0] in (403, 405)


@pytest.mark.parametrize("path", ["", "/export"])
def test_what_is_not_there_is_not_found(path: str, leaver: Leaver) -> None:
    api = make_caller("leavers.read")
    assert refused(api.get(f"/leavers/{uuid.uuid4()}{path}")) == (404, "api.not_found")
