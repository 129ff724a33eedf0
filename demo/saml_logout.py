"""LogoutRequests by SOAP (SAML core 3.7, bindings 3.2), verified before they are believed, and the signed answer."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from lxml import etree
from lxml.builder import ElementMaker

from demo.keys import KeyPair
from demo.saml_metadata import SAMLP, IdentityProviderEntity, parser
from demo.saml_request import SAML
from demo.saml_signature import NotSigned, sign, verify

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
STATUS = "urn:oasis:names:tc:SAML:2.0:status:"
SUCCESS, REFUSED = (f"{STATUS}Success",), (f"{STATUS}Requester", f"{STATUS}RequestDenied")
SKEW = timedelta(seconds=30)
NAMES = {"saml": SAML, "samlp": SAMLP, "soap": SOAP}

saml = ElementMaker(namespace=SAML, nsmap={"saml": SAML})
samlp = ElementMaker(namespace=SAMLP, nsmap={"samlp": SAMLP, "saml": SAML})
soap = ElementMaker(namespace=SOAP, nsmap={"soap": SOAP})


class LogoutRefused(Exception):
    """The text says which check failed; `request_id` is what can be answered, if anything can."""

    def __init__(self, text: str, request_id: str = "") -> None:
        super().__init__(text)
        self.request_id = request_id


@dataclass(frozen=True, slots=True)
class Expected:
    """What a LogoutRequest has to say."""

    issuer: IdentityProviderEntity
    slo_url: str
    now: datetime


@dataclass(frozen=True, slots=True)
class Leaving:
    """Whose session ends, in the words of our assertion."""

    request_id: str
    name_id: str
    session_index: str


@dataclass(slots=True)
class _Case:
    """The request as it came, replaced by its verified octets as soon as its signature was checked."""

    request: etree._Element
    expected: Expected


def read_logout_request(envelope: bytes, expected: Expected) -> Leaving:
    """What a request that passes every check says. Raises LogoutRefused."""
    try:
        root = etree.fromstring(envelope, parser())
    except (ValueError, etree.XMLSyntaxError) as error:
        raise LogoutRefused("It is not XML.") from error
    requests = root.findall("soap:Body/samlp:LogoutRequest", NAMES)
    if root.getroottree().docinfo.internalDTD is not None or root.tag != f"{{{SOAP}}}Envelope" or len(requests) != 1:
        raise LogoutRefused("It is no envelope with one LogoutRequest.")
    case = _Case(requests[0], expected)
    for check in CHECKS:
        check(case)
    request = case.request
    return Leaving(
        request_id=request.get("ID", ""),
        name_id=request.findtext("saml:NameID", "", NAMES),
        session_index=request.findtext("samlp:SessionIndex", "", NAMES),
    )


def check_signature(case: _Case) -> None:
    """Signed by the broker. From here on only its signed octets are looked at."""
    try:
        case.request = verify(case.request, case.expected.issuer.signing_certificates)
    except NotSigned as error:
        raise LogoutRefused(f"The LogoutRequest: {error}") from error


def check_issuer(case: _Case) -> None:
    issuer = case.request.findtext("saml:Issuer", "", NAMES)
    if issuer != case.expected.issuer.entity_id:
        raise LogoutRefused(f"It comes from {issuer!r}.", case.request.get("ID", ""))


def check_destination(case: _Case) -> None:
    if case.request.get("Destination") != case.expected.slo_url:
        raise LogoutRefused("It was meant for another place.", case.request.get("ID", ""))


def check_time(case: _Case) -> None:
    try:
        until = datetime.fromisoformat(case.request.get("NotOnOrAfter", ""))
    except ValueError as error:
        raise LogoutRefused("It does not say until when it is good.", case.request.get("ID", "")) from error
    if until.replace(tzinfo=until.tzinfo or UTC) <= case.expected.now - SKEW:
        raise LogoutRefused("It is no longer good.", case.request.get("ID", ""))


CHECKS: tuple[Callable[[_Case], None], ...] = (check_signature, check_issuer, check_destination, check_time)


def write_logout_response(*, issuer: str, request_id: str, status: tuple[str, ...], key: KeyPair) -> bytes:
    """A signed LogoutResponse in its envelope."""
    code = None
    for value in reversed(status):
        code = samlp.StatusCode(*([] if code is None else [code]), Value=value)
    response = samlp.LogoutResponse(
        saml.Issuer(issuer),
        samlp.Status(code),
        ID="_" + secrets.token_hex(16),
        Version="2.0",
        IssueInstant=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        InResponseTo=request_id,
    )
    sign(response, key)
    return bytes(etree.tostring(soap.Envelope(soap.Body(response))))


def write_fault(text: str) -> bytes:
    """What cannot be answered."""
    fault = soap.Fault(etree.fromstring("<faultcode>soap:Client</faultcode>"))
    etree.SubElement(fault, "faultstring").text = text
    return bytes(etree.tostring(soap.Envelope(soap.Body(fault))))
