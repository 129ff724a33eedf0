"""Our answers to applications, as python-xmlsec verifies and opens them, and as a strict reader reads them."""

import base64
from datetime import timedelta
from typing import Any

import pytest
from lxml import etree
from saml2.xml.schema import validate

from broker.errors import BrokerError
from federation.saml.encrypting import EncryptionKey, choose_recipient
from federation.saml.metadata import read_registered_service_provider, read_service_provider
from federation.saml.names import NAME_ID_EMAIL
from federation.saml.responses import Attribute, Envelope, write_refusal
from federation.saml.verified import NameID
from tests.fakes.fake_idp import STATUS, XENC
from tests.fakes.fake_sp import Answer, AnswerRefused, FakeServiceProvider
from tests.fakes.saml_keys import key_pair
from tests.federation.saml.application import IDP, NOW, answer
from tests.federation.saml.test_signing import KEY

XENC11 = "http://www.w3.org/2009/xmlenc11#"
OAEP, OAEP_11, RSA_1_5 = XENC + "rsa-oaep-mgf1p", XENC11 + "rsa-oaep", XENC + "rsa-1_5"


@pytest.fixture
def sp() -> FakeServiceProvider:
    return FakeServiceProvider(encryption_key=key_pair("sp encryption"))


def read(sp: FakeServiceProvider, raw: bytes, **options: Any) -> Answer:
    fields = {"SAMLResponse": base64.b64encode(raw).decode()}
    options = {"request_id": "_1", "now": NOW} | options
    return sp.read(fields, idp_key=KEY.certificate, idp=IDP, **options)


def recipient(sp: FakeServiceProvider, *methods: str) -> Any:
    metadata = read_service_provider(sp.metadata(methods=methods).encode())
    return choose_recipient(metadata.encryption_keys)


@pytest.mark.parametrize("encrypted", [False, True])
@pytest.mark.parametrize(
    ("how", "signed"),
    [
        ({"sign_response": True, "sign_assertion": True}, ("Response", "Assertion")),
        ({"sign_response": True, "sign_assertion": False}, ("Response",)),
        ({"sign_response": False, "sign_assertion": True}, ("Assertion",)),
    ],
    ids=["both", "response", "assertion"],
)
def test_what_is_signed_is_what_was_chosen(
    sp: FakeServiceProvider, how: dict[str, bool], signed: tuple[str, ...], *, encrypted: bool
) -> None:
    said = read(sp, answer(sp, **how, recipient=recipient(sp) if encrypted else None))
    assert said.signed == signed
    assert said.attributes == {"urn:oid:0.9": ("alice@acme.example",)}
    assert bool(said.cipher) is encrypted


def test_an_answer_that_nobody_signed_is_not_written(sp: FakeServiceProvider) -> None:
    with pytest.raises(ValueError, match="worthless"):
        answer(sp, sign_response=False, sign_assertion=False)


def test_everything_is_said_once_and_in_its_place(sp: FakeServiceProvider) -> None:
    said = read(sp, answer(sp, context="https://refeds.org/profile/mfa"))
    assert (said.name_id, said.name_qualifier, said.sp_name_qualifier) == ("p-1", IDP, sp.entity_id)
    assert (said.session_index, said.context) == ("the-session", "https://refeds.org/profile/mfa")
    assert said.authority == "https://idp.acme.example"
    assert said.authenticated_at == "2026-11-23T11:55:00Z"
    assert said.formats == {"urn:oid:0.9": ("urn:format", "mail")}


def test_a_context_that_nobody_told_is_unspecified(sp: FakeServiceProvider) -> None:
    assert read(sp, answer(sp)).context.endswith(":ac:classes:unspecified")


def test_an_answer_that_nobody_asked_for_names_no_request(sp: FakeServiceProvider) -> None:
    raw = answer(sp, request_id="")
    assert b"InResponseTo" not in raw
    assert read(sp, raw, request_id=None).status == ("Success",)


def test_a_name_without_qualifiers_has_none(sp: FakeServiceProvider) -> None:
    raw = answer(sp, name_id=NameID("alice@acme.example", NAME_ID_EMAIL))
    assert b"Qualifier" not in raw


def test_without_attributes_there_is_no_statement(sp: FakeServiceProvider) -> None:
    assert b"AttributeStatement" not in answer(sp, attributes=[])


@pytest.mark.parametrize("text", ["a & <b> ]]>", "Zoë 🐘", " spaces ", "x" * 100_000, "line\nbreak", "\u0085"])
def test_values_arrive_as_they_are(sp: FakeServiceProvider, text: str) -> None:
    told = [Attribute("cn", "urn:format", "", [text, "second"])]
    for recipient_or_none in (None, recipient(sp)):
        said = read(sp, answer(sp, attributes=told, recipient=recipient_or_none))
        assert said.attributes == {"cn": (text, "second")}


def test_a_session_that_has_just_ended_is_not_told_as_one_of_the_past(sp: FakeServiceProvider) -> None:
    read(sp, answer(sp, session_until=NOW - timedelta(seconds=5)))


def test_ids_are_new_each_time_and_start_with_no_digit(sp: FakeServiceProvider) -> None:
    ids = {str(one.get("ID")) for _ in range(20) for one in etree.fromstring(answer(sp)).iter("*") if one.get("ID")}
    assert len(ids) == 40
    assert all(one.startswith("_") and len(one) > 32 for one in ids)


