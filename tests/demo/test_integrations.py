"""The demonstration's integrations: their secrets, their dates, and what the page tells to copy."""

import subprocess
from datetime import date
from pathlib import Path

import pytest
import yaml

from broker.access.confines import check_source
from broker.access.declaring import change_schema
from broker.access.models import Policy
from broker.actors import SYSTEM
from demo.addresses import Addresses
from demo.integrations import API, CLIENTS, Integrations, date_flows, keep_secret

DEMO = Path(__file__).resolve().parents[2] / "demo"
FLOWS = "flows:\n  - expires: in 9 days\n  - expires: in 365 days\n"


def test_dates_are_counted_from_the_first_start_and_stay(tmp_path: Path) -> None:
    first = date_flows(FLOWS, tmp_path, today=date(2026, 11, 1))
    assert yaml.safe_load(first)["flows"] == [{"expires": date(2026, 11, 10)}, {"expires": date(2027, 11, 1)}]
    assert date_flows(FLOWS, tmp_path, today=date(2026, 11, 8)) == first


def test_only_a_whole_value_is_read_as_a_date(tmp_path: Path) -> None:
    text = '# "in 9 days" is a date here\npurpose: it ends in 9 days or so\n'
    assert date_flows(text, tmp_path, today=date(2026, 11, 1)) == text


def test_every_client_has_a_secret_of_its_own_that_stays(tmp_path: Path) -> None:
    made = [keep_secret(tmp_path, name) for name in CLIENTS]
    assert len(set(made)) == len(CLIENTS)
    assert [keep_secret(tmp_path, name) for name in CLIENTS] == made
    assert min(map(len, made)) > 40


def test_the_commands_are_shell_and_name_what_the_company_registers(tmp_path: Path) -> None:
    company = yaml.safe_load(date_flows((DEMO / "company.yaml").read_text(), tmp_path, today=date(2026, 11, 1)))
    assert {row["client_id"] for row in company["clients"]} == set(CLIENTS)
    assert [row["identifier"] for row in company["resources"]] == [API]
    snippets = Integrations(Addresses(9000), tmp_path).box()["snippets"]
    assert len(snippets) == 4
    for snippet in snippets:
        assert "http://localhost:9000/" in snippet["code"]
        assert subprocess.run(["sh", "-n"], input=snippet["code"], text=True, check=False).returncode == 0


@pytest.mark.django_db
def test_the_policies_agree_with_the_declared_words(tmp_path: Path) -> None:
    change_schema(
        source=(DEMO / "words.cedarschema").read_text(), person_properties="", client_properties="", actor=SYSTEM
    )
    company = yaml.safe_load(date_flows((DEMO / "company.yaml").read_text(), tmp_path, today=date(2026, 11, 1)))
    for row in company["policies"]:
        confines = {"resource_types": row.get("resource_types", []), "applications": row.get("applications", [])}
        check_source(Policy(slug=row["slug"], **confines), (DEMO / row["file"]).read_text())
