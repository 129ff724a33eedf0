"""Files of people: what is found out of them, what they change, what is rejected, and what closes nobody."""

import csv
import json
import stat
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.test import Client as Browser
from django.urls import reverse

from broker import limits
from broker.actors import SYSTEM, Actor, ActorKind
from broker.approvals.services import approve, refuse
from broker.console.models import Operator
from broker.directory.authority import explain_value
from broker.directory.models import Person
from broker.directory.services import create_person
from broker.errors import BrokerError
from broker.events.models import Event
from broker.registry.values import BadValue
from provisioning.batch import services
from provisioning.batch.models import Entry, Import
from provisioning.batch.reading import Reject, open_file
from provisioning.batch.release import ask_for_release
from provisioning.batch.sources import change_file_source, create_file_source, retire_file_source
from tests.broker.console.conftest import console, make_operator, sign_in, viewer_console
from tests.factories import make_organisation

__all__ = ["console", "make_operator", "sign_in", "viewer_console"]

pytestmark = pytest.mark.django_db
HEADINGS = "Employee ID,First name,Last name,E-Mail,Job title"
ADA = "1,Ada,Lovelace,ada@acme.example,Analyst"
BOB = "2,Bob,Byron,bob@acme.example,Poet"
CYD = "3,Cyd,Charisse,cyd@acme.example,Dancer"


def make_source(slug="payroll", **fields):
    return create_file_source(
        slug, organisation=make_organisation(), actor=SYSTEM, **({"owner": "hr@acme.example"} | fields)
    )


def write(tmp_path, *lines, name="people.csv", encoding="utf-8"):
    path = tmp_path / name
    path.write_bytes("\r\n".join([*lines, ""]).encode(encoding))
    return path


def run(path, *options, source="payroll", status=0):
    out = StringIO()
    try:
        call_command("import_people", str(path), "--source", source, *options, stdout=out, stderr=StringIO())
        found = 0
    except SystemExit as end:
        found = end.code
    assert found == status, out.getvalue()
    return out.getvalue()


def apply(path, **options):
    return run(path, "--apply", **options)


def person(key):
    return Person.objects.get(external_id=key)


# --- What is applied -------------------------------------------------------------------------------------------------
def test_a_plan_says_what_would_change_and_writes_nothing(tmp_path):
    make_source()
    told = run(write(tmp_path, HEADINGS, ADA, BOB), status=2)
    assert "would create 2, change 0, leave 0 as they are" in told
    assert "Employee ID -> employee_number" in told
    assert not Person.objects.exists()
    assert not Import.objects.exists()


def test_a_file_makes_people_and_each_value_knows_its_import(tmp_path):
    make_source()
    told = apply(write(tmp_path, HEADINGS, ADA, BOB))
    assert "created 2, changed 0" in told
    ada = person("1")
    assert (ada.given_name, ada.family_name) == ("Ada", "Lovelace")
    explained = explain_value(ada, "title")
    assert explained.values == ("Analyst",)
    assert explained.winner == "csv:payroll"
    assert explained.sources[0].evidence == f"import:{Import.objects.get().pk}"
    assert Event.objects.get(type="import.done").details["created"] == 2


def test_the_same_again_is_no_work(tmp_path):
    make_source()
    path = write(tmp_path, HEADINGS, ADA, BOB)
    apply(path)
    versions = list(Person.objects.order_by("external_id").values_list("version", flat=True))
    assert "created 0, changed 0, left 2 as they were" in apply(path)
    assert list(Person.objects.order_by("external_id").values_list("version", flat=True)) == versions


def test_a_change_is_planned_with_its_attributes_and_not_its_values(tmp_path):
    make_source()
    apply(write(tmp_path, HEADINGS, ADA, BOB))
    changed = write(tmp_path, HEADINGS, ADA.replace("Analyst", "Countess"), BOB)
    told = run(changed, status=2)
    assert "~ 1: title" in told
    assert "Countess" not in told
    apply(changed)
    assert person("1").claims["title"] == ["Countess"]


def test_a_person_whom_another_source_recorded_under_the_key_is_met(tmp_path):
    source = make_source()
    known = create_person(source.organisation, external_id="1", actor=SYSTEM)
    apply(write(tmp_path, HEADINGS, ADA))
    assert person("1").pk == known.pk


