"""The HR system tells our own /scim/v2 of people as Entra does, and shows what was answered."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from broker.actors import SYSTEM
from broker.directory.models import Person
from demo.hr_system import HRSystem
from demo.scim_telling import Telling, document_of
from demo.staff import FIRST, Staff
from demo.web import Site
from provisioning.inbound.models import JournalEntry, ScimSource
from provisioning.inbound.sources import change_source
from provisioning.inbound.tokens import issue_token
from tests.demo.browser import Browser
from tests.fakes.server import saying, serving
from tests.provisioning.inbound.conftest import make_source

ADDRESS = "http://localhost:8006"
CRM = "http://localhost:8002/accounts"
ALICE = FIRST[0]
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def source() -> ScimSource:
    return make_source(slug="acme-hr", dialect="entra", match_external_id=True)


@pytest.fixture
def staff(tmp_path: Path) -> Staff:
    return Staff(tmp_path / "staff.json")


def open_pages(staff: Staff, telling: Telling) -> Browser:
    system = HRSystem(staff, telling, accounts=CRM)
    return Browser(Site(ADDRESS, system.pages(), on_fault=system.on_fault))


@pytest.fixture
def hr(live_server: Any, source: ScimSource, staff: Staff) -> Iterator[Browser]:
    return open_pages(staff, Telling(f"{live_server.url}/scim/v2", token=issue_token(source, actor=SYSTEM)))


def hire(hr: Browser, **fields: str) -> Browser:
    return hr.post("/hire", **({"given_name": "Nora", "family_name": "Berg", "department": "Finance"} | fields))


def nora() -> Person:
    return Person.objects.get(external_id="A-1004")


def test_who_is_hired_is_known_here(hr: Browser) -> None:
    page = hire(hr).follow()
    assert "Countersign was told, and answered 201." in page.text
    assert CRM in page.text
    assert (nora().name, nora().is_active) == ("Nora Berg", True)
    assert nora().claims["department"] == ["Finance"]


def test_a_move_and_another_name_follow(hr: Browser) -> None:
    hire(hr)
    assert "answered 200" in hr.post("/move", number="A-1004", department="Sales").follow().text
    assert "answered 200" in hr.post("/rename", number="A-1004", family_name="Bergström").follow().text
    assert (nora().name, nora().family_name) == ("Nora Bergström", "Bergström")
    assert nora().claims["department"] == ["Sales"]


def test_who_leaves_is_closed_by_a_word_and_who_comes_back_is_the_same_person(hr: Browser) -> None:
    hire(hr)
    page = hr.post("/leave", number="A-1004").follow()
    assert "&quot;value&quot;: &quot;False&quot;" in page.text
    assert not nora().is_active
    hr.post("/come-back", number="A-1004")
    assert nora().is_active
    assert Person.objects.count() == 1


def test_somebody_who_is_not_known_yet_is_told_whole(hr: Browser) -> None:
    hr.post("/move", number=ALICE.number, department="Finance")
    person = Person.objects.get(external_id=ALICE.number)
    assert person.claims["department"] == ["Finance"]
    assert list(JournalEntry.objects.order_by("pk").values_list("method", flat=True)) == ["GET", "POST"]


def test_the_telling_of_the_first_day_can_be_told_twice(live_server: Any, source: ScimSource, staff: Staff) -> None:
    telling = Telling(f"{live_server.url}/scim/v2", token=issue_token(source, actor=SYSTEM))
    for expected in (["GET", "POST"], ["GET", "PATCH"]):
        told = telling.tell(ALICE, [])
        assert [one.method for one in told] == expected
        assert all(one.is_well for one in told)
    assert Person.objects.get().name == "Alice Moreau"


def test_a_wrong_token_is_shown_with_the_answer_and_changes_nothing_there(live_server: Any, staff: Staff) -> None:
    hr = open_pages(staff, Telling(f"{live_server.url}/scim/v2", token="cst_nobodys"))
    page = hire(hr).follow()
    assert "Countersign answered 401" in page.text
    assert "scim.unauthenticated" in page.text
    assert "cst_nobodys" not in page.text
    assert not Person.objects.exists()


def test_what_failed_is_told_with_the_next_change(hr: Browser, source: ScimSource) -> None:
    change_source(source, enabled=False, actor=SYSTEM)
    hire(hr)
    assert not Person.objects.exists()
    change_source(source, enabled=True, actor=SYSTEM)
    hr.post("/move", number="A-1004", department="Sales")
    assert (nora().name, nora().claims["department"]) == ("Nora Berg", ["Sales"])


def test_nobody_who_answers_is_said(staff: Staff) -> None:
    with serving(saying(b"")) as server:
        hr = open_pages(staff, Telling(f"http://127.0.0.1:{server.port}", token="any"))
        assert "Countersign answered nothing" in hire(hr).follow().text


@pytest.mark.parametrize("body", [b"<h1>Welcome</h1>", b"[]", b"\xff"])
def test_an_answer_that_is_no_scim_is_said(staff: Staff, body: bytes) -> None:
    answer = b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    with serving(saying(answer)) as server:
        hr = open_pages(staff, Telling(f"http://127.0.0.1:{server.port}", token="any"))
        page = hire(hr).follow()
    assert "Countersign answered nothing" in page.text
    assert "Answered 200 with something else" in page.text


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/hire", {"given_name": "", "family_name": "Berg", "department": "Finance"}),
        ("/hire", {"given_name": "Nora"}),
        ("/move", {"number": ALICE.number, "department": "Espionage"}),
        ("/rename", {"number": ALICE.number, "family_name": " "}),
        ("/leave", {"number": "A-9999"}),
        ("/come-back", {}),
    ],
)
def test_what_cannot_be_written_is_said_and_told_to_nobody(hr: Browser, path: str, fields: dict[str, str]) -> None:
    page = hr.post(path, **fields)
    assert page.status == 400
    assert "Nothing was written" in page.text
    assert not JournalEntry.objects.exists()


def test_another_sites_form_is_refused(hr: Browser, staff: Staff) -> None:
    assert hr.post("/leave", origin="https://elsewhere.example", number=ALICE.number).status == 403
    assert staff.find(ALICE.number).works_here


def test_names_are_no_markup(hr: Browser) -> None:
    page = hire(hr, given_name="<script>", family_name="\"'&").follow()
    assert "<script>" not in page.text
    assert "&lt;script&gt;" in page.text
    page = hr.get("/person?number=A-1004")
    assert "<script>" not in page.text


def test_a_person_who_is_not_there_has_no_page(hr: Browser) -> None:
    assert hr.get("/person?number=A-9999").status == 400


def test_a_person_has_the_number_under_which_the_identity_provider_tells_of_them() -> None:
    assert document_of(ALICE)["externalId"] == "A-1001"
