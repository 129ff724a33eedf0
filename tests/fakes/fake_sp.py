"""A SAML service provider that really signs its requests, and really verifies and opens our answers.

Signing, verifying and decrypting are python-xmlsec's, so that our own code is never tested against itself.

    sp = FakeServiceProvider("https://erp.example/saml")
    sp.metadata()                                  # what an operator registers
    sp.redirect(sso_url)                           # the query of a GET
    sp.form(sso_url)                               # the fields of a POST
    sp.read(fields, request_id="_1")               # the answer, or an AnswerRefused
"""

import base64
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import xmlsec
from lxml import etree

from tests.fakes.fake_idp import (
    BEARER,
    DS,
    MD,
    NS,
    POST,
    SAML,
    SAMLP,
    STATUS,
    instant,
    make_id,
    sign_element,
    signing,
)
from tests.fakes.saml_keys import KeyPair, key_pair

RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
QUERY_METHODS = {
    RSA_SHA256: xmlsec.constants.TransformRsaSha256,
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512": xmlsec.constants.TransformRsaSha512,
    "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256": xmlsec.constants.TransformEcdsaSha256,
    DS + "rsa-sha1": xmlsec.constants.TransformRsaSha1,
}
SOAP = "urn:oasis:names:tc:SAML:2.0:bindings:SOAP"
SKEW = timedelta(seconds=30)


class AnswerRefused(Exception):
    """The service provider does not accept an answer."""


@dataclass(frozen=True)
class Answer:
    """What an accepted answer says."""

    status: tuple[str, ...]
    """Status codes without their common beginning, from the outermost to the innermost."""
    message: str = ""
    name_id: str = ""
    format: str = ""
    name_qualifier: str = ""
    sp_name_qualifier: str = ""
    session_index: str = ""
    context: str = ""
    authority: str = ""
    authenticated_at: str = ""
    attributes: Mapping[str, tuple[str, ...]] | None = None
    formats: Mapping[str, tuple[str, str]] | None = None
    """(NameFormat, FriendlyName) by Name."""
    cipher: str = ""
    """The content's cipher where the assertion was encrypted."""
    signed: tuple[str, ...] = ()
    """Which elements bore a signature that held: Response, Assertion."""
    relay_state: str | None = None


