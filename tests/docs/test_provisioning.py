"""What docs/provisioning.md declares is applied as it stands, and exported as it was."""

import io

import pytest
from django.core.management import call_command

from broker.directory.models import AuthorityRule
from provisioning.batch.models import FileSource
from provisioning.inbound.models import ScimSource
from provisioning.outbound.models import Target
from tests.docs.pages import Page

pytestmark = pytest.mark.django_db


def test_the_configuration_is_taken_and_nothing_is_left_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("CRM_SCIM_TOKEN", "t" * 40)
    page = Page.read("provisioning.md")
    page.apply(tmp_path)
    assert ScimSource.objects.get().dialect == "entra"
    assert FileSource.objects.get().is_full
    assert Target.objects.get().breaker_count == 20
    assert AuthorityRule.objects.filter(attribute="title").exists()
    out = io.StringIO()
    call_command("plan", str(tmp_path / "0.yaml"), stdout=out)
    assert "nothing" in out.getvalue().lower()
