"""A SAML identity provider that really signs and encrypts, with flaws that can be switched on.

Signing and encrypting are python-xmlsec's, so that the guard is never tested against its own code.

    idp = FakeIdentityProvider("https://idp.example.org/saml")
    idp.metadata()                       # what an operator registers
    idp.answer(request_id="_1", acs_url="…", audience="…", subject="alice", flaw="expired")

`FLAWS` names every flaw and the code of the refusal that it must lead to. Any field of `Draft` can be given
to `answer` and `response` by name; None leaves the element or attribute out.
"""

import base64
import copy
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from typing import Any

import xmlsec
from lxml import etree

from tests.fakes.saml_keys import KeyPair, key_pair

SAML = "urn:oasis:names:tc:SAML:2.0:assertion"
SAMLP = "urn:oasis:names:tc:SAML:2.0:protocol"
MD = "urn:oasis:names:tc:SAML:2.0:metadata"
DS = "http://www.w3.org/2000/09/xmldsig#"
XENC = "http://www.w3.org/2001/04/xmlenc#"
XS = "http://www.w3.org/2001/XMLSchema"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
SHIBMD = "urn:mace:shibboleth:metadata:1.0"
NS = {"saml": SAML, "samlp": SAMLP, "ds": DS, "xenc": XENC, "md": MD}

STATUS = "urn:oasis:names:tc:SAML:2.0:status:"
BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
PERSISTENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
TRANSIENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
EMAIL = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
UNSPECIFIED = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"
PASSWORD = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"
ATTRIBUTE_URI = "urn:oasis:names:tc:SAML:2.0:attrname-format:uri"
ATTRIBUTE_BASIC = "urn:oasis:names:tc:SAML:2.0:attrname-format:basic"
POST = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
REDIRECT = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"

SIGNATURE_METHODS = {
    "rsa-sha1": xmlsec.constants.TransformRsaSha1,
    "rsa-sha256": xmlsec.constants.TransformRsaSha256,
    "rsa-sha384": xmlsec.constants.TransformRsaSha384,
    "rsa-sha512": xmlsec.constants.TransformRsaSha512,
    "hmac-sha256": xmlsec.constants.TransformHmacSha256,  # keyed with the public certificate
    "ecdsa-sha256": xmlsec.constants.TransformEcdsaSha256,
    "ecdsa-sha384": xmlsec.constants.TransformEcdsaSha384,
    "ecdsa-sha512": xmlsec.constants.TransformEcdsaSha512,
}
DIGEST_METHODS = {
    "sha1": xmlsec.constants.TransformSha1,
    "sha256": xmlsec.constants.TransformSha256,
    "sha384": xmlsec.constants.TransformSha384,
    "sha512": xmlsec.constants.TransformSha512,
}
CIPHERS = {
    "gcm": (xmlsec.constants.TransformAes256Gcm, 256),
    "gcm128": (xmlsec.constants.TransformAes128Gcm, 128),
    "gcm192": (xmlsec.constants.TransformAes192Gcm, 192),
    "cbc": (xmlsec.constants.TransformAes256Cbc, 256),
    "cbc128": (xmlsec.constants.TransformAes128Cbc, 128),
}


