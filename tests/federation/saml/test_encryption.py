"""Encrypted assertions: what honest senders write, and what is refused before any key is used."""

import base64
import copy
import os
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from lxml import etree

from tests.fakes.fake_idp import DS, NS, SAML, XENC, sign_element, signing
from tests.fakes.saml_keys import key_pair
from tests.federation.saml.desk import Desk

XENC11 = "http://www.w3.org/2009/xmlenc11#"
SHA1, SHA256, SHA512 = DS + "sha1", XENC + "sha256", XENC + "sha512"
MGF1_SHA1, MGF1_SHA256, MGF1_SHA512 = (XENC11 + "mgf1sha1", XENC11 + "mgf1sha256", XENC11 + "mgf1sha512")
HASHES = {"sha1": hashes.SHA1(), "sha256": hashes.SHA256()}


def find(root: etree._Element, path: str) -> etree._Element:
    found = root.find(path, NS)
    assert found is not None, path
    return found


def transport(desk: Desk, *, method: str, parameters: str, padding: OAEP) -> bytes:
    """An answer with a signed assertion, encrypted with AES-256-GCM and the key transported as told."""
    root = etree.fromstring(desk.respond(sign="assertion"))
    assertion = find(root, "saml:Assertion")
    content_key, iv = os.urandom(32), os.urandom(12)
    octets = iv + AESGCM(content_key).encrypt(iv, etree.tostring(assertion, with_tail=False), None)
    transported = desk.encryption_key.rsa.public_key().encrypt(content_key, padding)
    encrypted = (
        f'<saml:EncryptedAssertion xmlns:saml="{SAML}" xmlns:xenc="{XENC}" xmlns:xenc11="{XENC11}" xmlns:ds="{DS}">'
        f'<xenc:EncryptedData><xenc:EncryptionMethod Algorithm="{XENC11}aes256-gcm"/><ds:KeyInfo><xenc:EncryptedKey>'
        f'<xenc:EncryptionMethod Algorithm="{method}">{parameters}</xenc:EncryptionMethod><xenc:CipherData>'
        f"<xenc:CipherValue>{base64.b64encode(transported).decode()}</xenc:CipherValue></xenc:CipherData>"
        f"</xenc:EncryptedKey></ds:KeyInfo><xenc:CipherData><xenc:CipherValue>{base64.b64encode(octets).decode()}"
        "</xenc:CipherValue></xenc:CipherData></xenc:EncryptedData></saml:EncryptedAssertion>"
    )
    root.replace(assertion, etree.fromstring(encrypted))
    return etree.tostring(root)


def digest(uri: str) -> str:
    return f'<ds:DigestMethod Algorithm="{uri}"/>'


def mask(uri: str) -> str:
    return f'<xenc11:MGF Algorithm="{uri}"/>'


OAEP_FORMS: dict[str, tuple[str, str, OAEP]] = {
    "mgf1p by default": (XENC + "rsa-oaep-mgf1p", "", OAEP(MGF1(hashes.SHA1()), hashes.SHA1(), None)),
    "mgf1p with SHA-1": (XENC + "rsa-oaep-mgf1p", digest(SHA1), OAEP(MGF1(hashes.SHA1()), hashes.SHA1(), None)),
    "mgf1p with SHA-256": (XENC + "rsa-oaep-mgf1p", digest(SHA256), OAEP(MGF1(hashes.SHA1()), hashes.SHA256(), None)),
    "1.1 by default": (XENC11 + "rsa-oaep", "", OAEP(MGF1(hashes.SHA1()), hashes.SHA1(), None)),
    "1.1 with SHA-256": (
        XENC11 + "rsa-oaep",
        digest(SHA256) + mask(MGF1_SHA256),
        OAEP(MGF1(hashes.SHA256()), hashes.SHA256(), None),
    ),
    "1.1 with a mask of SHA-256 only": (
        XENC11 + "rsa-oaep",
        mask(MGF1_SHA256),
        OAEP(MGF1(hashes.SHA256()), hashes.SHA1(), None),
    ),
    "1.1 with a mask of SHA-1": (
        XENC11 + "rsa-oaep",
        digest(SHA256) + mask(MGF1_SHA1),
        OAEP(MGF1(hashes.SHA1()), hashes.SHA256(), None),
    ),
    "with a label": (
        XENC + "rsa-oaep-mgf1p",
        "<xenc:OAEPparams>bGFiZWw=</xenc:OAEPparams>",
        OAEP(MGF1(hashes.SHA1()), hashes.SHA1(), b"label"),
    ),
}


