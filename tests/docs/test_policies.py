"""What docs/policies.md shows is taken: its declarations, its rules, and its section of a configuration file."""

import re

import pytest
from django.conf import settings

from broker.access.activation import request_activation
from broker.access.declaring import change_schema
from broker.access.models import PolicyVersion
from broker.approvals.services import approve
from tests.broker.access.house import ADA, BOB, ask, draft, settle
from tests.configured import run

pytestmark = pytest.mark.django_db

PAGE = (settings.ROOT / "docs" / "policies.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def test_the_declarations_and_rules_are_taken_and_mean_what_is_said(tmp_path):
    settle()
    (declared,) = blocks("cedarschema")
    change_schema(source=declared, person_properties="role?: String", client_properties="", actor=ADA)
    records, entering = blocks("cedar")
    approve(request_activation(draft(records, resource_types=["record"]), actor=ADA), actor=BOB)
    decided = ask(action="write", resource_properties={"status": "archived"})
    assert decided.reason_user == "This record is archived."

    (tmp_path / "erp.cedar").write_text(entering)
    (written,) = blocks("yaml")
    applications = "applications:\n  - {slug: erp, name: ERP}\n"
    code, out, problems = run("apply", tmp_path, applications + written, "--operator", "ada@acme.example")
    assert (code, problems) == (0, "")
    assert "waits for a second operator" in out
    assert PolicyVersion.objects.get(policy__slug="erp-access").state == "candidate"