class FakeServiceProvider:
    """One service provider with its keys. `acs_urls` have the indexes 0, 1, …; the first is the default."""

    def __init__(
        self,
        entity_id: str = "https://erp.example/saml",
        *,
        acs_urls: Sequence[str] = ("https://erp.example/saml/acs",),
        key: KeyPair | None = None,
        encryption_key: KeyPair | None = None,
    ) -> None:
        self.entity_id = entity_id
        self.acs_urls = tuple(acs_urls)
        self.key = key or key_pair(f"sp {entity_id}")
        self.encryption_key = encryption_key

    # --- What we say ------------------------------------------------------------------------------------------------
    def metadata(
        self,
        *,
        signs_requests: bool = False,
        keys: Sequence[KeyPair] | None = None,
        methods: Sequence[str] = (),
        encryption_use: str | None = "encryption",
        valid_until: str | None = None,
        soap_logout: str = "",
    ) -> str:
        """A schema-valid EntityDescriptor; `methods` stand beside the encryption key, `soap_logout` is an address."""
        descriptors = "".join(_key_descriptor(key, "signing") for key in ((self.key,) if keys is None else keys))
        if self.encryption_key:
            descriptors += _key_descriptor(self.encryption_key, encryption_use, methods)
        if soap_logout:
            descriptors += f'<md:SingleLogoutService Binding="{SOAP}" Location="{soap_logout}"/>'
        consumers = "".join(
            f'<md:AssertionConsumerService Binding="{POST}" Location="{url}" index="{index}"'
            f' isDefault="{str(index == 0).lower()}"/>'
            for index, url in enumerate(self.acs_urls)
        )
        until = f' validUntil="{valid_until}"' if valid_until else ""
        return (
            f'<md:EntityDescriptor xmlns:md="{MD}" xmlns:ds="{DS}" entityID="{self.entity_id}"{until}>'
            f'<md:SPSSODescriptor AuthnRequestsSigned="{str(signs_requests).lower()}" WantAssertionsSigned="true"'
            f' protocolSupportEnumeration="{SAMLP}">{descriptors}{consumers}'
            "</md:SPSSODescriptor></md:EntityDescriptor>"
        )

    def request(
        self,
        destination: str | None,
        *,
        request_id: str | None = None,
        issuer: str | None = None,
        now: datetime | None = None,
        inside: str = "",
        sign: bool = False,
        key: KeyPair | None = None,
        edit: Callable[[etree._Element], None] | None = None,
        **attributes: str | None,
    ) -> bytes:
        """The XML of an AuthnRequest. `inside` is XML behind the Issuer; `edit` works on it once it is signed."""
        root = etree.Element(f"{{{SAMLP}}}AuthnRequest", nsmap={"samlp": SAMLP, "saml": SAML})
        values = {
            "ID": request_id or make_id(),
            "Version": "2.0",
            "IssueInstant": instant(now or datetime.now(UTC)),
            "Destination": destination,
        } | attributes
        for name, value in values.items():
            if value is not None:
                root.set(name, value)
        etree.SubElement(root, f"{{{SAML}}}Issuer").text = issuer or self.entity_id
        root.extend(etree.fromstring(f'<x xmlns:saml="{SAML}" xmlns:samlp="{SAMLP}" xmlns:ds="{DS}">{inside}</x>'))
        if sign:
            sign_element(root, signing(key or self.key))
        if edit:
            edit(root)
        return etree.tostring(root)

    def redirect(
        self,
        destination: str | None,
        *,
        relay_state: str | None = None,
        sign: bool = False,
        key: KeyPair | None = None,
        method: str = RSA_SHA256,
        raw: bytes | None = None,
        **options: Any,
    ) -> str:
        """The query of a request by HTTP-Redirect; with `sign` its signature stands in the query."""
        xml = self.request(destination, **options) if raw is None else raw
        deflate = zlib.compressobj(wbits=-15)
        octets = deflate.compress(xml) + deflate.flush()
        query = f"SAMLRequest={quote(base64.b64encode(octets), safe='')}"
        if relay_state is not None:
            query += f"&RelayState={quote(relay_state, safe='')}"
        return self.sign_query(query, key=key, method=method) if sign else query

    def sign_query(self, query: str, *, key: KeyPair | None = None, method: str = RSA_SHA256) -> str:
        """`query` with SigAlg and Signature."""
        octets = f"{query}&SigAlg={quote(method, safe='')}"
        context = xmlsec.SignatureContext()
        context.key = xmlsec.Key.from_memory((key or self.key).private_pem, xmlsec.constants.KeyDataFormatPem)
        value = context.sign_binary(octets.encode(), QUERY_METHODS[method])
        return f"{octets}&Signature={quote(base64.b64encode(value), safe='')}"

    def form(self, destination: str | None, *, relay_state: str | None = None, **options: Any) -> dict[str, str]:
        """The fields of a request by HTTP-POST."""
        fields = {"SAMLRequest": base64.b64encode(self.request(destination, **options)).decode()}
        return fields if relay_state is None else fields | {"RelayState": relay_state}

    # --- What we hear -----------------------------------------------------------------------------------------------
    def read(
        self,
        fields: Mapping[str, str],
        *,
        idp_key: KeyPair | bytes,
        idp: str,
        request_id: str | None,
        acs_url: str | None = None,
        now: datetime | None = None,
    ) -> Answer:
        """Accept an answer as a strict service provider does. Raises AnswerRefused.

        `idp_key` is the certificate (DER) of the identity provider's metadata.
        """
        certificate = idp_key if isinstance(idp_key, bytes) else idp_key.der
        acs_url, now = acs_url or self.acs_urls[0], now or datetime.now(UTC)
        root = etree.fromstring(base64.b64decode(fields["SAMLResponse"], validate=True))
        expect(root.tag, f"{{{SAMLP}}}Response")
        expect(root.get("Version"), "2.0")
        expect(root.get("Destination"), acs_url)
        expect(root.get("InResponseTo"), request_id)
        expect(root.findtext("saml:Issuer", namespaces=NS), idp)
        signed = ["Response"] if signature_holds(root, certificate) else []
        codes = tuple(str(one.get("Value")).removeprefix(STATUS) for one in root.iter(f"{{{SAMLP}}}StatusCode"))
        relay_state = fields.get("RelayState")
        if codes != ("Success",):
            expect(signed, ["Response"])
            message = root.findtext("samlp:Status/samlp:StatusMessage", "", NS)
            return Answer(codes, message, signed=("Response",), relay_state=relay_state)
        cipher = ""
        if (encrypted := root.find("saml:EncryptedAssertion", NS)) is not None:
            method = encrypted.find("xenc:EncryptedData/xenc:EncryptionMethod", NS)
            assert method is not None
            cipher = str(method.get("Algorithm"))
            assertion = self.decrypt(encrypted)
        else:
            found = root.findall("saml:Assertion", NS)
            expect(len(found), 1)
            assertion = found[0]
        if signature_holds(assertion, certificate):
            signed.append("Assertion")
        if not signed:
            raise AnswerRefused("nothing is signed")
        self._judge(assertion, idp=idp, acs_url=acs_url, request_id=request_id, now=now)
        return _answer(assertion, status=codes, cipher=cipher, signed=tuple(signed), relay_state=relay_state)

    def decrypt(self, encrypted: etree._Element) -> etree._Element:
        """The assertion inside, opened by python-xmlsec."""
        assert self.encryption_key is not None
        manager = xmlsec.KeysManager()
        manager.add_key(xmlsec.Key.from_memory(self.encryption_key.private_pem, xmlsec.constants.KeyDataFormatPem))
        alone = etree.fromstring(etree.tostring(encrypted))
        opened = xmlsec.EncryptionContext(manager).decrypt(alone[0])
        return etree.fromstring(etree.tostring(opened))

    def _judge(
        self, assertion: etree._Element, *, idp: str, acs_url: str, request_id: str | None, now: datetime
    ) -> None:
        def text(path: str) -> str | None:
            return assertion.findtext(path, namespaces=NS)

        expect(text("saml:Issuer"), idp)
        confirmation = assertion.find("saml:Subject/saml:SubjectConfirmation", NS)
        assert confirmation is not None
        expect(confirmation.get("Method"), BEARER)
        bearer = confirmation[0]
        expect(bearer.get("Recipient"), acs_url)
        expect(bearer.get("InResponseTo"), request_id)
        expect(bearer.get("NotBefore"), None)
        expect(text("saml:Conditions/saml:AudienceRestriction/saml:Audience"), self.entity_id)
        conditions = assertion.find("saml:Conditions", NS)
        assert conditions is not None
        for element in (bearer, conditions):
            if not now - SKEW < moment(element.get("NotOnOrAfter")):
                raise AnswerRefused("expired")
        if moment(conditions.get("NotBefore")) > now + SKEW:
            raise AnswerRefused("not yet valid")
        statement = assertion.find("saml:AuthnStatement", NS)
        assert statement is not None
        if moment(statement.get("SessionNotOnOrAfter")) <= now or moment(statement.get("AuthnInstant")) > now + SKEW:
            raise AnswerRefused("the session is over, or yet to begin")


