"""What a trace shows of a message."""

import re

import pytest

from federation.saml.redaction import redacted
from tests.federation.saml.desk import Desk


def test_signatures_certificates_and_ciphertexts_are_marked(desk: Desk) -> None:
    text = redacted(desk.respond(sign="both", encrypt="gcm"))
    assert "characters of signature)" in text
    assert "characters of certificate)" in text
    assert "characters of cipher value)" in text
    assert max(len(line) for line in text.splitlines()) < 500
    assert "\n  <saml:Issuer>https://idp.example.org/saml</saml:Issuer>" in text


def test_what_people_need_stays(desk: Desk) -> None:
    text = redacted(desk.respond())
    for shown in ("alice", "DigestValue", "Audience", "NotOnOrAfter"):
        assert shown in text


@pytest.mark.parametrize("raw", [b"", b"\xff", b"<a", b"<!DOCTYPE a><a/>", b"<a><!-- --></a>", b"x" * 300_000])
def test_what_is_no_message_is_told_by_its_size(raw: bytes) -> None:
    assert redacted(raw).startswith(f"({len(raw)} bytes that are no SAML message")


def test_what_is_no_message_is_shown_without_its_base64(desk: Desk) -> None:
    raw = desk.respond(sign="both").replace(b">alice<", b">alice<!-- x --><")
    text = redacted(raw)
    assert "alice<!-- x -->" in text
    assert "characters of base64)" in text
    assert not re.search("[A-Za-z0-9+/]{48}", text)


def test_trace_shows_a_message_that_cannot_be_read(desk: Desk) -> None:
    desk.refusal(desk.respond(flaw="cut_off"))
    messages = [entry["text"] for entry in desk.trace.entries if entry["type"] == "message"]
    assert len(messages) == 1
    assert "<saml:Issuer>" in messages[0]