def test_a_person_of_another_organisation_is_not_met(tmp_path):
    make_source()
    stranger = create_person(make_organisation(domains=()), external_id="1", actor=SYSTEM)
    apply(write(tmp_path, HEADINGS, ADA))
    assert Person.objects.filter(external_id="1").exclude(pk=stranger.pk).count() == 1


@pytest.mark.parametrize(("word", "is_active"), [("yes", True), ("Inactive", False), ("0", False), ("TRUE", True)])
def test_who_is_active(tmp_path, word, is_active):
    make_source()
    apply(write(tmp_path, HEADINGS + ",Status", f"{ADA},{word}"))
    assert person("1").is_active is is_active


def test_json_for_scripts(tmp_path):
    make_source()
    path = write(tmp_path, HEADINGS, ADA, "x")
    planned = json.loads(run(path, "--json", status=2))
    assert (planned["created"], planned["rejected"][0]["code"]) == (1, "import.row")
    applied = json.loads(run(path, "--json", "--apply", status=3))
    assert (applied["created"], applied["rejected"], applied["state"]) == (1, 1, "done")


# --- How files are written -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_encodings_and_delimiters_are_found(tmp_path, encoding, delimiter):
    make_source()
    lines = [line.replace(",", delimiter) for line in (HEADINGS, ADA.replace("Ada", "Zoë"))]
    told = apply(write(tmp_path, *lines, encoding=encoding))
    assert person("1").given_name == "Zoë"
    assert ("a guess" in told) == (encoding == "cp1252")


def test_a_heading_in_quotes_with_the_delimiter_inside(tmp_path):
    make_source()
    apply(write(tmp_path, '"Employee ID";"First name";"Notes, old, odd, and long"', "1;Ada;none"))
    assert person("1").given_name == "Ada"


def test_headings_that_say_nothing_are_mapped_by_the_source_and_others_told(tmp_path):
    make_source(columns={"PERSNR": "employee_number", "ABT": "department"})
    told = apply(write(tmp_path, "PERSNR,ABT,SHOE SIZE", "7,Sales,44"))
    assert person("7").claims["department"] == ["Sales"]
    assert "not read: SHOE SIZE" in told


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "import.file"),
        (b"\r\n\r\n", "import.file"),
        (b'Employee ID,First name\r\n1,"Ada', "import.file"),
        (b"First name,Last name\r\nAda,Lovelace\r\n", "import.headings"),
        (b"Employee ID,E-Mail,Mail\r\n1,a@acme.example,b@acme.example\r\n", "import.headings"),
        (b"Employee ID,First name\r\n", "import.nothing"),
        (b"\xff\xfeE\x00m\x00", "import.headings"),
        (b"\xff\xfeE", "import.file"),
    ],
)
def test_a_file_that_is_none_is_refused_whole(tmp_path, content, code):
    make_source()
    path = tmp_path / "people.csv"
    path.write_bytes(content)
    for options in ([], ["--apply"]):
        with pytest.raises(CommandError, match=code):
            run(path, *options)
    assert not Person.objects.exists()


def test_a_file_that_is_not_there(tmp_path):
    make_source()
    with pytest.raises(CommandError, match=r"import\.file"):
        run(tmp_path / "nobody.csv")


def test_an_encoding_that_is_none(tmp_path):
    make_source()
    with pytest.raises(CommandError, match="is no encoding"):
        run(write(tmp_path, HEADINGS, ADA), "--encoding", "klingon")


def test_import_file_bytes(tmp_path, monkeypatch):
    path = write(tmp_path, HEADINGS, ADA)
    monkeypatch.setattr(limits, "IMPORT_FILE_BYTES", path.stat().st_size)
    assert open_file(path, key="employee_number", columns={}).rows == 1
    monkeypatch.setattr(limits, "IMPORT_FILE_BYTES", path.stat().st_size - 1)
    with pytest.raises(BrokerError, match=r"import\.file"):
        open_file(path, key="employee_number", columns={})


# --- What is rejected ------------------------------------------------------------------------------------------------
def test_a_bad_row_stops_no_other_and_lies_beside_the_file_with_its_reason(tmp_path):
    make_source()
    path = write(tmp_path, HEADINGS, ADA, "2,Bob", ",No,Key,x@acme.example,?", "1,Twice,Told,,", CYD)
    told = apply(path, status=3)
    assert "created 2, changed 0" in told
    rejects = tmp_path / "people.csv.rejects.csv"
    assert stat.S_IMODE(rejects.stat().st_mode) == 0o600
    with rejects.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["row"], row["code"]) for row in rows] == [
        ("2", "import.row"), ("3", "import.row"), ("4", "import.duplicate_key"),
    ]  # fmt: skip
    assert rows[2]["First name"] == "Twice"


