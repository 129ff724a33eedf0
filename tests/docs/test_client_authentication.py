"""docs/client_authentication.md does what it says: its clients are registered, its settings are read."""

import io
import re
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command

from broker import limits
from broker.actors import SYSTEM
from broker.env import load
from broker.registry.models import Client
from broker.registry.registering.clients import create_client
from tests.fakes.certificates import make_certificate, pem

PAGE = Path(settings.ROOT / "docs" / "client_authentication.md").read_text()
pytestmark = pytest.mark.django_db


def snippets(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def test_its_clients_are_registered(tmp_path: Path) -> None:
    (tmp_path / "nightly.pem").write_text(pem(make_certificate()))
    for number, configuration in enumerate(snippets("yaml")):
        path = tmp_path / f"{number}.yaml"
        path.write_text(configuration)
        call_command("apply", str(path), stdout=io.StringIO(), stderr=io.StringIO())
    found = dict(Client.objects.values_list("client_id", "authentication"))
    assert found == {
        "nightly-export": "private_key_jwt",
        "cluster-job": "private_key_jwt",
        "by-subject": "tls_client_auth",
        "by-name": "tls_client_auth",
        "pinned": "self_signed_tls_client_auth",
    }


def test_its_settings_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    for line in snippets("sh")[0].splitlines():
        name, _, value = line.partition("=")
        monkeypatch.setenv(name, value)
    found = load()
    assert found.client_certificate_header == "X-SSL-Client-Cert"
    assert found.client_certificate_verified_header == "X-SSL-Client-Verify"
    assert found.client_certificate_proxies == ["10.0.0.0/28"]


def test_its_command_rotates() -> None:
    create_client("nightly-sync", kind=Client.Kind.SERVICE, actor=SYSTEM)
    _, name, *arguments = snippets("sh")[1].split()
    out = io.StringIO()
    call_command(name, *arguments, stdout=out, stderr=io.StringIO())
    assert out.getvalue().startswith("cs_")


def test_its_numbers_are_the_limits() -> None:
    assert f"in use for {limits.CLIENT_SECRET_UNUSED.days} days" in PAGE
    *days, last = limits.CREDENTIAL_EXPIRY_NOTICES
    assert f"{', '.join(map(str, days))} and {last} days" in PAGE
    assert set(re.findall(r"^\| `(\w+)`", PAGE, re.MULTILINE)) | {"client_secret_post", "authentication"} >= set(
        Client.Authentication
    )