def instant(moment: datetime) -> str:
    """A SAML time: UTC, whole seconds, Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def make_id() -> str:
    return "_" + secrets.token_hex(16)


@dataclass(slots=True)
class Draft:
    """Everything that an answer says, before it is signed. Times are strings as they go on the wire."""

    issuer: str
    acs_url: str
    in_response_to: str | None
    audiences: list[str] | None
    name_id: str | None
    attributes: Mapping[str, str | Sequence[str]]
    issue_instant: str
    not_before: str | None
    not_on_or_after: str | None
    authn_instant: str
    response_id: str = field(default_factory=make_id)
    assertion_id: str = field(default_factory=make_id)
    response_issuer: str | None = ""  # "": the same as `issuer`
    destination: str | None = ""  # "": the ACS URL
    recipient: str | None = ""  # "": the ACS URL
    assertion_issue_instant: str | None = None  # None: as the Response's
    confirmation_method: str | None = BEARER  # None: no SubjectConfirmation
    confirmation_in_response_to: str | None = ""  # "": as the Response's
    confirmation_not_on_or_after: str | None = ""  # "": as the Conditions'
    name_id_format: str | None = PERSISTENT
    name_qualifier: str | None = None
    sp_name_qualifier: str | None = None
    session_index: str | None = "_session1"
    session_not_on_or_after: str | None = None
    context: str | None = PASSWORD
    friendly_names: Mapping[str, str] = field(default_factory=dict)
    attribute_type: str | None = None  # "xs:string" writes xsi:type
    status: tuple[str, ...] = ("Success",)
    status_message: str | None = None
    with_assertion: bool | None = None  # None: when the status is Success
    extra_condition: str | None = None  # a condition's XML
    authn_statement: bool = True


DRAFT_FIELDS = frozenset(one.name for one in fields(Draft))


class FakeIdentityProvider:
    """One identity provider with its signing key. Another `key_name` is another key."""

    def __init__(
        self,
        entity_id: str = "https://idp.example.org/saml",
        *,
        sso_url: str = "https://idp.example.org/sso",
        key_name: str = "",
        scopes: Sequence[str] = (),
        encryption_certificate: bytes | None = None,
    ) -> None:
        self.entity_id = entity_id
        self.sso_url = sso_url
        self.key = key_pair(key_name or f"idp {entity_id}")
        self.scopes = tuple(scopes)
        self.encryption_certificate = encryption_certificate
        """DER; `encrypt=` needs it here or as an argument."""

    def metadata(self, *, keys: Sequence[KeyPair] = (), wants_signed_requests: bool = False, comment: str = "") -> str:
        """Our metadata as a schema-valid EntityDescriptor; several `keys` are a rollover."""
        scopes = "".join(
            f'<shibmd:Scope xmlns:shibmd="{SHIBMD}" regexp="false">{scope}</shibmd:Scope>' for scope in self.scopes
        )
        descriptors = "".join(
            '<md:KeyDescriptor use="signing"><ds:KeyInfo><ds:X509Data><ds:X509Certificate>'
            f"{base64.encodebytes(key.der).decode()}"
            "</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>"
            for key in keys or (self.key,)
        )
        extensions = f"<md:Extensions>{scopes}</md:Extensions>" if scopes else ""
        remark = f"<!-- {comment} -->" if comment else ""
        return (
            f'<md:EntityDescriptor xmlns:md="{MD}" xmlns:ds="{DS}" entityID="{self.entity_id}">{remark}'
            f'<md:IDPSSODescriptor WantAuthnRequestsSigned="{str(wants_signed_requests).lower()}" '
            f'protocolSupportEnumeration="{SAMLP}">{extensions}{descriptors}'
            f"<md:NameIDFormat>{PERSISTENT}</md:NameIDFormat>"
            f'<md:SingleSignOnService Binding="{REDIRECT}" Location="{self.sso_url}"/>'
            f'<md:SingleSignOnService Binding="{POST}" Location="{self.sso_url}"/>'
            "</md:IDPSSODescriptor></md:EntityDescriptor>"
        )

    def answer(self, **options: Any) -> str:
        """`response(…)` as the base64 text of the form field SAMLResponse."""
        return base64.b64encode(self.response(**options)).decode()

    def response(
        self,
        *,
        request_id: str | None,
        acs_url: str,
        audience: str,
        subject: str | None = "alice",
        attributes: Mapping[str, str | Sequence[str]] | None = None,
        flaw: str | None = None,
        sign: str = "response",
        encrypt: str | None = None,
        now: datetime | None = None,
        key: KeyPair | None = None,
        inner_key: KeyPair | None = None,
        signature_method: str = "rsa-sha256",
        digest_method: str = "sha256",
        key_info: bool = True,
        prefix_list: str | None = None,
        pretty: bool = False,
        key_transport: str = "oaep",
        key_placement: str = "inside",
        encryption_certificate: bytes | None = None,
        assertion_builder: Callable[[Draft], etree._Element] | None = None,
        **draft_fields: Any,
    ) -> bytes:
        """The XML of one answer.

        sign is none, response, assertion or both; encrypt is None or a key of `CIPHERS`; key_placement puts the
        EncryptedKey "inside" EncryptedData's KeyInfo or as its "sibling". `inner_key` signs the assertion only;
        `assertion_builder` stands in for `build_assertion`.
        """
        unknown = draft_fields.keys() - DRAFT_FIELDS
        assert not unknown, f"no such option: {sorted(unknown)}"
        moment = now or datetime.now(UTC)
        draft = Draft(
            issuer=self.entity_id,
            acs_url=acs_url,
            in_response_to=request_id,
            audiences=[audience],
            name_id=subject,
            attributes=attributes if attributes is not None else {"mail": "alice@example.org"},
            issue_instant=instant(moment),
            not_before=instant(moment - timedelta(seconds=30)),
            not_on_or_after=instant(moment + timedelta(minutes=5)),
            authn_instant=instant(moment - timedelta(minutes=1)),
        )
        options = Signing(
            sign=sign,
            key=key or self.key,
            inner_key=inner_key or key or self.key,
            signature_method=signature_method,
            digest_method=digest_method,
            key_info=key_info,
            prefix_list=prefix_list,
        )
        for name, value in draft_fields.items():
            setattr(draft, name, value)
        known = _KNOWN_FLAWS[flaw] if flaw else None
        if known and known.before:
            known.before(draft, moment)
        if known and known.signing:
            known.signing(options)
        root = self._build(draft, options, assertion_builder or build_assertion, pretty=pretty)
        if encrypt:
            certificate = encryption_certificate or self.encryption_certificate
            assert certificate, "encrypt= needs an encryption certificate"
            _encrypt_assertion(root, certificate, encrypt, key_transport, key_placement)
        if options.sign in ("response", "both"):
            sign_element(root, options)
        if known and known.after:
            known.after(root)
        raw: bytes = etree.tostring(root, xml_declaration=pretty, encoding="UTF-8")
        return known.on_bytes(raw) if known and known.on_bytes else raw

    def _build(
        self,
        draft: Draft,
        options: "Signing",
        build: Callable[[Draft], etree._Element],
        *,
        pretty: bool,
    ) -> etree._Element:
        root = build_response(draft)
        with_assertion = draft.status[0] == "Success" if draft.with_assertion is None else draft.with_assertion
        if pretty:
            etree.indent(root)
        if with_assertion:
            assertion = build(draft)
            if pretty:
                etree.indent(assertion, level=1)
            if options.sign in ("assertion", "both"):
                sign_element(assertion, options, key=options.inner_key)
            root.append(assertion)
        return root


@dataclass(slots=True)
class Signing:
    """How an element is signed; `signing()` makes one with the usual values."""

    sign: str
    key: KeyPair
    inner_key: KeyPair
    signature_method: str = "rsa-sha256"
    digest_method: str = "sha256"
    key_info: bool = True
    prefix_list: str | None = None


def signing(key: KeyPair, *, method: str = "rsa-sha256") -> Signing:
    """How `sign_element` signs with `key`."""
    return Signing(sign="response", key=key, inner_key=key, signature_method=method)


def _add(parent: etree._Element, name: str, text: str | None = None, **attributes: str | None) -> etree._Element:
    prefix, _, local = name.partition(":")
    element = etree.SubElement(parent, f"{{{NS[prefix]}}}{local}")
    for key, value in attributes.items():
        if value is not None:
            element.set(key, value)
    element.text = text
    return element


def _default(value: str | None, fallback: str | None) -> str | None:
    return fallback if value == "" else value


def build_response(draft: Draft) -> etree._Element:
    """A samlp:Response with its status and no assertion."""
    root = etree.Element(f"{{{SAMLP}}}Response", nsmap={"samlp": SAMLP, "saml": SAML, "xs": XS, "xsi": XSI})
    root.set("ID", draft.response_id)
    root.set("Version", "2.0")
    root.set("IssueInstant", draft.issue_instant)
    destination = _default(draft.destination, draft.acs_url)
    if destination is not None:
        root.set("Destination", destination)
    if draft.in_response_to is not None:
        root.set("InResponseTo", draft.in_response_to)
    issuer = _default(draft.response_issuer, draft.issuer)
    if issuer is not None:
        _add(root, "saml:Issuer", issuer)
    status = parent = _add(root, "samlp:Status")
    for code in draft.status:
        parent = _add(parent, "samlp:StatusCode", Value=code if ":" in code else STATUS + code)
    if draft.status_message is not None:
        _add(status, "samlp:StatusMessage", draft.status_message)
    return root


def build_assertion(draft: Draft) -> etree._Element:
    """A saml:Assertion as a document of its own, so that it can be signed and encrypted as it is."""
    assertion = etree.Element(f"{{{SAML}}}Assertion", nsmap={"saml": SAML, "xs": XS, "xsi": XSI})
    assertion.set("ID", draft.assertion_id)
    assertion.set("Version", "2.0")
    assertion.set("IssueInstant", draft.assertion_issue_instant or draft.issue_instant)
    _add(assertion, "saml:Issuer", draft.issuer)
    subject = _add(assertion, "saml:Subject")
    if draft.name_id is not None:
        _add(
            subject,
            "saml:NameID",
            draft.name_id,
            Format=draft.name_id_format,
            NameQualifier=draft.name_qualifier,
            SPNameQualifier=draft.sp_name_qualifier,
        )
    if draft.confirmation_method is not None:
        confirmation = _add(subject, "saml:SubjectConfirmation", Method=draft.confirmation_method)
        _add(
            confirmation,
            "saml:SubjectConfirmationData",
            NotOnOrAfter=_default(draft.confirmation_not_on_or_after, draft.not_on_or_after),
            Recipient=_default(draft.recipient, draft.acs_url),
            InResponseTo=_default(draft.confirmation_in_response_to, draft.in_response_to),
        )
    conditions = _add(assertion, "saml:Conditions", NotBefore=draft.not_before, NotOnOrAfter=draft.not_on_or_after)
    if draft.audiences is not None:
        restriction = _add(conditions, "saml:AudienceRestriction")
        for audience in draft.audiences:
            _add(restriction, "saml:Audience", audience)
    if draft.extra_condition:
        conditions.append(etree.fromstring(draft.extra_condition))
    if draft.authn_statement:
        statement = _add(
            assertion,
            "saml:AuthnStatement",
            AuthnInstant=draft.authn_instant,
            SessionIndex=draft.session_index,
            SessionNotOnOrAfter=draft.session_not_on_or_after,
        )
        context = _add(statement, "saml:AuthnContext")
        if draft.context is not None:
            _add(context, "saml:AuthnContextClassRef", draft.context)
    if draft.attributes:
        _add_attributes(assertion, draft)
    return assertion


def _add_attributes(assertion: etree._Element, draft: Draft) -> None:
    statement = _add(assertion, "saml:AttributeStatement")
    for name, values in draft.attributes.items():
        name_format = ATTRIBUTE_URI if ":" in name else ATTRIBUTE_BASIC
        attribute = _add(
            statement, "saml:Attribute", Name=name, NameFormat=name_format, FriendlyName=draft.friendly_names.get(name)
        )
        for value in [values] if isinstance(values, str) else values:
            element = _add(attribute, "saml:AttributeValue", value)
            if draft.attribute_type:
                element.set(f"{{{XSI}}}type", draft.attribute_type)


def sign_element(element: etree._Element, options: Signing, *, key: KeyPair | None = None) -> None:
    """Put an enveloped ds:Signature after the Issuer of `element` (or first), made by python-xmlsec."""
    pair = key or options.key
    signature = xmlsec.template.create(
        element, xmlsec.constants.TransformExclC14N, SIGNATURE_METHODS[options.signature_method], ns="ds"
    )
    issuer = element.find(f"{{{SAML}}}Issuer")
    position = 0 if issuer is None else list(element).index(issuer) + 1
    element.insert(position, signature)
    reference = xmlsec.template.add_reference(
        signature, DIGEST_METHODS[options.digest_method], uri="#" + str(element.get("ID"))
    )
    xmlsec.template.add_transform(reference, xmlsec.constants.TransformEnveloped)
    c14n = xmlsec.template.add_transform(reference, xmlsec.constants.TransformExclC14N)
    if options.prefix_list:
        xmlsec.template.transform_add_c14n_inclusive_namespaces(c14n, options.prefix_list)
    if options.key_info:
        xmlsec.template.add_x509_data(xmlsec.template.ensure_key_info(signature))
    context = xmlsec.SignatureContext()
    if options.signature_method.startswith("hmac"):
        context.key = xmlsec.Key.from_binary_data(xmlsec.constants.KeyDataHmac, pair.der)
    else:
        context.key = xmlsec.Key.from_memory(pair.private_pem, xmlsec.constants.KeyDataFormatPem)
    if options.key_info and not options.signature_method.startswith("hmac"):
        context.key.load_cert_from_memory(pair.certificate_pem, xmlsec.constants.KeyDataFormatPem)
    context.register_id(element, "ID")
    context.sign(signature)


def _encrypt_assertion(
    root: etree._Element, certificate: bytes, cipher: str, key_transport: str, key_placement: str
) -> None:
    assertion = root.find(f"{{{SAML}}}Assertion")
    assert assertion is not None
    # A document of its own: xmlsec writes a node without the namespace declarations of its ancestors.
    alone = etree.fromstring(etree.tostring(assertion, with_tail=False))
    encrypted = encrypt_element(alone, certificate, cipher=cipher, key_transport=key_transport)
    wrapper = etree.Element(f"{{{SAML}}}EncryptedAssertion", nsmap={"saml": SAML})
    root.replace(assertion, wrapper)
    wrapper.append(encrypted)
    if key_placement == "sibling":
        encrypted_key = encrypted.find(f".//{{{XENC}}}EncryptedKey")
        assert encrypted_key is not None
        holder = encrypted_key.getparent()
        assert holder is not None
        holder.remove(encrypted_key)
        encrypted_key.set("Id", make_id())
        etree.SubElement(
            holder,
            f"{{{DS}}}RetrievalMethod",
            Type=XENC + "EncryptedKey",
            URI="#" + str(encrypted_key.get("Id")),
        )
        wrapper.append(encrypted_key)


def encrypt_element(
    element: etree._Element, certificate: bytes, *, cipher: str = "gcm", key_transport: str = "oaep"
) -> etree._Element:
    """xenc:EncryptedData of `element`, the root of its own document, made by python-xmlsec for a certificate (DER)."""
    transports = {"oaep": xmlsec.constants.TransformRsaOaep, "rsa15": xmlsec.constants.TransformRsaPkcs1}
    keys = xmlsec.KeysManager()
    keys.add_key(xmlsec.Key.from_memory(certificate, xmlsec.constants.KeyDataFormatCertDer))
    transform, bits = CIPHERS.get(cipher, (xmlsec.constants.TransformDes3Cbc, 192))
    template = xmlsec.template.encrypted_data_create(
        element, transform, type=xmlsec.constants.TypeEncElement, ns="xenc"
    )
    xmlsec.template.encrypted_data_ensure_cipher_value(template)
    key_info = xmlsec.template.encrypted_data_ensure_key_info(template, ns="ds")
    encrypted_key = xmlsec.template.add_encrypted_key(key_info, transports[key_transport])
    xmlsec.template.encrypted_data_ensure_cipher_value(encrypted_key)
    context = xmlsec.EncryptionContext(keys)
    family = xmlsec.constants.KeyDataDes if cipher == "3des" else xmlsec.constants.KeyDataAes
    context.key = xmlsec.Key.generate(family, bits, xmlsec.constants.KeyDataTypeSession)
    encrypted: etree._Element = context.encrypt_xml(template, element)
    return encrypted


@dataclass(frozen=True, slots=True)
class _Flaw:
    """One thing that is wrong: with what is said, how it is signed, or what happens after signing."""

    code: str
    before: Callable[[Draft, datetime], None] | None = None
    signing: Callable[[Signing], None] | None = None
    after: Callable[[etree._Element], None] | None = None
    on_bytes: Callable[[bytes], bytes] | None = None


def _say(**values: Any) -> Callable[[Draft, datetime], None]:
    """Values to set; a timedelta is told as a time from now."""

    def change(draft: Draft, now: datetime) -> None:
        for name, value in values.items():
            setattr(draft, name, instant(now + value) if isinstance(value, timedelta) else value)

    return change


def _signed_with(**values: Any) -> Callable[[Signing], None]:
    def change(options: Signing) -> None:
        for name, value in values.items():
            setattr(options, name, value)

    return change


def _with_unknown_key(options: Signing) -> None:
    options.key = options.inner_key = key_pair("a key that nobody registered")


def _text(path: str, text: str) -> Callable[[etree._Element], None]:
    def change(root: etree._Element) -> None:
        element = root.find(path, NS)
        assert element is not None
        element.text = text

    return change


def _comment_in_name_id(root: etree._Element) -> None:
    name_id = root.find(".//saml:NameID", NS)
    assert name_id is not None
    text = name_id.text or ""
    name_id.text = text[:2]
    comment = etree.Comment("x")
    comment.tail = text[2:]
    name_id.append(comment)


def _second_assertion(root: etree._Element) -> None:
    assertion = root.find("saml:Assertion", NS)
    assert assertion is not None
    other = copy.deepcopy(assertion)
    other.set("ID", make_id())
    root.append(other)


def _duplicate_id(root: etree._Element) -> None:
    assertion = root.find("saml:Assertion", NS)
    assert assertion is not None
    assertion.set("ID", str(root.get("ID")))


_KNOWN_FLAWS: dict[str, _Flaw] = {
    "expired": _Flaw("saml.expired", _say(not_on_or_after=timedelta(seconds=-90))),
    "confirmation_expired": _Flaw("saml.expired", _say(confirmation_not_on_or_after=timedelta(seconds=-90))),
    "session_over": _Flaw("saml.expired", _say(session_not_on_or_after=timedelta(seconds=-90))),
    "not_yet_valid": _Flaw("saml.not_yet_valid", _say(not_before=timedelta(seconds=90))),
    "issued_in_the_future": _Flaw("saml.not_yet_valid", _say(issue_instant=timedelta(seconds=90))),
    "stale": _Flaw("saml.stale", _say(issue_instant=timedelta(seconds=-601))),
    "wrong_audience": _Flaw("saml.audience", _say(audiences=["https://somebody-else.example/sp"])),
    "no_audience": _Flaw("saml.audience", _say(audiences=None)),
    "wrong_issuer": _Flaw("saml.issuer", _say(issuer="https://other-idp.example/saml")),
    "wrong_response_issuer": _Flaw("saml.issuer", _say(response_issuer="https://other-idp.example/saml")),
    "wrong_destination": _Flaw("saml.destination", _say(destination="https://somebody-else.example/acs")),
    "wrong_recipient": _Flaw("saml.recipient", _say(recipient="https://somebody-else.example/acs")),
    "no_recipient": _Flaw("saml.recipient", _say(recipient=None)),
    "wrong_in_response_to": _Flaw("saml.in_response_to", _say(in_response_to="_another")),
    "wrong_confirmation_in_response_to": _Flaw("saml.in_response_to", _say(confirmation_in_response_to="_another")),
    "no_confirmation_in_response_to": _Flaw("saml.in_response_to", _say(confirmation_in_response_to=None)),
    "no_confirmation": _Flaw("saml.confirmation", _say(confirmation_method=None)),
    "holder_of_key": _Flaw(
        "saml.confirmation", _say(confirmation_method="urn:oasis:names:tc:SAML:2.0:cm:holder-of-key")
    ),
    "no_confirmation_expiry": _Flaw("saml.confirmation", _say(confirmation_not_on_or_after=None)),
    "unknown_condition": _Flaw("saml.structure", _say(extra_condition='<x:Moon xmlns:x="urn:example:moon"/>')),
    "no_authn_statement": _Flaw("saml.structure", _say(authn_statement=False)),
    "transient": _Flaw("saml.subject", _say(name_id_format=TRANSIENT)),
    "no_name_id": _Flaw("saml.subject", _say(name_id=None)),
    "empty_name_id": _Flaw("saml.subject", _say(name_id="")),
    "refused": _Flaw(
        "saml.status", _say(status=("Responder", "AuthnFailed"), status_message="The password was wrong.")
    ),
    "refused_with_assertion": _Flaw("saml.structure", _say(status=("Responder",), with_assertion=True)),
    "success_without_assertion": _Flaw("saml.structure", _say(with_assertion=False)),
    "unsigned": _Flaw("saml.unsigned", signing=_signed_with(sign="none")),
    "unknown_key": _Flaw("saml.signature", signing=_with_unknown_key),
    "sha1": _Flaw("saml.algorithm", signing=_signed_with(signature_method="rsa-sha1", digest_method="sha1")),
    "sha1_digest": _Flaw("saml.algorithm", signing=_signed_with(digest_method="sha1")),
    "changed_subject": _Flaw("saml.signature", after=_text(".//saml:NameID", "mallory")),
    "changed_attribute": _Flaw("saml.signature", after=_text(".//saml:AttributeValue", "mallory@example.org")),
    "comment_in_name_id": _Flaw("saml.comment", after=_comment_in_name_id),
    "processing_instruction": _Flaw(
        "saml.processing_instruction", after=lambda root: root.insert(0, etree.ProcessingInstruction("x", "y"))
    ),
    "two_assertions": _Flaw("saml.structure", after=_second_assertion),
    "duplicate_id": _Flaw("saml.structure", after=_duplicate_id),
    "doctype": _Flaw("saml.doctype", on_bytes=lambda raw: b"<!DOCTYPE samlp:Response>" + raw),
    "cut_off": _Flaw("saml.malformed", on_bytes=lambda raw: raw[:-10]),
    "utf16": _Flaw("saml.encoding", on_bytes=lambda raw: raw.decode().encode("utf-16")),
}

FLAWS: Mapping[str, str] = {name: flaw.code for name, flaw in _KNOWN_FLAWS.items()}
"""Every flaw's name and the public code that must answer it, for an answer that is not encrypted."""
