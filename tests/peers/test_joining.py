"""A foreign party is added while all others go on: one file, one `apply`, no restart."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from tests.peers.broker import BASE_URL, SAML_METADATA, Broker
from tests.peers.browser import Browser
from tests.peers.mellon import BASE, METADATA, running_mellon
from tests.peers.upstreams import SIMPLESAMLPHP

PARTY = f"""
applications:
  - slug: mellon
    kind: other
    owner: it@both.example
    saml: {{metadata_url: "{METADATA}"}}
    release: [email]
"""
WITHDRAWN = PARTY.replace("    kind:", "    enabled: false\n    kind:")


@pytest.fixture
def mellon(broker: Broker, tmp_path: Path) -> Iterator[str]:
    """An Apache server whose page wants a sign-on."""
    with httpx2.Client(trust_env=False, timeout=30) as http:
        metadata = http.get(SAML_METADATA).raise_for_status().content
    with running_mellon(identity_provider=metadata, log=tmp_path / "mellon.log"):
        yield f"{BASE}/whoami"


def test_an_application_joins_and_leaves_by_one_file_each(
    broker: Broker, mellon: str, new_browser: Callable[..., Browser], tmp_path: Path
) -> None:
    page = new_browser(SIMPLESAMLPHP).visit(mellon)
    assert page.url.startswith(BASE_URL)
    assert page.status == 400

    joined = tmp_path / "mellon.yaml"
    joined.write_text(PARTY)
    broker.manage("apply", str(joined))
    told = new_browser(SIMPLESAMLPHP).visit(mellon).json
    assert (told["peer"], told["email"]) == ("mod_auth_mellon", SIMPLESAMLPHP.email)

    joined.write_text(WITHDRAWN)
    broker.manage("apply", str(joined))
    page = new_browser(SIMPLESAMLPHP).visit(mellon)
    assert "email" not in page.text
    assert page.status >= 400
