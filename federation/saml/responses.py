"""Our answers to applications: a Response with one assertion, or with a refusal (SAML core 2.3.3 and 3.3.3)."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from lxml import etree

from broker import limits
from broker.traces.collector import Collector
from federation.saml.encrypting import Recipient, encrypt_assertion
from federation.saml.instants import write_instant
from federation.saml.names import BEARER, CONTEXT_UNSPECIFIED, STATUS_SUCCESS
from federation.saml.redaction import redacted
from federation.saml.signing import Signer, add_signature
from federation.saml.verified import NameID
from federation.saml.writing import element, name_id_element

ID_BYTES = 20
"""SAML core 1.3.4 wants 128 random bits, and advises 160."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """A saml:Attribute: `values` are texts that XML can hold, none of them empty."""

    name: str
    name_format: str
    friendly_name: str
    values: Sequence[str]


@dataclass(frozen=True, slots=True)
class SignedOn:
    """What an assertion says of the person who signed on."""

    name_id: NameID
    authenticated_at: datetime
    context: str
    """The authentication context's class; empty: not known, and told so."""
    authority: str
    """Who authenticated the person, since it was not we (SAML core 2.7.2.2)."""
    session_index: str
    session_until: datetime
    attributes: Sequence[Attribute]


@dataclass(frozen=True, slots=True)
class Envelope:
    """From whom, to where and in answer to what; an empty `request_id` is an answer that nobody asked for."""

    issuer: str
    acs_url: str
    request_id: str
    issued_at: datetime


def write_response(
    envelope: Envelope,
    signed_on: SignedOn,
    *,
    audience: str,
    signer: Signer,
    sign_response: bool,
    sign_assertion: bool,
    recipient: Recipient | None,
    trace: Collector,
) -> bytes:
    """A successful Response as UTF-8 XML, signed as told; the assertion is signed first, then encrypted.

    `trace` shows the assertion as it is before that.

    Raises ValueError when nothing would be signed.
    """
    if not (sign_response or sign_assertion):
        raise ValueError("an answer that nobody signed is worthless")
    assertion = _assertion(envelope, signed_on, audience=audience)
    if sign_assertion:
        add_signature(assertion, signer=signer)
    trace.message("Assertion for the application", redacted(assertion))
    if recipient is not None:
        assertion = encrypt_assertion(assertion, recipient=recipient)
    response = _response(envelope, element("samlp:Status", element("samlp:StatusCode", Value=STATUS_SUCCESS)))
    response.append(assertion)
    if sign_response:
        add_signature(response, signer=signer)
    return etree.tostring(response, encoding="UTF-8", xml_declaration=True)


def write_refusal(envelope: Envelope, status_codes: tuple[str, ...], message: str, *, signer: Signer) -> bytes:
    """A signed Response without assertion; `status_codes` from the outermost to the innermost."""
    code: etree._Element | None = None
    for value in reversed(status_codes):
        code = element("samlp:StatusCode", code, Value=value)
    told = element("samlp:StatusMessage", text=message) if message else None
    response = _response(envelope, element("samlp:Status", code, told))
    add_signature(response, signer=signer)
    return etree.tostring(response, encoding="UTF-8", xml_declaration=True)


def _response(envelope: Envelope, status: etree._Element) -> etree._Element:
    return element(
        "samlp:Response",
        element("saml:Issuer", text=envelope.issuer),
        status,
        ID=_make_id(),
        Version="2.0",
        IssueInstant=write_instant(envelope.issued_at),
        Destination=envelope.acs_url,
        InResponseTo=envelope.request_id or None,
    )


def _assertion(envelope: Envelope, signed_on: SignedOn, *, audience: str) -> etree._Element:
    until = write_instant(envelope.issued_at + limits.SAML_ASSERTION_LIFETIME)
    confirmed = element(
        "saml:SubjectConfirmationData",
        Recipient=envelope.acs_url,
        NotOnOrAfter=until,
        InResponseTo=envelope.request_id or None,
    )
    conditions = element(
        "saml:Conditions",
        element("saml:AudienceRestriction", element("saml:Audience", text=audience)),
        # Applications' clocks are late, too.
        NotBefore=write_instant(envelope.issued_at - limits.SAML_SKEW),
        NotOnOrAfter=until,
    )
    return element(
        "saml:Assertion",
        element("saml:Issuer", text=envelope.issuer),
        element(
            "saml:Subject",
            name_id_element(signed_on.name_id),
            element("saml:SubjectConfirmation", confirmed, Method=BEARER),
        ),
        conditions,
        _authn_statement(envelope, signed_on),
        _attribute_statement(signed_on.attributes),
        ID=_make_id(),
        Version="2.0",
        IssueInstant=write_instant(envelope.issued_at),
    )


def _authn_statement(envelope: Envelope, signed_on: SignedOn) -> etree._Element:
    # A session that has just ended is not told as one that ended before the answer was written.
    until = max(signed_on.session_until, envelope.issued_at + timedelta(seconds=1))
    context = element(
        "saml:AuthnContext",
        element("saml:AuthnContextClassRef", text=signed_on.context or CONTEXT_UNSPECIFIED),
        element("saml:AuthenticatingAuthority", text=signed_on.authority),
    )
    return element(
        "saml:AuthnStatement",
        context,
        AuthnInstant=write_instant(signed_on.authenticated_at),
        SessionIndex=signed_on.session_index,
        SessionNotOnOrAfter=write_instant(until),
    )


def _attribute_statement(attributes: Sequence[Attribute]) -> etree._Element | None:
    """None where there is nothing to say: the schema wants an attribute in each."""
    return element("saml:AttributeStatement", *map(_attribute, attributes)) if attributes else None


def _attribute(one: Attribute) -> etree._Element:
    return element(
        "saml:Attribute",
        # Without xsi:type: it would name the prefix xs, whose declaration canonicalisation drops.
        *(element("saml:AttributeValue", text=value) for value in one.values),
        Name=one.name,
        NameFormat=one.name_format,
        FriendlyName=one.friendly_name or None,
    )


def _make_id() -> str:
    return f"_{secrets.token_hex(ID_BYTES)}"
