"""Decryption as an oracle: a stranger changes a ciphertext and learns from our answers what it holds.

Where the Response is not signed, whatever is wrong from the transported key to the inner signature has one public
code (Jager and Somorovsky, "How to Break XML Encryption", 2011; XML Encryption 1.1 section 6.1).
"""

import base64
import copy
import os
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA1
from lxml import etree

from broker.errors import BrokerError
from tests.fakes.fake_idp import DS, NS, SAML, XENC, encrypt_element, sign_element, signing
from tests.fakes.saml_keys import key_pair
from tests.federation.saml.desk import Desk

GCM = "http://www.w3.org/2009/xmlenc11#aes256-gcm"
OAEP_MGF1P = XENC + "rsa-oaep-mgf1p"


@pytest.fixture
def desk() -> Desk:
    return Desk()


def with_plaintext(
    desk: Desk, plaintext: bytes, *, signed: bool = False, key_bytes: int = 32, encrypted_key: bytes | None = None
) -> bytes:
    """An answer whose EncryptedAssertion holds `plaintext`, encrypted as anybody can for our public key."""
    content_key, iv = os.urandom(key_bytes), os.urandom(12)
    octets = iv + AESGCM(content_key).encrypt(iv, plaintext, None)
    transported = encrypted_key or desk.encryption_key.rsa.public_key().encrypt(
        content_key,
        OAEP(MGF1(SHA1()), SHA1(), None),
    )
    root = etree.fromstring(desk.respond(sign="none"))
    assertion = root.find("saml:Assertion", NS)
    assert assertion is not None
    root.replace(
        assertion,
        etree.fromstring(
            f'<saml:EncryptedAssertion xmlns:saml="{SAML}" xmlns:xenc="{XENC}" xmlns:ds="{DS}"><xenc:EncryptedData>'
            f'<xenc:EncryptionMethod Algorithm="{GCM}"/><ds:KeyInfo><xenc:EncryptedKey>'
            f'<xenc:EncryptionMethod Algorithm="{OAEP_MGF1P}"/><xenc:CipherData><xenc:CipherValue>'
            f"{base64.b64encode(transported).decode()}</xenc:CipherValue></xenc:CipherData></xenc:EncryptedKey></ds:KeyInfo>"
            f"<xenc:CipherData><xenc:CipherValue>{base64.b64encode(octets).decode()}</xenc:CipherValue>"
            "</xenc:CipherData></xenc:EncryptedData></saml:EncryptedAssertion>"
        ),
    )
    if signed:
        sign_element(root, signing(desk.idp.key))
    return etree.tostring(root)


def assertion_of(desk: Desk, **options: object) -> bytes:
    root = etree.fromstring(desk.respond(**({"sign": "assertion"} | options)))
    return etree.tostring(root.find("saml:Assertion", NS), with_tail=False)


def _bent(assertion: bytes, bend: Callable[[etree._Element], None]) -> bytes:
    root = etree.fromstring(assertion)
    bend(root)
    return etree.tostring(root)


def _hide_assertion(root: etree._Element) -> None:
    hidden = copy.deepcopy(root)
    hidden.set("ID", "_hidden")
    etree.SubElement(root, f"{{{SAML}}}Advice").append(hidden)


def _hide_signature(root: etree._Element) -> None:
    subject, signature = root.find("saml:Subject", NS), root.find("ds:Signature", NS)
    assert subject is not None
    assert signature is not None
    subject.append(signature)


def _repeat_id(root: etree._Element) -> None:
    root[0].set("ID", str(root.get("ID")))


def _add_child(root: etree._Element) -> None:
    etree.SubElement(root, "{urn:example}Thing")


def _encrypt_again(desk: Desk) -> Callable[[etree._Element], None]:
    def bend(root: etree._Element) -> None:
        alone = etree.fromstring(etree.tostring(root))
        advice = etree.SubElement(root, f"{{{SAML}}}Advice")
        advice.append(encrypt_element(alone, desk.encryption_key.der))

    return bend


