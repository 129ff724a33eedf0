"""Our own signatures, as others verify them."""

import base64
from dataclasses import dataclass
from urllib.parse import parse_qsl

import pytest
import xmlsec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from lxml import etree

from federation.saml.signing import sign_enveloped, sign_query
from tests.fakes.fake_idp import NS
from tests.fakes.saml_keys import key_pair


@dataclass(frozen=True)
class Key:
    private_key: RSAPrivateKey
    certificate: bytes


KEY = Key(key_pair("our signing key").rsa, key_pair("our signing key").der)
XML = b'<a xmlns="urn:a" ID="_1"><b x="1">text &amp; more</b></a>'


def verify_with_xmlsec(raw: bytes) -> None:
    root = etree.fromstring(raw)
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_memory(
        key_pair("our signing key").certificate_pem, xmlsec.constants.KeyDataFormatCertPem
    )
    context.register_id(root, "ID")
    context.verify(root.find("ds:Signature", NS))


def test_signature_holds_and_carries_our_certificate() -> None:
    signed = sign_enveloped(XML, signer=KEY)
    verify_with_xmlsec(signed)
    certificate = etree.fromstring(signed).findtext(".//ds:X509Certificate", namespaces=NS)
    assert base64.b64decode(certificate or "") == KEY.certificate


def test_signature_covers_the_content() -> None:
    with pytest.raises(xmlsec.Error):
        verify_with_xmlsec(sign_enveloped(XML, signer=KEY).replace(b"text", b"tixt"))


def test_signature_stands_behind_the_issuer_or_first() -> None:
    saml = b'<a ID="_1"><Issuer xmlns="urn:oasis:names:tc:SAML:2.0:assertion">x</Issuer><b/></a>'
    assert [child.tag.rpartition("}")[2] for child in etree.fromstring(sign_enveloped(saml, signer=KEY))] == [
        "Issuer",
        "Signature",
        "b",
    ]
    assert etree.fromstring(sign_enveloped(XML, signer=KEY))[0].tag.endswith("Signature")


def test_query_is_signed_octet_by_octet() -> None:
    signed = sign_query("SAMLRequest=a%2Bb&RelayState=x%20y", signer=KEY)
    octets, _, signature = signed.rpartition("&Signature=")
    assert octets.startswith("SAMLRequest=a%2Bb&RelayState=x%20y&SigAlg=http%3A%2F%2Fwww.w3.org")
    value = base64.b64decode(dict(parse_qsl(signed))["Signature"])
    assert "%" in signature or signature.isalnum()
    public_key = KEY.private_key.public_key()
    public_key.verify(value, octets.encode(), PKCS1v15(), SHA256())
    with pytest.raises(InvalidSignature):
        public_key.verify(value, octets.replace("%20", "+").encode(), PKCS1v15(), SHA256())
