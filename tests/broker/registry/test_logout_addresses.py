"""Where a client is told of a session's end: by configuration, in the console, and judged alike in both."""

from pathlib import Path
from typing import Any

import pytest
from django.test import Client as Browser

from broker.actors import SYSTEM
from broker.events.models import Event
from broker.operations.configuration import apply_configuration, read_configuration
from broker.operations.export import export_configuration
from broker.operations.plans import BadConfiguration
from broker.registry.models import Client
from broker.registry.registering.clients import change_client
from broker.registry.values import BadValue
from tests.factories import make_client

pytestmark = pytest.mark.django_db
ADDRESS = "https://crm.acme.example/backchannel-logout?tenant=a"
FILE = """
applications:
  - slug: crm
    oidc:
      client_id: crm
      redirect_uris: [https://crm.acme.example/callback]
      {line}
"""
BAD = {
    "http://crm.acme.example/logout": "https",
    "crm.acme.example/logout": "absolute",
    "https://crm.acme.example/logout#part": "fragment",
    "https://name:secret@crm.acme.example/": "name or a password",
    "https://crm.acme.example/" + "a" * 2000: "characters",
}


def apply(folder: Path, line: str) -> None:
    path = folder / "company.yaml"
    path.write_text(FILE.format(line=line))
    apply_configuration(read_configuration(path), actor=SYSTEM)


def test_a_file_names_the_address_and_it_is_exported(tmp_path: Path) -> None:
    apply(tmp_path, f"backchannel_logout_uri: '{ADDRESS}'")
    client = Client.objects.get()
    assert (client.backchannel_logout_uri, client.backchannel_logout_session_required) == (ADDRESS, False)
    assert ADDRESS in export_configuration()
    apply(tmp_path, "backchannel_logout_session_required: true")
    client.refresh_from_db()
    assert (client.backchannel_logout_uri, client.backchannel_logout_session_required) == (ADDRESS, True)
    assert "backchannel_logout_session_required: true" in export_configuration()


def test_the_address_stays_with_another_client_id(tmp_path: Path) -> None:
    apply(tmp_path, f"backchannel_logout_uri: '{ADDRESS}'")
    path = tmp_path / "company.yaml"
    path.write_text(FILE.format(line="").replace("client_id: crm", "client_id: crm-2"))
    apply_configuration(read_configuration(path), actor=SYSTEM)
    assert Client.objects.get(client_id="crm-2").backchannel_logout_uri == ADDRESS


@pytest.mark.parametrize("address", BAD)
def test_an_address_that_is_none_is_refused_everywhere(tmp_path: Path, address: str) -> None:
    with pytest.raises(BadConfiguration) as refused:
        apply(tmp_path, f"backchannel_logout_uri: '{address}'")
    assert BAD[address] in str(refused.value.problems)
    with pytest.raises(BadValue, match=BAD[address]):
        change_client(make_client(), actor=SYSTEM, backchannel_logout_uri=address)


def form_of(client: Client, **fields: Any) -> dict[str, Any]:
    return {
        "application": client.application_id,
        "enabled": "on",
        "authentication": "client_secret_basic",
        "pkce": "required",
        "subject_type": "public",
        "id_token_algorithm": "RS256",
        "enforcement": "enforce",
        "redirect_lines": "https://crm.example/callback",
    } | fields


def test_the_console_has_the_field_and_the_book_the_change(console: Browser) -> None:
    client = make_client()
    address = f"/admin/registry/client/{client.pk}/change/"
    assert "Address that is told of the end of a session" in console.get(address).content.decode()
    answer = console.post(
        address, form_of(client, backchannel_logout_uri=ADDRESS, backchannel_logout_session_required="on")
    )
    assert answer.status_code == 302, answer.content.decode()
    client.refresh_from_db()
    assert (client.backchannel_logout_uri, client.backchannel_logout_session_required) == (ADDRESS, True)
    assert Event.objects.get(type="party.changed").details["after"]["backchannel_logout_uri"] == ADDRESS


def test_the_console_refuses_what_the_file_refuses(console: Browser) -> None:
    client = make_client()
    answer = console.post(
        f"/admin/registry/client/{client.pk}/change/",
        form_of(client, backchannel_logout_uri="https://crm.example/#x"),
    )
    assert "has a fragment" in answer.content.decode()
    client.refresh_from_db()
    assert client.backchannel_logout_uri == ""