def plaintexts(desk: Desk) -> dict[str, tuple[bytes, str]]:
    """Plaintexts that each fail somewhere else, with the code of the truth; an empty one where nothing is wrong.

    All but one bear no signature of their own, so that in a signed Response only the named fault is left.
    """
    true, plain = assertion_of(desk), assertion_of(desk, sign="none")
    return {
        "nothing": (b" ", "saml.malformed"),
        "no XML": (b"hello", "saml.malformed"),
        "no UTF-8": (b"\xff\xfe\x00", "saml.encoding"),
        "too large": (b"<a>" + b" " * 180_000, "saml.malformed"),
        "document type": (b"<!DOCTYPE a>" + plain, "saml.doctype"),
        "comment": (plain.replace(b">alice<", b">al<!-- x -->ice<"), "saml.comment"),
        "instruction": (plain.replace(b">alice<", b">al<?x y?>ice<"), "saml.processing_instruction"),
        "too deep": (b"<a>" * 100 + b"</a>" * 100, "saml.structure"),
        "another element": (plain.replace(b"saml:Assertion", b"saml:Advice"), "saml.structure"),
        "another version": (plain.replace(b'Version="2.0"', b'Version="1.1"'), "saml.structure"),
        "an unknown child": (_bent(plain, _add_child), "saml.structure"),
        "a whole response": (desk.respond(), "saml.structure"),
        "a hidden assertion": (_bent(plain, _hide_assertion), "saml.structure"),
        "a signature in the wrong place": (_bent(true, _hide_signature), "saml.structure"),
        "an ID twice": (_bent(plain, _repeat_id), "saml.structure"),
        "encrypted again": (_bent(plain, _encrypt_again(desk)), "saml.structure"),
        "not signed": (plain, ""),
        "signed by somebody else": (assertion_of(desk, inner_key=key_pair("mallory")), "saml.signature"),
        "changed": (true.replace(b">alice<", b">mallory<"), "saml.signature"),
        "SHA-1": (assertion_of(desk, signature_method="rsa-sha1", digest_method="sha1"), "saml.algorithm"),
        "two assertions": (plain + plain, "saml.malformed"),
    }


PLAINTEXTS = sorted(plaintexts(Desk()))


def public_face(refusal: BrokerError) -> tuple[object, ...]:
    """All that a stranger sees of a refusal."""
    return refusal.code, refusal.status, str(refusal), refusal.refusal


def test_true_plaintext_is_accepted(desk: Desk) -> None:
    assert desk.verify(with_plaintext(desk, assertion_of(desk))).subject == "alice"


@pytest.mark.parametrize("name", PLAINTEXTS)
def test_every_plaintext_fails_with_the_same_face(desk: Desk, name: str) -> None:
    refusal = desk.refusal(with_plaintext(desk, plaintexts(desk)[name][0]))
    unopened = desk.refusal(with_plaintext(desk, b"x", encrypted_key=bytes(256)))
    assert public_face(refusal) == public_face(unopened)
    assert refusal.code == "saml.decryption"
    assert refusal.detail


@pytest.mark.parametrize("name", PLAINTEXTS)
def test_signed_response_vouches_for_its_ciphertext_so_the_truth_may_be_told(desk: Desk, name: str) -> None:
    plaintext, code = plaintexts(desk)[name]
    raw = with_plaintext(desk, plaintext, signed=True)
    if code:
        assert desk.code(raw) == code
    else:
        assert desk.verify(raw).subject == "alice"


@pytest.mark.parametrize("size", [0, 1, 16, 24])
def test_content_key_of_another_size_is_not_used(desk: Desk, size: int) -> None:
    short = desk.encryption_key.rsa.public_key().encrypt(os.urandom(size), OAEP(MGF1(SHA1()), SHA1(), None))
    assert desk.code(with_plaintext(desk, assertion_of(desk), encrypted_key=short)) == "saml.decryption"


@pytest.mark.parametrize("length", [0, 1, 255, 257, 256])
def test_transported_key_of_any_length_fails_alike(desk: Desk, length: int) -> None:
    transported = b"\xff" * length or b"\0"
    assert desk.code(with_plaintext(desk, assertion_of(desk), encrypted_key=transported)) == "saml.decryption"


def test_each_changed_block_of_a_cbc_ciphertext_fails_alike(desk: Desk) -> None:
    root = etree.fromstring(desk.respond(sign="assertion", encrypt="cbc"))
    value = root.find(".//xenc:EncryptedData/xenc:CipherData/xenc:CipherValue", NS)
    assert value is not None
    octets = base64.b64decode("".join((value.text or "").split()))
    faces = set()
    positions = [*range(0, len(octets), len(octets) // 60), *range(len(octets) - 33, len(octets))]
    for position in positions:
        changed = octets[:position] + bytes([octets[position] ^ 1]) + octets[position + 1 :]
        value.text = base64.b64encode(changed).decode()
        faces.add(public_face(desk.refusal(etree.tostring(root))))
    for cut in (1, 15, 16, 17, len(octets) - 16, len(octets) - 32):
        value.text = base64.b64encode(octets[:-cut]).decode()
        faces.add(public_face(desk.refusal(etree.tostring(root))))
    assert {face[0] for face in faces} == {"saml.decryption"}
    assert len(faces) == 1


def test_ciphertext_without_a_signature_anywhere_opens_nothing(desk: Desk) -> None:
    # CVE-2026-2092 and its kin: the encrypted branch forgot to ask for a signature.
    assert desk.code(desk.respond(sign="none", encrypt="gcm")) == "saml.decryption"