@pytest.mark.parametrize(
    ("changed", "by"),
    [
        (b"alice@acme.example", b"mallet@acme.exampl"),
        (b"the-session", b"another-one"),
        (b'Destination="https://erp.example', b'Destination="https://evil.example'),
    ],
)
def test_a_changed_answer_is_refused(sp: FakeServiceProvider, changed: bytes, by: bytes) -> None:
    raw = answer(sp)
    assert changed in raw
    with pytest.raises(AnswerRefused):
        read(sp, raw.replace(changed, by))


def test_answers_are_valid_by_the_schema(sp: FakeServiceProvider) -> None:
    for raw in (answer(sp), answer(sp, recipient=recipient(sp)), answer(sp, request_id="", attributes=[])):
        validate(raw.decode().partition("?>")[2])


@pytest.mark.parametrize(
    "codes", [("Responder", "NoPassive"), ("Requester", "InvalidNameIDPolicy"), ("Responder",)], ids=" > ".join
)
def test_a_refusal_is_signed_and_names_its_reason(sp: FakeServiceProvider, codes: tuple[str, ...]) -> None:
    envelope = Envelope(IDP, sp.acs_urls[0], "_1", NOW)
    raw = write_refusal(envelope, tuple(STATUS + code for code in codes), "A <reason> & more.", signer=KEY)
    validate(raw.decode().partition("?>")[2])
    said = read(sp, raw)
    assert (said.status, said.message) == (codes, "A <reason> & more.")


CHOICES: dict[str, tuple[tuple[str, ...], str]] = {
    "nothing named": ((), XENC11 + "aes256-gcm"),
    "only a transport": ((OAEP,), XENC11 + "aes256-gcm"),
    "the other transport": ((OAEP_11,), XENC11 + "aes256-gcm"),
    "everything": ((XENC + "aes128-cbc", XENC11 + "aes128-gcm", XENC11 + "aes256-gcm", OAEP), XENC11 + "aes256-gcm"),
    "short GCM": ((XENC + "aes256-cbc", XENC11 + "aes128-gcm"), XENC11 + "aes128-gcm"),
    "CBC only": ((XENC + "aes256-cbc", XENC + "aes128-cbc"), XENC + "aes256-cbc"),
    "short CBC only": ((XENC + "aes128-cbc", OAEP), XENC + "aes128-cbc"),
    "old ciphers beside a good one": (
        (XENC + "tripledes-cbc", XENC + "aes128-cbc", RSA_1_5, OAEP),
        XENC + "aes128-cbc",
    ),
}


@pytest.mark.parametrize("name", CHOICES)
def test_the_best_cipher_that_the_application_names_is_used(sp: FakeServiceProvider, name: str) -> None:
    methods, cipher = CHOICES[name]
    said = read(sp, answer(sp, recipient=recipient(sp, *methods)))
    assert (said.cipher, said.status) == (cipher, ("Success",))


@pytest.mark.parametrize("methods", [(XENC + "tripledes-cbc",), (RSA_1_5,), (XENC + "tripledes-cbc", OAEP)], ids=str)
def test_to_somebody_who_offers_nothing_good_nothing_is_sent(sp: FakeServiceProvider, methods: tuple[str, ...]) -> None:
    with pytest.raises(BrokerError) as caught:
        recipient(sp, *methods)
    assert caught.value.code == "saml_idp.encryption"


def test_an_elliptic_key_is_passed_over() -> None:
    elliptic = EncryptionKey(key_pair("elliptic", kind="p256").der)
    rsa = EncryptionKey(key_pair("sp encryption").der)
    assert choose_recipient([elliptic, rsa]).public_key == key_pair("sp encryption").rsa.public_key()
    for keys in ([elliptic], []):
        with pytest.raises(BrokerError) as caught:
            choose_recipient(keys)
        assert caught.value.code == "saml_idp.encryption"


def test_each_encryption_is_fresh(sp: FakeServiceProvider) -> None:
    values = set()
    for _ in range(3):
        root = etree.fromstring(answer(sp, recipient=recipient(sp)))
        values |= {one.text for one in root.iter(f"{{{XENC}}}CipherValue")}
    assert len(values) == 6


def test_an_encrypted_assertion_tells_nothing_outside(sp: FakeServiceProvider) -> None:
    raw = answer(sp, recipient=recipient(sp))
    for secret in (b"alice", b"the-session", b"p-1", b"idp.acme.example"):
        assert secret not in raw


@pytest.mark.parametrize("use", ["encryption", None])
def test_a_key_without_use_serves_for_encryption(sp: FakeServiceProvider, use: str | None) -> None:
    keys = read_service_provider(sp.metadata(encryption_use=use, methods=(OAEP,)).encode()).encryption_keys
    assert keys == (EncryptionKey(key_pair("sp encryption").der, (OAEP,)),)


def test_registered_metadata_outlives_its_own_end(sp: FakeServiceProvider) -> None:
    over = sp.metadata(valid_until="2020-01-01T00:00:00Z").encode()
    with pytest.raises(BrokerError):
        read_service_provider(over)
    assert read_registered_service_provider(over).entity_id == sp.entity_id
