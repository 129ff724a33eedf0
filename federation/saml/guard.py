"""THE verifier of SAML answers: the only way from a stranger's bytes to claims.

The steps stand in `verify_response` in the order in which trust grows. Each is an ordered tuple of named
checks in the file called after it; nothing is believed before the last one has passed.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from lxml import etree

from broker.errors import BrokerError
from broker.traces.collector import Collector
from federation.checks import recorded, run_checks
from federation.saml.attributes import read_attributes
from federation.saml.elements import find_child, get_child, id_of, text_of
from federation.saml.encryption import ENCRYPTED_STRUCTURE, EncryptedCase, decrypt_assertion
from federation.saml.envelope import ENVELOPE, EnvelopeCase, IdentityProviderRefused, refusal_in
from federation.saml.expectation import ResponseExpectation, SubjectRule
from federation.saml.parsing import decode_post, parse_message
from federation.saml.policy import (
    ASSERTION_POLICY,
    AssertionCase,
    authenticated_at_of,
    context_of,
    ends_at_of,
    session_index_of,
    session_not_on_or_after_of,
    valid_until_of,
)
from federation.saml.redaction import redacted
from federation.saml.signature import verify_enveloped
from federation.saml.structure import (
    ASSERTION,
    DECRYPTED_STRUCTURE,
    ENCRYPTED_ASSERTION,
    ISSUER,
    RESPONSE_STRUCTURE,
    SIGNATURE,
    Kind,
    kind_of,
)
from federation.saml.subject import SUBJECT_CHECKS, SubjectCase, read_name_id, subject_of
from federation.saml.verified import NameID, VerifiedResponse

__all__ = [
    "IdentityProviderRefused",
    "NameID",
    "ResponseExpectation",
    "SubjectRule",
    "VerifiedResponse",
    "decode_post",
    "unverified_issuer",
    "verify_assertion",
    "verify_response",
]


def verify_response(raw: bytes, expectation: ResponseExpectation, *, trace: Collector) -> VerifiedResponse:
    """The claims of a samlp:Response (SAML core 3.3.3), read from bytes whose signature held.

    `raw` is the decoded XML. Every check goes into `trace`, and the message, redacted. Raises BrokerError with
    a `saml.` code; `IdentityProviderRefused` when the identity provider answered with another status than
    success. One-time use and authority are the caller's next steps.
    """
    root = _parse(raw, "SAML answer", trace)
    run_checks(RESPONSE_STRUCTURE, root, trace=trace, subject="response")
    signed_response = _verify_signed(root, expectation, trace, subject="response")
    response = root if signed_response is None else signed_response
    envelope = EnvelopeCase(response, signed_response is not None, expectation)
    run_checks(ENVELOPE, envelope, trace=trace, subject="response")
    match kind_of(root):
        case Kind.ASSERTION:
            assertion = _plain_assertion(root, signed_response, expectation, trace)
        case Kind.ENCRYPTED:
            assertion = _encrypted_assertion(response, signed_response, expectation, trace)
        case Kind.REFUSAL:
            raise _refusal(response, trace)
    run_checks(ASSERTION_POLICY, AssertionCase(assertion, expectation), trace=trace, subject="assertion")
    return _claims(signed_response, assertion, expectation, trace)


def verify_assertion(raw: bytes, expectation: ResponseExpectation, *, trace: Collector) -> VerifiedResponse:
    """The claims of a saml:Assertion that came without a Response around it (RFC 7522 section 3).

    It bears its own signature, and is judged as one in a Response is. Raises BrokerError with a `saml.` code. One-time
    use is the caller's next step.
    """
    root = _parse(raw, "SAML assertion", trace)
    run_checks(DECRYPTED_STRUCTURE, root, trace=trace, subject="assertion")
    assertion = _signed(_verify_signed(root, expectation, trace, subject="assertion"), trace)
    run_checks(ASSERTION_POLICY, AssertionCase(assertion, expectation), trace=trace, subject="assertion")
    return _claims(None, assertion, expectation, trace)


def unverified_issuer(raw: bytes) -> str:
    """Who claims to have made an assertion, unverified: to find whose rules apply to it, and for nothing else.

    Raises BrokerError with a `saml.` code.
    """
    root = parse_message(raw)
    if root.tag != ASSERTION:
        raise BrokerError("saml.structure", expected="saml:Assertion", actual=root.tag)
    return text_of(get_child(root, ISSUER))


def _parse(raw: bytes, title: str, trace: Collector) -> etree._Element:
    with recorded(f"{title} is readable", expected="XML in UTF-8 with elements and text only", trace=trace):
        try:
            root = parse_message(raw)
        except BrokerError:
            trace.message(title, redacted(raw))
            raise
    trace.message(title, redacted(root))
    return root


def _verify_signed(
    element: etree._Element, expectation: ResponseExpectation, trace: Collector, *, subject: str
) -> etree._Element | None:
    """`element` as its signature covers it, or None when it bears no signature of its own."""
    if find_child(element, SIGNATURE) is None:
        return None
    return verify_enveloped(
        element,
        certificates=expectation.verification_certificates,
        sha1_accepted=expectation.sha1_accepted,
        trace=trace,
        subject=f"{subject} signature",
    )


def _plain_assertion(
    root: etree._Element,
    signed_response: etree._Element | None,
    expectation: ResponseExpectation,
    trace: Collector,
) -> etree._Element:
    # From the document as it came: the Response's canonical form may have dropped a namespace declaration that
    # the assertion's PrefixList names. Both signatures then cover the same element, for there is only one.
    verified = _verify_signed(get_child(root, ASSERTION), expectation, trace, subject="assertion")
    if verified is not None:
        return verified
    return get_child(_signed(signed_response, trace), ASSERTION)


def _encrypted_assertion(
    response: etree._Element,
    signed_response: etree._Element | None,
    expectation: ResponseExpectation,
    trace: Collector,
) -> etree._Element:
    case = EncryptedCase(get_child(response, ENCRYPTED_ASSERTION))
    run_checks(ENCRYPTED_STRUCTURE, case, trace=trace, subject="encryption")
    with _one_public_code(is_signed=signed_response is not None):
        with recorded("decryption", expected="one of our keys opens it", trace=trace):
            raw_assertion = decrypt_assertion(case, keys=expectation.decryption_keys)
        assertion = _parse(raw_assertion, "Decrypted assertion", trace)
        run_checks(DECRYPTED_STRUCTURE, assertion, trace=trace, subject="decrypted assertion")
        verified = _verify_signed(assertion, expectation, trace, subject="decrypted assertion")
        if verified is not None:
            return verified
        # A signed Response covers the ciphertext, and so what it holds.
        _signed(signed_response, trace)
        return assertion


def _signed(signed_response: etree._Element | None, trace: Collector) -> etree._Element:
    """The signed Response, where the assertion bears no signature of its own."""
    with recorded("signed", expected="a signed response or assertion", trace=trace):
        if signed_response is None:
            raise BrokerError("saml.unsigned", actual="no signature")
    return signed_response


@contextmanager
def _one_public_code(*, is_signed: bool) -> Iterator[None]:
    """Where anybody could have made the ciphertext, say saml.decryption whatever was wrong inside it.

    The difference between two refusals would tell a stranger about the plaintext, byte by byte (XML Encryption
    1.1 section 6.1). The trace and the detail keep the truth.
    """
    try:
        yield
    except BrokerError as refusal:
        if is_signed or refusal.code == "saml.decryption":
            raise
        raise BrokerError(
            "saml.decryption",
            detail=f"{refusal.code}: {refusal.detail}",
            expected=refusal.expected,
            actual=refusal.actual,
        ) from refusal


def _refusal(response: etree._Element, trace: Collector) -> IdentityProviderRefused:
    refusal = refusal_in(response)
    trace.check(
        "status",
        passed=False,
        expected=refusal.expected,
        actual=": ".join(filter(None, (refusal.actual, refusal.detail))),
    )
    return refusal


def _claims(
    signed_response: etree._Element | None,
    assertion: etree._Element,
    expectation: ResponseExpectation,
    trace: Collector,
) -> VerifiedResponse:
    with recorded("attributes", expected="attributes within the limits", trace=trace):
        attributes = read_attributes(assertion)
    if attributes.skipped:
        trace.note("attributes with values that are no text", names=", ".join(attributes.skipped))
    case = SubjectCase(read_name_id(assertion), attributes.values, expectation)
    run_checks(SUBJECT_CHECKS, case, trace=trace, subject="subject")
    subject, subject_format = subject_of(case)
    return VerifiedResponse(
        issuer=expectation.issuer,
        response_id="" if signed_response is None else id_of(signed_response),
        assertion_id=id_of(assertion),
        subject=subject,
        subject_format=subject_format,
        name_id=case.name_id,
        authenticated_at=authenticated_at_of(assertion),
        session_index=session_index_of(assertion),
        session_not_on_or_after=session_not_on_or_after_of(assertion),
        context=context_of(assertion),
        attributes=attributes.values,
        friendly_names=attributes.friendly_names,
        valid_until=valid_until_of(assertion),
        ends_at=ends_at_of(AssertionCase(assertion, expectation)),
    )
