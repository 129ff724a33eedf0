"""The identity provider's answers (SAML core 3.3.3, profiles 4.1.4.2), in order or with a fault."""

import secrets
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from lxml import etree
from lxml.builder import ElementMaker

from demo.faults import Behaviour, Fault, Signed
from demo.keys import KeyPair
from demo.people import Employee
from demo.saml_encryption import encrypt
from demo.saml_metadata import PERSISTENT
from demo.saml_request import SAML, SAMLP, AuthnRequest
from demo.saml_signature import sign

STATUS = "urn:oasis:names:tc:SAML:2.0:status:"
BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
CONTEXT = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"
URI = "urn:oasis:names:tc:SAML:2.0:attrname-format:uri"
VALID_FOR = timedelta(minutes=5)
AHEAD = timedelta(minutes=5)

saml = ElementMaker(namespace=SAML, nsmap={"saml": SAML})
samlp = ElementMaker(namespace=SAMLP, nsmap={"samlp": SAMLP, "saml": SAML})


@dataclass(frozen=True, slots=True)
class Identity:
    """Who we are: our entityID, the key of our metadata, and one that is not in it."""

    entity_id: str
    key: KeyPair
    stray_key: KeyPair


@dataclass(frozen=True, slots=True)
class SignedOn:
    """A person who signed on here."""

    employee: Employee
    at: datetime
    session_index: str


def write_answer(
    request: AuthnRequest, signed_on: SignedOn, *, identity: Identity, behaviour: Behaviour, now: datetime
) -> bytes:
    """A Response with an assertion about the person, signed and encrypted as `behaviour` says."""
    if behaviour.fault is Fault.STATUS_ONLY:
        return write_refusal(request, ("Responder", "AuthnFailed"), identity=identity, now=now)
    if behaviour.fault is Fault.CLOCK_AHEAD:
        now += AHEAD
    key = identity.stray_key if behaviour.fault is Fault.UNKNOWN_KEY else identity.key
    response = _response(request, ("Success",), identity=identity, now=now)
    assertion = _assertion(request, signed_on, identity=identity, fault=behaviour.fault, now=now)
    if behaviour.signed in (Signed.ASSERTION, Signed.BOTH):
        sign(assertion, key)
    if behaviour.signed is Signed.ASSERTION and behaviour.fault is Fault.ALTERED:
        _alter(assertion)
    certificate = request.service_provider.encryption_certificate
    if behaviour.encrypted and certificate:
        response.append(saml.EncryptedAssertion(encrypt(assertion, certificate)))
    else:
        response.append(assertion)
    if behaviour.signed in (Signed.RESPONSE, Signed.BOTH):
        sign(response, key)
        if behaviour.fault is Fault.ALTERED:
            _alter(response)
    return bytes(etree.tostring(response))


def write_refusal(request: AuthnRequest, status: tuple[str, ...], *, identity: Identity, now: datetime) -> bytes:
    """A signed Response with this status (outer code first) and no assertion."""
    response = _response(request, status, identity=identity, now=now)
    sign(response, identity.key)
    return bytes(etree.tostring(response))


def name_id(employee: Employee, *, entity_id: str, service_provider: str) -> str:
    """The person's persistent identifier: the same at each sign-on, another for each service provider."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{entity_id}!{service_provider}!{employee.login}"))


def _response(request: AuthnRequest, status: tuple[str, ...], *, identity: Identity, now: datetime) -> etree._Element:
    code = samlp.StatusCode(Value=STATUS + status[0])
    if status[1:]:
        code.append(samlp.StatusCode(Value=STATUS + status[1]))
    response: etree._Element = samlp.Response(
        saml.Issuer(identity.entity_id),
        samlp.Status(code),
        ID=_make_id(),
        Version="2.0",
        IssueInstant=_instant(now),
        Destination=request.acs_url,
        InResponseTo=request.request_id,
    )
    return response


def _assertion(
    request: AuthnRequest, signed_on: SignedOn, *, identity: Identity, fault: Fault, now: datetime
) -> etree._Element:
    service_provider = request.service_provider.entity_id
    until = now - VALID_FOR if fault is Fault.EXPIRED else now + VALID_FOR
    audience = "https://another.example/saml" if fault is Fault.WRONG_AUDIENCE else service_provider
    subject = name_id(signed_on.employee, entity_id=identity.entity_id, service_provider=service_provider)
    assertion: etree._Element = saml.Assertion(
        saml.Issuer(identity.entity_id),
        saml.Subject(
            saml.NameID(subject, Format=PERSISTENT, NameQualifier=identity.entity_id, SPNameQualifier=service_provider),
            saml.SubjectConfirmation(
                saml.SubjectConfirmationData(
                    Recipient=request.acs_url, InResponseTo=request.request_id, NotOnOrAfter=_instant(until)
                ),
                Method=BEARER,
            ),
        ),
        saml.Conditions(
            saml.AudienceRestriction(saml.Audience(audience)),
            NotBefore=_instant(min(now, until - VALID_FOR)),
            NotOnOrAfter=_instant(until),
        ),
        saml.AuthnStatement(
            saml.AuthnContext(saml.AuthnContextClassRef(CONTEXT)),
            AuthnInstant=_instant(signed_on.at),
            SessionIndex=signed_on.session_index,
        ),
        _attributes(signed_on.employee, fault=fault),
        ID=_make_id(),
        Version="2.0",
        IssueInstant=_instant(now),
    )
    return assertion


def _attributes(employee: Employee, *, fault: Fault) -> etree._Element:
    email = f"{employee.login}@globex.example" if fault is Fault.FOREIGN_DOMAIN else employee.email
    told: tuple[tuple[str, str, tuple[str, ...]], ...] = (
        ("urn:oid:0.9.2342.19200300.100.1.3", "mail", (email,)),
        ("urn:oid:2.5.4.42", "givenName", (employee.given_name,)),
        ("urn:oid:2.5.4.4", "sn", (employee.family_name,)),
        ("urn:oid:2.16.840.1.113730.3.1.241", "displayName", (employee.name,)),
        ("urn:oid:2.16.840.1.113730.3.1.3", "employeeNumber", (employee.employee_id,)),
        ("urn:oid:2.5.4.11", "ou", (employee.department,)),
        ("urn:oid:1.3.6.1.4.1.5923.1.5.1.1", "isMemberOf", employee.groups),
    )
    statement: etree._Element = saml.AttributeStatement(
        *(
            saml.Attribute(
                *(saml.AttributeValue(value) for value in values), Name=name, FriendlyName=friendly, NameFormat=URI
            )
            for name, friendly, values in told
        )
    )
    return statement


def _alter(element: etree._Element) -> None:
    """What somebody on the way might do: make the person another one, or break what cannot be read."""
    named = element.find(f".//{{{SAML}}}NameID")
    if named is not None:
        named.text = "somebody-else"
    else:
        element.set("Consent", "urn:altered")


def _make_id() -> str:
    return "_" + secrets.token_hex(16)


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