def test_a_cell_that_a_spreadsheet_would_compute_is_written_as_text(tmp_path):
    make_source()
    path = write(tmp_path, HEADINGS, ADA, "1,=HYPERLINK(1),x,,")
    apply(path, status=3)
    assert "'=HYPERLINK(1)" in (tmp_path / "people.csv.rejects.csv").read_text()


@pytest.mark.parametrize(
    "row",
    ["2,Bob\x00,B,b@acme.example,x", "2," + "B" * 300 + ",B,b@acme.example,x", "9" * 201 + ",B,B,b@acme.example,x"],
)
def test_values_that_nobody_can_keep(tmp_path, row):
    make_source()
    apply(write(tmp_path, HEADINGS, ADA, row), status=3)
    assert Person.objects.count() == 1


def test_where_no_row_can_be_applied_nothing_was_checked(tmp_path):
    make_source()
    with pytest.raises(CommandError, match=r"import\.nothing"):
        apply(write(tmp_path, HEADINGS, "x", "y"))


def test_an_address_that_is_somebody_elses_is_a_conflict_and_the_rest_is_applied(tmp_path):
    make_source()
    told = apply(write(tmp_path, HEADINGS, ADA, BOB.replace("bob@", "ada@")))
    assert "1 values lost" in told
    assert person("2").given_name == "Bob"


# --- What was cut short ----------------------------------------------------------------------------------------------
def test_an_import_that_was_cut_short_goes_on_where_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "IMPORT_CHUNK", 2)
    source = make_source()
    path = write(tmp_path, HEADINGS, *(f"{n},Name{n},X,," for n in range(1, 8)))
    file = open_file(path, key=source.key, columns={})

    class Killed(BaseException):
        pass

    def die(so_far):
        if so_far.position == 4:
            raise Killed

    with pytest.raises(Killed):
        services.apply_import(source, file, actor=SYSTEM, on_reject=lambda _: None, on_progress=die)
    assert Person.objects.count() == 4
    done = services.apply_import(source, file, actor=SYSTEM, on_reject=lambda _: None)
    assert (done.created, done.position, done.state) == (7, 7, Import.State.DONE)
    assert Import.objects.count() == 1
    assert Person.objects.count() == 7


def test_a_second_one_at_the_same_place_writes_nothing_twice(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "IMPORT_CHUNK", 2)
    source = make_source()
    path = write(tmp_path, HEADINGS, *(f"{n},Name{n},X,," for n in range(1, 7)))
    file = open_file(path, key=source.key, columns={})

    def overtake(so_far):
        Import.objects.filter(pk=so_far.pk).update(position=5)

    with pytest.raises(BrokerError, match=r"import\.busy"):
        services.apply_import(source, file, actor=SYSTEM, on_reject=lambda _: None, on_progress=overtake)
    assert Person.objects.count() == 2


