"""The demonstration's configuration registers who its processes are, and its page says what can be run."""

import io
import json
import subprocess
from pathlib import Path

import pytest
import yaml
from django.core.management import call_command

from broker.directory.models import AuthorityRule
from demo.__main__ import verification
from demo.accounts import SCIM_PATH
from demo.accounts_page import PATH
from demo.addresses import Addresses
from demo.application import ACCOUNTS
from demo.company import COMPANY, write_company
from demo.hr_system import SOURCE
from demo.people import ACME
from demo.scim_telling import document_of
from demo.staff import FIRST
from provisioning.inbound.models import ScimSource
from provisioning.inbound.tokens import holds_token
from provisioning.outbound.credentials import holds_credential
from provisioning.outbound.models import Target

USUAL = Addresses(8000)
CLICKS = Path(__file__).resolve().parents[2] / "demo" / "clicks.json"


@pytest.mark.django_db
def test_hr_and_the_crms_accounts_are_registered_with_their_secrets(tmp_path: Path) -> None:
    write_company(tmp_path, USUAL)
    whole = yaml.safe_load((tmp_path / COMPANY).read_text())
    part = {name: whole[name] for name in ("organisations", "scim_sources", "authority", "targets")}
    part["applications"] = [one for one in whole["applications"] if one["slug"] == "crm"]
    file = tmp_path / "part.yaml"
    file.write_text(yaml.safe_dump(part))
    said = io.StringIO()
    call_command("apply", str(file), stdout=said)
    secrets = {name: (tmp_path / f"{name}.secret").read_text() for name in (SOURCE, ACCOUNTS)}
    assert not any(secret in said.getvalue() for secret in secrets.values())
    assert holds_token(ScimSource.objects.get(slug=SOURCE), secrets[SOURCE])
    target = Target.objects.get(slug=ACCOUNTS)
    assert holds_credential(target, secrets[ACCOUNTS])
    assert target.base_url == f"{USUAL.crm}{SCIM_PATH}"
    assert AuthorityRule.objects.get(attribute="department").sources[0] == f"scim:{SOURCE}"


def test_whom_hr_tells_of_and_who_signs_on_is_one_person(tmp_path: Path) -> None:
    write_company(tmp_path, USUAL)
    (acme, _) = yaml.safe_load((tmp_path / COMPANY).read_text())["identity_providers"]
    assert acme["match"] == {"claim": "employee_id", "person": "external_id"}
    assert [document_of(one)["externalId"] for one in FIRST] == [one.employee_id for one in ACME.values()]


def test_the_page_leads_to_the_hr_system_and_to_the_accounts() -> None:
    links = [one["url"] for one in json.loads(CLICKS.read_text())["people"]["links"]]
    assert {f"{USUAL.hr_system}/", f"{USUAL.crm}{PATH}"} <= set(links)
    assert all(link.startswith("http://localhost:800") for link in links)


def test_the_command_that_judges_an_export_is_shell_wherever_the_folder_is() -> None:
    code = verification(Path("/some where/it's"))["code"]
    assert "/seals.log" in code
    assert subprocess.run(["sh", "-n"], input=code, text=True, check=False).returncode == 0
