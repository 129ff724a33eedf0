"""What a trace shows of a message."""

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
