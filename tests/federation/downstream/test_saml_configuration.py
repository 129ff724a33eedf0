"""A SAML application in a configuration file: one step, and it signs people on."""

from pathlib import Path

import pytest
import yaml

from broker.actors import SYSTEM
from broker.operations.configuration import apply_configuration, read_configuration
from broker.operations.export import export_configuration
from broker.registry.models import Application, ServiceProvider
from tests.fakes.fake_sp import FakeServiceProvider
from tests.flows.saml_stage import ERP
from tests.flows.stage import Browser, make_company

pytestmark = pytest.mark.django_db


def apply(folder: Path, **saml: object) -> None:
    """Apply a file with one application, the ERP, that has these settings."""
    (folder / "erp.xml").write_text(FakeServiceProvider().metadata())
    document = {
        "applications": [
            {"slug": "erp", "kind": "erp", "release": ["email"], "saml": {"metadata_file": "erp.xml", **saml}}
        ]
    }
    path = folder / "company.yaml"
    path.write_text(yaml.safe_dump(document))
    apply_configuration(read_configuration(path, environment={}), actor=SYSTEM)


def test_an_application_that_was_applied_signs_people_on_at_once(tmp_path: Path) -> None:
    company = make_company()
    apply(tmp_path)
    face = ServiceProvider.objects.get()
    erp = ERP(Application.objects.get(slug="erp"), face, FakeServiceProvider(), company)
    answer = erp.read(erp.sign_on(Browser()))
    assert answer.attributes == {"urn:oid:0.9.2342.19200300.100.1.3": ("alice@acme.example",)}
    assert face.idp_initiated is False


def test_that_it_is_started_from_here_is_a_setting(tmp_path: Path) -> None:
    apply(tmp_path, idp_initiated=True)
    assert ServiceProvider.objects.get().idp_initiated is True
    apply(tmp_path, idp_initiated=False)
    assert ServiceProvider.objects.get().idp_initiated is False
    assert "idp_initiated: false" in str(export_configuration())
