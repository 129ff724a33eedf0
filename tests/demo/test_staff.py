"""HR's own records: numbers and logins that nobody had, and nothing written that cannot be."""

from pathlib import Path

import pytest

from demo.staff import AT_MOST, FIRST, NEWCOMERS, BadRecord, Staff


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "staff.json"


@pytest.fixture
def staff(file: Path) -> Staff:
    return Staff(file)


def test_everybody_of_the_first_day_is_there(staff: Staff) -> None:
    assert [one.name for one in staff.everybody()] == ["Alice Moreau", "Bob Okafor", "Carol Lindqvist"]


def test_a_colleague_gets_a_number_and_a_login_that_nobody_had(staff: Staff) -> None:
    hired = [staff.hire("Alice", "Berg", "Finance") for _ in range(2)]
    assert [(one.number, one.login) for one in hired] == [("A-1004", "alice1"), ("A-1005", "alice2")]


@pytest.mark.parametrize(("name", "login"), [("Tomás", "tomas"), ("Jean-Luc", "jeanluc"), ("李", "colleague")])
def test_a_login_is_made_of_plain_letters(staff: Staff, name: str, login: str) -> None:
    assert staff.hire(name, "Berg", "Finance").login == login


def test_what_changed_is_there_after_a_restart(staff: Staff, file: Path) -> None:
    hired = staff.hire("Nora", "Berg", "Finance")
    staff.move(hired.number, "Sales")
    staff.rename(hired.number, "Bergström")
    staff.leave(hired.number)
    found = Staff(file).find(hired.number)
    assert (found.name, found.department, found.works_here) == ("Nora Bergström", "Sales", False)
    assert found.email == "nora@acme.example"
    assert Staff(file).everybody()[-1] == found


def test_who_comes_back_is_the_same_person(staff: Staff) -> None:
    staff.leave(FIRST[0].number)
    assert staff.come_back(FIRST[0].number) == FIRST[0]


@pytest.mark.parametrize("name", ["", "  ", "x" * 41, "Nora\0", "Nora\u202eareN"])
def test_a_name_that_is_none_is_refused(staff: Staff, file: Path, name: str) -> None:
    for ask in (
        lambda: staff.hire(name, "Berg", "Finance"),
        lambda: staff.hire("Nora", name, "Finance"),
        lambda: staff.rename(FIRST[0].number, name),
    ):
        with pytest.raises(BadRecord):
            ask()
    assert not file.exists()


def test_a_department_that_is_none_is_refused(staff: Staff) -> None:
    with pytest.raises(BadRecord):
        staff.hire("Nora", "Berg", "Espionage")
    with pytest.raises(BadRecord):
        staff.move(FIRST[0].number, "")


def test_nobody_of_an_unknown_number_is_changed(staff: Staff) -> None:
    for act in (staff.leave, staff.come_back, staff.find):
        with pytest.raises(BadRecord):
            act("A-9999")


def test_the_company_does_not_grow_without_end(staff: Staff) -> None:
    for _ in range(AT_MOST - len(FIRST)):
        staff.hire("Nora", "Berg", "Finance")
    with pytest.raises(BadRecord):
        staff.hire("Nora", "Berg", "Finance")


def test_newcomers_are_proposed_until_none_is_left(staff: Staff) -> None:
    for given, family in NEWCOMERS:
        assert staff.proposal() == (given, family)
        staff.hire(given, family, "Finance")
    assert staff.proposal() == ("", "")
