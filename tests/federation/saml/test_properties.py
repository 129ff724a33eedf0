"""What must hold for every message, not only for those that somebody thought of."""

import base64
from functools import lru_cache

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from lxml import etree

from broker.errors import BrokerError
from broker.traces.collector import Collector
from federation.saml.guard import VerifiedResponse, decode_post, verify_response
from federation.saml.metadata import read_identity_provider, read_service_provider
from federation.saml.redaction import redacted
from tests.fakes.fake_idp import NS
from tests.federation.saml.desk import Desk

DESK = Desk()
SHAPES: dict[str, dict[str, str]] = {
    "response": {"sign": "response"},
    "assertion": {"sign": "assertion"},
    "both": {"sign": "both"},
    "encrypted": {"sign": "assertion", "encrypt": "gcm"},
    "encrypted in a signed response": {"sign": "response", "encrypt": "cbc"},
}
# Text that XML can carry.
TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc", "Cn", "Co", "Cf", "Zl", "Zp")), max_size=40)


@lru_cache(maxsize=len(SHAPES))
def true_answer(shape: str) -> tuple[bytes, VerifiedResponse]:
    raw = DESK.respond(**SHAPES[shape], attributes={"mail": "alice@example.org", "groups": ["eng", "ops"]})
    return raw, DESK.verify(raw)


def verdict(raw: bytes) -> VerifiedResponse | None:
    """What the guard makes of `raw`: claims, or None for a refusal. Any other exception fails the test."""
    try:
        return verify_response(raw, DESK.expectation, trace=Collector())
    except BrokerError:
        return None


@settings(max_examples=400, deadline=None)
@given(
    shape=st.sampled_from(sorted(SHAPES)),
    position=st.floats(0, 1, exclude_max=True),
    removed=st.integers(0, 4),
    inserted=st.binary(max_size=4),
)
def test_changed_bytes_give_a_refusal_or_exactly_the_same_claims(
    shape: str, position: float, removed: int, inserted: bytes
) -> None:
    raw, claims = true_answer(shape)
    start = int(position * len(raw))
    changed = raw[:start] + inserted + raw[start + removed :]
    assert verdict(changed) in (None, claims)


@settings(max_examples=300, deadline=None)
@given(shape=st.sampled_from(sorted(SHAPES)), position=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_flipped_bit_gives_a_refusal_or_exactly_the_same_claims(shape: str, position: float, bit: int) -> None:
    raw, claims = true_answer(shape)
    changed = bytearray(raw)
    changed[int(position * len(raw))] ^= 1 << bit
    assert verdict(bytes(changed)) in (None, claims)


@settings(max_examples=200, deadline=None)
@given(shape=st.sampled_from(sorted(SHAPES)), first=st.floats(0, 1), second=st.floats(0, 1), target=st.floats(0, 1))
def test_moved_piece_gives_a_refusal_or_exactly_the_same_claims(
    shape: str, first: float, second: float, target: float
) -> None:
    raw, claims = true_answer(shape)
    start, end = sorted((int(first * len(raw)), int(second * len(raw))))
    at = int(target * len(raw))
    assert verdict(raw[:at] + raw[start:end] + raw[at:]) in (None, claims)


@settings(max_examples=150, deadline=None)
@given(
    shape=st.sampled_from(["response", "assertion", "both"]),
    donor=st.integers(0),
    target=st.integers(0),
    how=st.integers(0, 3),
)
def test_moved_element_gives_a_refusal_or_exactly_the_same_claims(
    shape: str, donor: int, target: int, how: int
) -> None:
    raw, claims = true_answer(shape)
    root = etree.fromstring(raw)
    elements = list(root.iter())
    piece = etree.fromstring(etree.tostring(elements[donor % len(elements)], with_tail=False))
    place = elements[target % len(elements)]
    if how == 0 or place is root:
        place.append(piece)
    elif how == 1:
        place.insert(0, piece)
    elif how == 2:
        place.addnext(piece)
    else:
        parent = place.getparent()
        assert parent is not None
        parent.replace(place, piece)
    assert verdict(etree.tostring(root)) in (None, claims)


@settings(max_examples=300, deadline=None)
@given(raw=st.binary(max_size=400))
@example(b"")
@example(b"\x00")
@example(b"<")
def test_arbitrary_bytes_are_refused_and_break_nothing(raw: bytes) -> None:
    assert verdict(raw) is None
    assert isinstance(redacted(raw), str)
    for read in (read_identity_provider, read_service_provider):
        with pytest.raises(BrokerError) as caught:
            read(raw)
        assert caught.value.code == "saml.metadata"


@settings(max_examples=200, deadline=None)
@given(value=st.text(max_size=200))
def test_arbitrary_form_field_is_decoded_or_refused(value: str) -> None:
    try:
        decoded = decode_post(value)
    except BrokerError as refusal:
        assert refusal.code == "saml.encoding"  # noqa: PT017 - both ways are right
    else:
        assert base64.b64encode(decoded).decode().rstrip("=") == "".join(value.split()).rstrip("=")


@settings(max_examples=150, deadline=None)
@given(
    sign=st.sampled_from(["response", "assertion", "both"]),
    encrypt=st.sampled_from([None, "gcm", "cbc"]),
    attributes=st.dictionaries(TEXT.filter(bool), st.lists(TEXT, max_size=4), max_size=6),
    session_index=TEXT,
)
def test_accepted_message_yields_exactly_the_claims_of_its_signed_bytes(
    sign: str, encrypt: str | None, attributes: dict[str, list[str]], session_index: str
) -> None:
    options = {"sign": sign, "attributes": attributes, "session_index": session_index, "assertion_id": "_a"}
    claims = DESK.verify(DESK.respond(**options, encrypt=encrypt))
    assert claims.attributes == {name: tuple(values) for name, values in attributes.items()}
    # Read once more by another way: canonicalised by nobody, by XPath, from the message that was not encrypted.
    root = etree.fromstring(DESK.respond(**options))
    assertion = root.find("saml:Assertion", NS)
    assert assertion is not None
    assert claims.subject == assertion.findtext(".//saml:NameID", namespaces=NS)
    assert claims.assertion_id == assertion.get("ID")
    assert claims.session_index == assertion.xpath("string(.//saml:AuthnStatement/@SessionIndex)", namespaces=NS)
    assert {name: list(values) for name, values in claims.attributes.items()} == {
        attribute.get("Name"): [value.text or "" for value in attribute]
        for attribute in assertion.iterfind(".//saml:Attribute", NS)
    }
