"""Responses (SAML core 3.3.3, profiles 4.1.4.3), verified before they are believed."""

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from lxml import etree

from demo.saml_encryption import NotReadable, decrypt
from demo.saml_metadata import SAMLP, IdentityProviderEntity, parser
from demo.saml_request import SAML
from demo.saml_signature import NotSigned, verify

SUCCESS = "urn:oasis:names:tc:SAML:2.0:status:Success"
BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
QUALIFIERS = ("Format", "NameQualifier", "SPNameQualifier")
STATEMENT = ("SessionIndex", "AuthnInstant")
SKEW = timedelta(seconds=30)
NAMES = {"saml": SAML, "samlp": SAMLP}


class ResponseRefused(Exception):
    """The text says which check failed."""


class StatusRefused(ResponseRefused):
    """The identity provider itself says no: its status codes, the outer one first, and its message."""

    def __init__(self, codes: tuple[str, ...], message: str) -> None:
        super().__init__(message or "The broker refused the sign-on.")
        self.codes = codes


@dataclass(frozen=True, slots=True)
class Expected:
    """What a Response has to say."""

    issuer: IdentityProviderEntity
    audience: str
    acs_url: str
    request_id: str
    key: RSAPrivateKey = field(repr=False)
    """Opens encrypted assertions."""
    now: datetime


@dataclass(frozen=True, slots=True)
class Told:
    """What a verified assertion says. `name_id` holds the value, its format and its qualifiers."""

    name_id: Mapping[str, str]
    session_index: str
    context: str
    authenticated_at: str
    attributes: Mapping[str, tuple[str, ...]]
    was_encrypted: bool


@dataclass(slots=True)
class _Case:
    """The Response as it came; each is replaced by its verified octets as soon as its signature was checked."""

    response: etree._Element
    expected: Expected
    assertion: etree._Element | None = None

    @property
    def verified_assertion(self) -> etree._Element:
        if self.assertion is None:
            raise ResponseRefused("No assertion was verified.")
        return self.assertion


def read_response(value: str, expected: Expected) -> Told:
    """What the SAMLResponse of a form says, after every check. Raises ResponseRefused."""
    try:
        root = etree.fromstring(base64.b64decode(value, validate=True), parser())
    except (binascii.Error, ValueError, etree.XMLSyntaxError) as error:
        raise ResponseRefused("The SAMLResponse is not XML in base64.") from error
    if root.getroottree().docinfo.internalDTD is not None or root.tag != f"{{{SAMLP}}}Response":
        raise ResponseRefused("The SAMLResponse is no Response.")
    was_encrypted = root.find("saml:EncryptedAssertion", NAMES) is not None
    case = _Case(root, expected)
    for check in CHECKS:
        check(case)
    return _read_told(case.verified_assertion, was_encrypted=was_encrypted)


def check_response_signature(case: _Case) -> None:
    """The Response is signed by the broker. From here on only its signed octets are looked at."""
    try:
        case.response = verify(case.response, case.expected.issuer.signing_certificates)
    except NotSigned as error:
        raise ResponseRefused(f"The Response: {error}") from error


def check_response_issuer(case: _Case) -> None:
    issuer = case.response.findtext("saml:Issuer", "", NAMES)
    if issuer != case.expected.issuer.entity_id:
        raise ResponseRefused(f"The Response comes from {issuer!r}.")


def check_destination(case: _Case) -> None:
    if case.response.get("Destination") != case.expected.acs_url:
        raise ResponseRefused("The Response was meant for another place.")


def check_in_response_to(case: _Case) -> None:
    if case.response.get("InResponseTo") != case.expected.request_id:
        raise ResponseRefused("The Response answers another request than this browser's.")


def check_status(case: _Case) -> None:
    codes = tuple(code.get("Value", "") for code in case.response.findall("samlp:Status//samlp:StatusCode", NAMES))
    if codes != (SUCCESS,):
        raise StatusRefused(codes, case.response.findtext("samlp:Status/samlp:StatusMessage", "", NAMES))


def check_assertion_signature(case: _Case) -> None:
    """There is one assertion, for our key where it is encrypted, and it is signed itself."""
    plain = case.response.findall("saml:Assertion", NAMES)
    sealed = case.response.findall("saml:EncryptedAssertion", NAMES)
    if len(plain) + len(sealed) != 1:
        raise ResponseRefused("The Response does not hold exactly one assertion.")
    try:
        assertion = plain[0] if plain else decrypt(sealed[0], case.expected.key)
        if assertion.tag != f"{{{SAML}}}Assertion":
            raise ResponseRefused("What was encrypted is no assertion.")
        case.assertion = verify(assertion, case.expected.issuer.signing_certificates)
    except (NotReadable, NotSigned) as error:
        raise ResponseRefused(f"The assertion: {error}") from error


