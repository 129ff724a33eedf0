"""What a browser carries from one of our addresses to another."""

from datetime import UTC, datetime, timedelta

import pytest

from broker import crypto, limits
from broker.errors import BrokerError
from federation.signon.carried_requests import CONTEXT, CarriedRequest, open_request, seal_request

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
ASKED = {"protocol": "saml", "relay_state": "é🐘", "contexts": []}


def sealed() -> str:
    return seal_request(ASKED, trace_id="ABCDE-12345", now=NOW)


def test_a_request_is_carried_unchanged() -> None:
    assert open_request(sealed(), now=NOW) == CarriedRequest(ASKED, "ABCDE-12345")


def test_nobody_reads_it_on_the_way() -> None:
    assert "saml" not in sealed()
    assert sealed() != sealed()


def test_its_time_ends() -> None:
    last = NOW + limits.LOGIN_REQUEST_LIFETIME - timedelta(seconds=1)
    assert open_request(sealed(), now=last).asked == ASKED
    with pytest.raises(BrokerError) as caught:
        open_request(sealed(), now=NOW + limits.LOGIN_REQUEST_LIFETIME)
    assert caught.value.code == "signon.expired"


@pytest.mark.parametrize(
    "text",
    ["", "x", "x.y", "k.é", sealed()[:-4] + "AAA=", crypto.seal(b"{}", context=CONTEXT + ".other")],
    ids=["nothing", "no dot", "no key", "no base64", "changed", "of another place"],
)
def test_what_we_did_not_seal_is_not_known(text: str) -> None:
    with pytest.raises(BrokerError) as caught:
        open_request(text, now=NOW)
    assert caught.value.code == "signon.unknown"


def test_the_longest_request_fits_into_an_address() -> None:
    longest = {
        "relay_state": "é" * limits.SAML_RELAY_STATE_CHARS,
        "entity_id": "x" * limits.SAML_ENTITY_ID_CHARS,
        "contexts": ["x" * limits.CONTEXT_CHARS] * limits.CONTEXTS,
        "acs_url": "x" * 2_000,
    }
    assert len(seal_request(longest, trace_id="ABCDE-12345", now=NOW)) < limits.QUERY_BYTES - 100