@pytest.mark.parametrize("form", OAEP_FORMS)
def test_key_transport_is_opened(desk: Desk, form: str) -> None:
    method, parameters, padding = OAEP_FORMS[form]
    raw = transport(desk, method=method, parameters=parameters, padding=padding)
    assert desk.verify(raw).subject == "alice"


@pytest.mark.parametrize("placement", ["inside", "sibling"])
@pytest.mark.parametrize("sign", ["response", "assertion", "both"])
def test_encrypted_key_may_stand_in_either_usual_place(desk: Desk, placement: str, sign: str) -> None:
    raw = desk.respond(sign=sign, encrypt="gcm", key_placement=placement)
    assert desk.verify(raw).subject == "alice"


def test_any_of_our_keys_opens_during_a_rollover(desk: Desk) -> None:
    new = key_pair("service provider encryption, new")
    keys = (new.rsa, desk.encryption_key.rsa)
    for certificate in (desk.encryption_key.der, new.der):
        raw = desk.respond(sign="assertion", encrypt="gcm", encryption_certificate=certificate)
        assert desk.verify(raw, decryption_keys=keys).subject == "alice"


def test_key_for_another_recipient_beside_ours_does_no_harm(desk: Desk) -> None:
    other = key_pair("another service provider")
    foreign = etree.fromstring(desk.respond(sign="assertion", encrypt="gcm", encryption_certificate=other.der))
    root = etree.fromstring(desk.respond(sign="assertion", encrypt="gcm", key_placement="sibling"))
    find(root, "saml:EncryptedAssertion").insert(1, find(foreign, ".//xenc:EncryptedKey"))
    assert desk.verify(etree.tostring(root)).subject == "alice"


@pytest.mark.parametrize("sign", ["response", "assertion"])
def test_assertion_for_another_recipient_is_not_opened(desk: Desk, sign: str) -> None:
    other = key_pair("another service provider")
    raw = desk.respond(sign=sign, encrypt="gcm", encryption_certificate=other.der)
    assert desk.code(raw) == "saml.decryption"


def test_without_a_key_nothing_is_opened(desk: Desk) -> None:
    assert desk.code(desk.respond(encrypt="gcm"), decryption_keys=()) == "saml.decryption"


@pytest.mark.parametrize("sign", ["response", "assertion"])
@pytest.mark.parametrize(
    "options", [{"encrypt": "3des"}, {"encrypt": "gcm", "key_transport": "rsa15"}], ids=["3DES", "PKCS #1 v1.5"]
)
def test_weak_encryption_is_refused_by_name(desk: Desk, options: dict[str, str], sign: str) -> None:
    assert desk.code(desk.respond(sign=sign, **options)) == "saml.algorithm"


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        (XENC + "rsa-oaep-mgf1p", digest(SHA512)),
        (XENC + "rsa-oaep-mgf1p", digest("")),
        (XENC + "rsa-oaep-mgf1p", mask(MGF1_SHA256)),
        (XENC11 + "rsa-oaep", mask(MGF1_SHA512)),
        (XENC + "kw-aes256", ""),
        (XENC + "rsa-1_5", ""),
        ("", ""),
    ],
)
def test_other_key_transport_is_refused(desk: Desk, method: str, parameters: str) -> None:
    padding = OAEP(MGF1(hashes.SHA1()), hashes.SHA1(), None)
    raw = transport(desk, method=method, parameters=parameters, padding=padding)
    assert desk.code(raw) == "saml.algorithm"


