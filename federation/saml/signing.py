"""Signing our own messages and metadata in the process: RSA with SHA-256, no file, no other program."""

import base64
import hashlib
from typing import Protocol
from urllib.parse import quote

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from lxml import etree

from federation.saml import algorithms
from federation.saml.canonical import canonical_bytes
from federation.saml.elements import id_of
from federation.saml.names import DS, ENVELOPED, EXCLUSIVE_C14N
from federation.saml.structure import ISSUER

_SIG_ALG = quote(algorithms.RSA_SHA256, safe="")


class Signer(Protocol):
    """A signing key that is open already, and its certificate."""

    @property
    def private_key(self) -> RSAPrivateKey: ...

    @property
    def certificate(self) -> bytes:
        """DER."""


def sign_enveloped(xml: bytes, *, signer: Signer) -> bytes:
    """`xml` with an enveloped signature over its root, where the schemas want it: after Issuer, or first.

    The root bears an ID. `xml` is our own: no limit of what others send is its limit.
    """
    root = etree.fromstring(xml)
    add_signature(root, signer=signer)
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True)


def add_signature(root: etree._Element, *, signer: Signer) -> None:
    """Put an enveloped signature over `root`, which bears an ID, into it: after Issuer, or first."""
    digest = hashlib.sha256(canonical_bytes(root)).digest()
    # Written in canonical form, so that these bytes are what is signed and what every verifier makes of them.
    signed_info = (
        f'<ds:SignedInfo xmlns:ds="{DS}">'
        f'<ds:CanonicalizationMethod Algorithm="{EXCLUSIVE_C14N}"></ds:CanonicalizationMethod>'
        f'<ds:SignatureMethod Algorithm="{algorithms.RSA_SHA256}"></ds:SignatureMethod>'
        f'<ds:Reference URI="#{id_of(root)}"><ds:Transforms>'
        f'<ds:Transform Algorithm="{ENVELOPED}"></ds:Transform>'
        f'<ds:Transform Algorithm="{EXCLUSIVE_C14N}"></ds:Transform></ds:Transforms>'
        f'<ds:DigestMethod Algorithm="{algorithms.SHA256}"></ds:DigestMethod>'
        f"<ds:DigestValue>{_base64(digest)}</ds:DigestValue></ds:Reference></ds:SignedInfo>"
    )
    value = signer.private_key.sign(signed_info.encode(), PKCS1v15(), SHA256())
    signature = etree.fromstring(
        f'<ds:Signature xmlns:ds="{DS}">{signed_info}<ds:SignatureValue>{_base64(value)}</ds:SignatureValue>'
        f"<ds:KeyInfo><ds:X509Data><ds:X509Certificate>{_base64(signer.certificate)}</ds:X509Certificate>"
        "</ds:X509Data></ds:KeyInfo></ds:Signature>"
    )
    root.insert(1 if len(root) and root[0].tag == ISSUER else 0, signature)


def sign_query(query: str, *, signer: Signer) -> str:
    """`query` with SigAlg and Signature added: the signature is over these very octets (SAML bindings 3.4.4.1)."""
    octets = f"{query}&SigAlg={_SIG_ALG}"
    value = signer.private_key.sign(octets.encode("ascii"), PKCS1v15(), SHA256())
    return f"{octets}&Signature={percent_base64(value)}"


def percent_base64(octets: bytes) -> str:
    """`octets` in base64 as a value in a query, with everything escaped that RFC 3986 does not leave unreserved."""
    return _base64(octets).replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")


def _base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")
