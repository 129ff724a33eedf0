"""Logout that arrives: a person leaves the broker, and software that nobody here wrote ends its own session.

The judge is the application itself: it asks for a sign-on again.
"""

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.peers import simplesamlphp
from tests.peers.broker import BASE_URL, SAML_METADATA, Broker
from tests.peers.browser import Browser
from tests.peers.mellon import BASE as MELLON
from tests.peers.mellon import METADATA, running_mellon
from tests.peers.relying_parties import RelyingParty
from tests.peers.upstreams import SIMPLESAMLPHP

TOLD_WITHIN_SECONDS = 60
PARTY = f"""
applications:
  - slug: mellon
    kind: other
    owner: it@both.example
    enabled: true
    saml: {{metadata_url: "{METADATA}"}}
    release: [email]
"""


@pytest.fixture
def mellon(broker: Broker, tmp_path: Path) -> Iterator[str]:
    """An Apache server whose page wants a sign-on, registered."""
    with httpx2.Client(trust_env=False, timeout=30) as http:
        metadata = http.get(SAML_METADATA).raise_for_status().content
    with running_mellon(identity_provider=metadata, log=tmp_path / "mellon.log"):
        joined = tmp_path / "mellon.yaml"
        joined.write_text(PARTY)
        broker.manage("apply", str(joined))
        yield f"{MELLON}/whoami"


def sign_out(browser: Browser) -> str:
    """At the broker itself, by its page. Returns what the page then says."""
    page = browser.visit(f"{BASE_URL}/oauth/logout").text
    fields = dict(re.findall(r'name="(csrfmiddlewaretoken|asked)" value="([^"]+)"', page))
    assert fields.keys() == {"csrfmiddlewaretoken", "asked"}, page
    return browser._request("POST", f"{BASE_URL}/oauth/logout/confirm", fields).text


def told(broker: Broker, lane: str, known: set[int]) -> dict[str, Any]:
    """The new row of the ledger in this lane, once it was attempted."""
    deadline = time.monotonic() + TOLD_WITHIN_SECONDS
    while time.monotonic() < deadline:
        rows = [one for one in broker.logouts() if one["lane"] == lane and one["id"] not in known]
        if rows and (rows[-1]["state"] == "confirmed" or rows[-1]["reason"]):
            return rows[-1]
        time.sleep(0.3)
    raise AssertionError(f"nothing was attempted in {lane}: {broker.logouts()}")


def known_rows(broker: Broker) -> set[int]:
    return {one["id"] for one in broker.logouts()}


def is_asked_to_sign_on(browser: Browser, address: str) -> bool:
    """Whether the application sends this browser away, instead of saying who is here."""
    answer = browser._request("GET", address, None)
    return answer.is_redirect or not answer.text.startswith("{")


def test_mod_auth_mellon_ends_its_session_over_soap(
    broker: Broker, mellon: str, new_browser: Callable[..., Browser]
) -> None:
    leaving, staying = new_browser(SIMPLESAMLPHP), new_browser(SIMPLESAMLPHP)
    for browser in (leaving, staying):
        assert browser.visit(mellon).json["email"] == SIMPLESAMLPHP.email
        assert not is_asked_to_sign_on(browser, mellon)
    known = known_rows(broker)
    page = sign_out(leaving)
    assert "You are signed out" in page
    row = told(broker, "service-provider:mellon", known)
    assert (row["state"], row["detail"]) == ("confirmed", "Success"), row
    assert is_asked_to_sign_on(leaving, mellon)
    assert not is_asked_to_sign_on(staying, mellon)


def test_simplesamlphp_ends_its_session_and_its_page_is_no_acknowledgement(
    broker: Broker,
    simplesamlphp_application: simplesamlphp.Application,
    new_browser: Callable[..., Browser],
) -> None:
    """Version 1.19 ends the session, then fails at the answer, for which it looks up an address even over SOAP: what
    comes back is its error page under status 200. The ledger calls that what it is, and tries again.
    """
    address = f"{simplesamlphp_application.base}/whoami"
    leaving, staying = new_browser(SIMPLESAMLPHP), new_browser(SIMPLESAMLPHP)
    for browser in (leaving, staying):
        assert browser.visit(address).json["peer"] == "SimpleSAMLphp"
    known = known_rows(broker)
    sign_out(leaving)
    row = told(broker, "service-provider:simplesamlphp", known)
    assert (row["state"], row["reason"], row["status"]) == ("retrying", "logout.content_type", 200), row
    assert is_asked_to_sign_on(leaving, address)
    assert not is_asked_to_sign_on(staying, address)


def test_an_application_that_verifies_with_jose_ends_its_session(
    broker: Broker, openid_client: RelyingParty, new_browser: Callable[..., Browser]
) -> None:
    address = openid_client.at("/whoami")
    leaving, staying = new_browser(SIMPLESAMLPHP), new_browser(SIMPLESAMLPHP)
    for browser in (leaving, staying):
        assert browser.visit(address).json["peer"] == "openid-client"
    known = known_rows(broker)
    sign_out(leaving)
    row = told(broker, "client:openid-client/1_2~3.4", known)
    assert (row["state"], row["status"]) == ("confirmed", 200), row
    assert is_asked_to_sign_on(leaving, address)
    assert not is_asked_to_sign_on(staying, address)