def test_a_newer_file_ends_one_that_was_cut_short(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "IMPORT_CHUNK", 1)
    source = make_source()
    file = open_file(write(tmp_path, HEADINGS, ADA, BOB), key=source.key, columns={})

    def stop(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        services.apply_import(source, file, actor=SYSTEM, on_reject=lambda _: None, on_progress=stop)
    apply(write(tmp_path, HEADINGS, CYD, name="newer.csv"))
    assert [one.state for one in Import.objects.order_by("pk")] == [Import.State.REFUSED, Import.State.DONE]


# --- Who is missing --------------------------------------------------------------------------------------------------
def many(first, last):
    return [f"{n},Name{n},X,," for n in range(first, last + 1)]


def test_who_is_missing_in_a_file_that_names_everybody_is_closed(tmp_path):
    make_source(is_full=True)
    apply(write(tmp_path, HEADINGS, *many(1, 30)))
    told = apply(write(tmp_path, HEADINGS, *many(1, 29)))
    assert "closed 1" in told
    assert not person("30").is_active
    assert person("29").is_active
    apply(write(tmp_path, HEADINGS, *many(1, 30)))
    assert person("30").is_active, "who comes back is who they were"
    assert Person.objects.count() == 30


def test_a_file_that_is_not_full_closes_nobody(tmp_path):
    make_source()
    apply(write(tmp_path, HEADINGS, ADA, BOB))
    apply(write(tmp_path, HEADINGS, ADA))
    assert person("2").is_active


def test_a_row_that_cannot_be_applied_closes_nobody(tmp_path):
    make_source(is_full=True)
    apply(write(tmp_path, HEADINGS, *many(1, 30)))
    apply(write(tmp_path, HEADINGS, *many(1, 29), "30," + "x" * 500 + ",y,,"), status=3)
    assert person("30").is_active


def test_with_a_row_that_does_not_say_of_whom_nobody_is_closed_unasked(tmp_path):
    make_source(is_full=True)
    apply(write(tmp_path, HEADINGS, *many(1, 30)))
    told = apply(write(tmp_path, HEADINGS, *many(1, 29), "thirty"), status=3)
    assert "a second operator has to approve" in told
    assert person("30").is_active


@pytest.fixture
def held(tmp_path):
    make_source(is_full=True)
    apply(write(tmp_path, HEADINGS, *many(1, 30)))
    cut = write(tmp_path, HEADINGS, *many(1, 20))
    assert "a second operator will have to approve" in run(cut, status=2)
    apply(cut, status=3)
    return Import.objects.get(state=Import.State.HELD)


@pytest.fixture
def operators(make_operator):
    for name in ("ann", "ben"):
        make_operator(f"{name}@acme.example", role=Operator.Role.OPERATOR)
    return [Actor(ActorKind.OPERATOR, f"{name}@acme.example") for name in ("ann", "ben")]


def test_a_cut_file_closes_nobody_until_a_second_operator_approves(held, operators):
    assert Person.objects.filter(is_active=True).count() == 30
    ann, ben = operators
    approval = ask_for_release(held, actor=ann)
    with pytest.raises(BrokerError):
        approve(approval, actor=ann)
    assert Person.objects.filter(is_active=True).count() == 30
    approve(approval, actor=ben)
    assert Person.objects.filter(is_active=True).count() == 20
    held.refresh_from_db()
    assert (held.state, held.closed) == (Import.State.DONE, 10)


def test_a_refused_closing_leaves_everybody(held, operators):
    ann, ben = operators
    refuse(ask_for_release(held, actor=ann), actor=ben, reason="the export was cut")
    held.refresh_from_db()
    assert held.state == Import.State.REFUSED
    assert Person.objects.filter(is_active=True).count() == 30


def test_an_approval_is_of_exactly_those_who_were_missing(held, operators):
    ann, ben = operators
    approval = ask_for_release(held, actor=ann)
    Entry.objects.filter(key="21").update(last_import=held)
    with pytest.raises(BrokerError, match=r"approval\."):
        approve(approval, actor=ben)
    assert Person.objects.filter(is_active=True).count() == 30


def test_the_console_asks_for_the_closing(held, console: Browser):
    page = console.get(reverse("admin:batch_import_change", args=[held.pk])).content.decode()
    assert "waits for a second operator" in page
    answer = console.get(reverse("admin:batch_import_ask_release", args=[held.pk]))
    assert "/admin/approvals/approval/" in answer["Location"]


def test_a_viewer_asks_for_nothing(held, viewer_console: Browser):
    assert viewer_console.get(reverse("admin:batch_import_ask_release", args=[held.pk])).status_code == 403


# --- Sources ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "fields", [{"owner": "hr"}, {"key": "shoe_size"}, {"key": "active"}, {"columns": {"A": "shoe_size"}}]
)
def test_a_source_that_cannot_be_is_not_registered(fields):
    with pytest.raises(BadValue):
        make_source(**fields)


def test_a_source_that_is_switched_off_or_retired_reads_nothing(tmp_path):
    source = make_source()
    path = write(tmp_path, HEADINGS, ADA)
    change_file_source(source, actor=SYSTEM, enabled=False)
    with pytest.raises(CommandError, match=r"import\.source"):
        apply(path)
    retire_file_source(source, actor=SYSTEM)
    with pytest.raises(CommandError, match="there is no file source"):
        apply(path)


def test_rows_are_read_behind_a_place_with_all_keys_known(tmp_path):
    path = write(tmp_path, HEADINGS, ADA, ADA)
    (second,) = open_file(path, key="employee_number", columns={}).read(after=1)
    assert isinstance(second, Reject)
