"""Our answers to applications: a Response with one assertion, or with a refusal (SAML core 2.3.3 and 3.3.3).

Built from pysaml2's schema classes alone: its server would want the configuration of every application, and a file
and a process per signature.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from lxml import etree
from saml2 import saml, samlp

from broker import limits
from federation.saml.encrypting import Recipient, encrypt_assertion
from federation.saml.instants import write_instant
from federation.saml.names import BEARER, CONTEXT_UNSPECIFIED, SAML, SAMLP, STATUS_SUCCESS
from federation.saml.signing import Signer, add_signature
from federation.saml.verified import NameID

_PREFIXES = {"samlp": SAMLP, "saml": SAML}
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
) -> bytes:
    """A successful Response as UTF-8 XML, signed as told; the assertion is signed first, then encrypted.

    Raises ValueError when nothing would be signed.
    """
    if not (sign_response or sign_assertion):
        raise ValueError("an answer that nobody signed is worthless")
    assertion = _document(_assertion(envelope, signed_on, audience=audience))
    if sign_assertion:
        add_signature(assertion, signer=signer)
    if recipient is not None:
        assertion = encrypt_assertion(assertion, recipient=recipient)
    response = _document(_response(envelope, samlp.Status(status_code=samlp.StatusCode(value=STATUS_SUCCESS))))
    response.append(assertion)
    if sign_response:
        add_signature(response, signer=signer)
    return etree.tostring(response, encoding="UTF-8", xml_declaration=True)


def write_refusal(envelope: Envelope, status_codes: tuple[str, ...], message: str, *, signer: Signer) -> bytes:
    """A signed Response without assertion; `status_codes` from the outermost to the innermost."""
    code: samlp.StatusCode | None = None
    for value in reversed(status_codes):
        code = samlp.StatusCode(value=value, status_code=code)
    status = samlp.Status(status_code=code, status_message=samlp.StatusMessage(text=message) if message else None)
    response = _document(_response(envelope, status))
    add_signature(response, signer=signer)
    return etree.tostring(response, encoding="UTF-8", xml_declaration=True)


def _document(element: saml.SamlBase) -> etree._Element:
    return etree.fromstring(element.to_string(_PREFIXES))


def _response(envelope: Envelope, status: samlp.Status) -> samlp.Response:
    return samlp.Response(
        id=_make_id(),
        version="2.0",
        issue_instant=write_instant(envelope.issued_at),
        destination=envelope.acs_url,
        in_response_to=envelope.request_id or None,
        issuer=saml.Issuer(text=envelope.issuer),
        status=status,
    )


def _assertion(envelope: Envelope, signed_on: SignedOn, *, audience: str) -> saml.Assertion:
    until = write_instant(envelope.issued_at + limits.SAML_ASSERTION_LIFETIME)
    return saml.Assertion(
        id=_make_id(),
        version="2.0",
        issue_instant=write_instant(envelope.issued_at),
        issuer=saml.Issuer(text=envelope.issuer),
        subject=saml.Subject(
            name_id=_name_id(signed_on.name_id),
            subject_confirmation=[
                saml.SubjectConfirmation(
                    method=BEARER,
                    subject_confirmation_data=saml.SubjectConfirmationData(
                        recipient=envelope.acs_url,
                        not_on_or_after=until,
                        in_response_to=envelope.request_id or None,
                    ),
                )
            ],
        ),
        conditions=saml.Conditions(
            # Applications' clocks are late, too.
            not_before=write_instant(envelope.issued_at - limits.SAML_SKEW),
            not_on_or_after=until,
            audience_restriction=[saml.AudienceRestriction(audience=[saml.Audience(text=audience)])],
        ),
        authn_statement=[_authn_statement(envelope, signed_on)],
        attribute_statement=_attribute_statement(signed_on.attributes),
    )


def _authn_statement(envelope: Envelope, signed_on: SignedOn) -> saml.AuthnStatement:
    # A session that has just ended is not told as one that ended before the answer was written.
    until = max(signed_on.session_until, envelope.issued_at + timedelta(seconds=1))
    return saml.AuthnStatement(
        authn_instant=write_instant(signed_on.authenticated_at),
        session_index=signed_on.session_index,
        session_not_on_or_after=write_instant(until),
        authn_context=saml.AuthnContext(
            authn_context_class_ref=saml.AuthnContextClassRef(text=signed_on.context or CONTEXT_UNSPECIFIED),
            authenticating_authority=[saml.AuthenticatingAuthority(text=signed_on.authority)],
        ),
    )


def _name_id(name_id: NameID) -> saml.NameID:
    return saml.NameID(
        text=name_id.value,
        format=name_id.format,
        name_qualifier=name_id.name_qualifier or None,
        sp_name_qualifier=name_id.sp_name_qualifier or None,
    )


def _attribute_statement(attributes: Sequence[Attribute]) -> list[saml.AttributeStatement]:
    """None where there is nothing to say: the schema wants an attribute in each."""
    if not attributes:
        return []
    return [
        saml.AttributeStatement(
            attribute=[
                saml.Attribute(
                    name=one.name,
                    name_format=one.name_format,
                    friendly_name=one.friendly_name or None,
                    attribute_value=[_attribute_value(value) for value in one.values],
                )
                for one in attributes
            ]
        )
    ]


def _attribute_value(text: str) -> saml.AttributeValue:
    value = saml.AttributeValue(text=text)
    # An xsi:type would name the prefix xs, whose declaration canonicalisation drops.
    value.extension_attributes.clear()
    return value


def _make_id() -> str:
    return f"_{secrets.token_hex(ID_BYTES)}"