def _second_data(root: etree._Element) -> None:
    wrapper = find(root, "saml:EncryptedAssertion")
    wrapper.append(copy.deepcopy(wrapper[0]))


def _nested_data(root: etree._Element) -> None:
    nested = copy.deepcopy(find(root, ".//xenc:EncryptedData"))
    nested.remove(find(nested, "ds:KeyInfo"))
    find(root, ".//xenc:EncryptedData/ds:KeyInfo").append(nested)


def _no_data(root: etree._Element) -> None:
    wrapper = find(root, "saml:EncryptedAssertion")
    wrapper.remove(wrapper[0])


def _foreign_child(root: etree._Element) -> None:
    etree.SubElement(find(root, "saml:EncryptedAssertion"), "{urn:example}Thing")


def _content_type(root: etree._Element) -> None:
    find(root, ".//xenc:EncryptedData").set("Type", XENC + "Content")


def _cipher_reference(root: etree._Element) -> None:
    holder = find(root, ".//xenc:EncryptedData/xenc:CipherData")
    holder.remove(holder[0])
    etree.SubElement(holder, f"{{{XENC}}}CipherReference", URI="http://169.254.169.254/")


def _no_key(root: etree._Element) -> None:
    holder = find(root, ".//xenc:EncryptedData/ds:KeyInfo")
    for child in list(holder):
        holder.remove(child)


def _many_keys(root: etree._Element) -> None:
    holder = find(root, ".//xenc:EncryptedData/ds:KeyInfo")
    for _ in range(4):
        holder.append(copy.deepcopy(find(holder, "xenc:EncryptedKey")))


def _hidden_key(root: etree._Element) -> None:
    holder = find(root, ".//xenc:EncryptedData/ds:KeyInfo")
    etree.SubElement(holder, f"{{{DS}}}X509Data").append(find(holder, "xenc:EncryptedKey"))


def _no_method(root: etree._Element) -> None:
    holder = find(root, ".//xenc:EncryptedData")
    holder.remove(find(holder, "xenc:EncryptionMethod"))


BENT: dict[str, Callable[[etree._Element], None]] = {
    "second EncryptedData": _second_data,
    "nested EncryptedData": _nested_data,
    "no EncryptedData": _no_data,
    "foreign child": _foreign_child,
    "type Content": _content_type,
    "CipherReference": _cipher_reference,
    "no EncryptedKey": _no_key,
    "too many EncryptedKeys": _many_keys,
    "EncryptedKey in a strange place": _hidden_key,
    "no EncryptionMethod": _no_method,
}


@pytest.mark.parametrize("sign", ["none", "response"])
@pytest.mark.parametrize("name", BENT)
def test_bent_encryption_is_refused_before_a_key_is_used(desk: Desk, name: str, sign: str) -> None:
    root = etree.fromstring(desk.respond(sign="assertion", encrypt="gcm"))
    BENT[name](root)
    if sign == "response":
        sign_element(root, signing(desk.idp.key))
    assert desk.code(etree.tostring(root)) == "saml.structure"


def test_two_encrypted_assertions_are_refused(desk: Desk) -> None:
    root = etree.fromstring(desk.respond(sign="assertion", encrypt="gcm"))
    root.append(copy.deepcopy(find(root, "saml:EncryptedAssertion")))
    assert desk.code(etree.tostring(root)) == "saml.structure"


def test_ciphertext_changed_under_a_signed_response_is_a_broken_signature(desk: Desk) -> None:
    root = etree.fromstring(desk.respond(sign="response", encrypt="cbc"))
    value = find(root, ".//xenc:EncryptedData/xenc:CipherData/xenc:CipherValue")
    value.text = "AAAA" + (value.text or "")[4:]
    assert desk.code(etree.tostring(root)) == "saml.signature"