def check_assertion_issuer(case: _Case) -> None:
    issuer = case.verified_assertion.findtext("saml:Issuer", "", NAMES)
    if issuer != case.expected.issuer.entity_id:
        raise ResponseRefused(f"The assertion comes from {issuer!r}.")


def check_confirmation(case: _Case) -> None:
    """A bearer confirmation for our address and our request, still valid (profiles 4.1.4.3)."""
    expected = case.expected
    path = f"saml:Subject/saml:SubjectConfirmation[@Method='{BEARER}']/saml:SubjectConfirmationData"
    for one in case.verified_assertion.findall(path, NAMES):
        facts = (one.get("Recipient"), one.get("InResponseTo"))
        is_timely = expected.now - SKEW < _instant(one.get("NotOnOrAfter"))
        if facts == (expected.acs_url, expected.request_id) and is_timely and one.get("NotBefore") is None:
            return
    raise ResponseRefused("No confirmation of the assertion is for this address, this request and this time.")


def check_conditions(case: _Case) -> None:
    """Valid now (core 2.5.1.2)."""
    conditions = case.verified_assertion.find("saml:Conditions", NAMES)
    if conditions is None:
        raise ResponseRefused("The assertion has no conditions.")
    now = case.expected.now
    if _instant(conditions.get("NotBefore")) > now + SKEW:
        raise ResponseRefused("The assertion is not valid yet.")
    if _instant(conditions.get("NotOnOrAfter")) <= now - SKEW:
        raise ResponseRefused("The assertion is no longer valid.")


def check_audience(case: _Case) -> None:
    """Each restriction names us (core 2.5.1.4)."""
    restrictions = case.verified_assertion.findall("saml:Conditions/saml:AudienceRestriction", NAMES)
    meant = [[one.text for one in each.findall("saml:Audience", NAMES)] for each in restrictions]
    if not meant or not all(case.expected.audience in each for each in meant):
        raise ResponseRefused(f"The assertion is meant for {meant}.")


def check_subject(case: _Case) -> None:
    named = case.verified_assertion.findall("saml:Subject/saml:NameID", NAMES)
    if len(named) != 1 or not named[0].text:
        raise ResponseRefused("The assertion names nobody, or several.")


CHECKS: tuple[Callable[[_Case], None], ...] = (
    check_response_signature,
    check_response_issuer,
    check_destination,
    check_in_response_to,
    check_status,
    check_assertion_signature,
    check_assertion_issuer,
    check_confirmation,
    check_conditions,
    check_audience,
    check_subject,
)
CHECKED = (
    "signature of the Response",
    "issuer of the Response",
    "Destination",
    "InResponseTo",
    "status",
    "signature of the assertion",
    "issuer of the assertion",
    "bearer confirmation",
    "conditions",
    "audience",
    "NameID",
)
"""The checks above in words, for the page."""


def _read_told(assertion: etree._Element, *, was_encrypted: bool) -> Told:
    [name_id] = assertion.findall("saml:Subject/saml:NameID", NAMES)
    statement = assertion.find("saml:AuthnStatement", NAMES)
    index, instant = ("", "") if statement is None else (statement.get(name, "") for name in STATEMENT)
    return Told(
        name_id={"NameID": name_id.text or "", **{name: name_id.get(name, "") for name in QUALIFIERS}},
        session_index=index,
        context=assertion.findtext("saml:AuthnStatement/saml:AuthnContext/saml:AuthnContextClassRef", "", NAMES),
        authenticated_at=instant,
        attributes={
            str(one.get("FriendlyName") or one.get("Name")): tuple(
                value.text or "" for value in one.findall("saml:AttributeValue", NAMES)
            )
            for one in assertion.findall("saml:AttributeStatement/saml:Attribute", NAMES)
        },
        was_encrypted=was_encrypted,
    )


def _instant(text: str | None) -> datetime:
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError as error:
        raise ResponseRefused("The assertion does not say until when it is valid.") from error
    return moment.replace(tzinfo=moment.tzinfo or UTC)