def _answer(assertion: etree._Element, **known: Any) -> Answer:
    name_id = assertion.find("saml:Subject/saml:NameID", NS)
    statement = assertion.find("saml:AuthnStatement", NS)
    assert name_id is not None
    assert statement is not None
    attributes = assertion.findall("saml:AttributeStatement/saml:Attribute", NS)
    return Answer(
        name_id=name_id.text or "",
        format=name_id.get("Format", ""),
        name_qualifier=name_id.get("NameQualifier", ""),
        sp_name_qualifier=name_id.get("SPNameQualifier", ""),
        session_index=statement.get("SessionIndex", ""),
        context=statement.findtext("saml:AuthnContext/saml:AuthnContextClassRef", "", NS),
        authority=statement.findtext("saml:AuthnContext/saml:AuthenticatingAuthority", "", NS),
        authenticated_at=statement.get("AuthnInstant", ""),
        attributes={str(one.get("Name")): tuple(value.text or "" for value in one) for one in attributes},
        formats={str(one.get("Name")): (one.get("NameFormat", ""), one.get("FriendlyName", "")) for one in attributes},
        **known,
    )


def _key_descriptor(key: KeyPair, use: str | None, methods: Sequence[str] = ()) -> str:
    beside = "".join(f'<md:EncryptionMethod Algorithm="{one}"/>' for one in methods)
    used_for = f' use="{use}"' if use else ""
    return (
        f"<md:KeyDescriptor{used_for}><ds:KeyInfo><ds:X509Data><ds:X509Certificate>"
        f"{base64.encodebytes(key.der).decode()}"
        f"</ds:X509Certificate></ds:X509Data></ds:KeyInfo>{beside}</md:KeyDescriptor>"
    )


def signature_holds(element: etree._Element, certificate: bytes) -> bool:
    """Whether a signature stands directly in the element and holds; one that does not hold is refused."""
    signature = element.find("ds:Signature", NS)
    if signature is None:
        return False
    reference = signature.find("ds:SignedInfo/ds:Reference", NS)
    assert reference is not None
    expect(reference.get("URI"), f"#{element.get('ID')}")
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_memory(certificate, xmlsec.constants.KeyDataFormatCertDer)
    context.register_id(element, "ID")
    context.enable_reference_transform(xmlsec.constants.TransformEnveloped)
    context.enable_reference_transform(xmlsec.constants.TransformExclC14N)
    context.enable_reference_transform(xmlsec.constants.TransformSha256)
    context.enable_signature_transform(xmlsec.constants.TransformRsaSha256)
    context.enable_signature_transform(xmlsec.constants.TransformExclC14N)
    try:
        context.verify(signature)
    except xmlsec.Error as error:
        raise AnswerRefused("the signature does not hold") from error
    return True


def expect(actual: object, expected: object) -> None:
    if actual != expected:
        raise AnswerRefused(f"expected {expected!r}, found {actual!r}")


def moment(text: str | None) -> datetime:
    if not text:
        raise AnswerRefused("a time is missing")
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
