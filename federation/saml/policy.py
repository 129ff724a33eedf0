"""Policy on the verified assertion (SAML core 2.4 to 2.7, SAML profiles 4.1.4.3)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from lxml import etree

from broker import limits
from broker.errors import BrokerError
from broker.wording import in_words
from federation.checks import Compared
from federation.saml.elements import children, find_child, get_child, text_of
from federation.saml.envelope import NO_REQUEST, compare_age, compare_issuer
from federation.saml.expectation import ResponseExpectation
from federation.saml.instants import parse_instant
from federation.saml.names import BEARER, SAML, clark
from federation.saml.structure import AUTHN_STATEMENT, CONDITIONS, ISSUER, SUBJECT

SUBJECT_CONFIRMATION = clark(SAML, "SubjectConfirmation")
SUBJECT_CONFIRMATION_DATA = clark(SAML, "SubjectConfirmationData")
AUDIENCE_RESTRICTION = clark(SAML, "AudienceRestriction")
AUDIENCE = clark(SAML, "Audience")
AUTHN_CONTEXT = clark(SAML, "AuthnContext")
KNOWN_CONDITIONS = (AUDIENCE_RESTRICTION, clark(SAML, "OneTimeUse"), clark(SAML, "ProxyRestriction"))
CONTEXT_NAMES = (clark(SAML, "AuthnContextClassRef"), clark(SAML, "AuthnContextDeclRef"))


@dataclass(frozen=True, slots=True)
class AssertionCase:
    """An assertion parsed from verified bytes, and what is expected of it."""

    assertion: etree._Element
    expectation: ResponseExpectation


def check_issuer(case: AssertionCase) -> Compared:
    return compare_issuer(get_child(case.assertion, ISSUER), case.expectation)


def check_age(case: AssertionCase) -> Compared:
    """One-time use needs a bound for what must be remembered: an assertion is young or refused."""
    return compare_age(case.assertion, case.expectation)


def check_bearer_confirmation(case: AssertionCase) -> Compared:
    """One bearer confirmation that satisfies all of `CONFIRMATION`; others beside it do no harm."""
    actual = _attributes_text(confirmed_by(case), ("Recipient", "InResponseTo", "NotOnOrAfter"))
    return "a bearer confirmation for this request", actual


def check_no_other_request(case: AssertionCase) -> Compared:
    """An answer that nobody asked for names no request in any of its confirmations: it may be another's, stolen."""
    if case.expectation.in_response_to is not None:
        return "a request of ours", case.expectation.in_response_to
    for confirmation in children(get_child(case.assertion, SUBJECT), SUBJECT_CONFIRMATION):
        told = find_child(confirmation, SUBJECT_CONFIRMATION_DATA)
        if told is not None and told.get("InResponseTo") is not None:
            raise BrokerError("saml.in_response_to", expected=NO_REQUEST, actual=told.get("InResponseTo"))
    return NO_REQUEST, "none"


def check_audience(case: AssertionCase) -> Compared:
    """There is an AudienceRestriction, and each one names us (SAML core 2.5.1.4)."""
    conditions = find_child(case.assertion, CONDITIONS)
    restrictions = [] if conditions is None else children(conditions, AUDIENCE_RESTRICTION)
    named = [[text_of(audience) for audience in children(one, AUDIENCE)] for one in restrictions]
    expected = case.expectation.audience
    if not named or not all(expected in audiences for audiences in named):
        raise BrokerError("saml.audience", expected=expected, actual=named or "no AudienceRestriction")
    return expected, named


def check_known_conditions(case: AssertionCase) -> Compared:
    """A condition that is not understood makes the assertion's validity indeterminate (SAML core 2.5.1.1)."""
    names = [str(child.tag) for child in get_child(case.assertion, CONDITIONS)]
    unknown = [name for name in names if name not in KNOWN_CONDITIONS]
    if unknown:
        raise BrokerError("saml.structure", expected="conditions that are understood", actual=unknown[0])
    return "conditions that are understood", len(names)


def check_not_before(case: AssertionCase) -> Compared:
    return _compare_not_before(get_child(case.assertion, CONDITIONS), case.expectation)


def check_not_on_or_after(case: AssertionCase) -> Compared:
    return _compare_not_on_or_after(get_child(case.assertion, CONDITIONS), "NotOnOrAfter", case.expectation)


def check_session_not_over(case: AssertionCase) -> Compared:
    """A session that is over at the identity provider opens none here."""
    return _compare_not_on_or_after(authn_statement(case.assertion), "SessionNotOnOrAfter", case.expectation)


def check_authentication_is_fresh(case: AssertionCase) -> Compared:
    """AuthnInstant counts only where a fresh authentication was asked for: single sign-on is old by nature."""
    authenticated_at = authenticated_at_of(case.assertion)
    after = case.expectation.authenticated_after
    if after is None:
        return "any authentication", authenticated_at
    if authenticated_at < after - case.expectation.skew:
        raise BrokerError("saml.authentication_too_old", expected=f"after {in_words(after)}", actual=authenticated_at)
    return f"after {in_words(after)}", authenticated_at


def check_context(case: AssertionCase) -> Compared:
    """The authentication context is one of those that were asked for, if any were."""
    accepted, actual = case.expectation.contexts, context_of(case.assertion)
    if accepted and actual not in accepted:
        raise BrokerError("saml.context", expected=", ".join(accepted), actual=actual)
    return ", ".join(accepted) or "any context", actual


def check_lengths(case: AssertionCase) -> Compared:
    """SessionIndex and context are stored with the session."""
    expected = f"a SessionIndex of {limits.SAML_NAME_ID_CHARS} characters, a context of {limits.CONTEXT_CHARS}"
    lengths = len(session_index_of(case.assertion)), len(context_of(case.assertion))
    if lengths[0] > limits.SAML_NAME_ID_CHARS or lengths[1] > limits.CONTEXT_CHARS:
        raise BrokerError("saml.structure", expected=expected, actual=lengths)
    return expected, lengths


ASSERTION_POLICY = (
    check_issuer,
    check_age,
    check_bearer_confirmation,
    check_no_other_request,
    check_audience,
    check_known_conditions,
    check_not_before,
    check_not_on_or_after,
    check_session_not_over,
    check_authentication_is_fresh,
    check_context,
    check_lengths,
)


def check_recipient(confirmation_data: etree._Element, expectation: ResponseExpectation) -> None:
    actual = confirmation_data.get("Recipient")
    if actual != expectation.acs_url:
        raise BrokerError("saml.recipient", expected=expectation.acs_url, actual=actual)


def check_confirmed_request(confirmation_data: etree._Element, expectation: ResponseExpectation) -> None:
    expected, actual = expectation.in_response_to, confirmation_data.get("InResponseTo")
    if actual != expected:
        raise BrokerError("saml.in_response_to", expected=expected or NO_REQUEST, actual=actual)


def check_confirmed_until(confirmation_data: etree._Element, expectation: ResponseExpectation) -> None:
    if confirmation_data.get("NotOnOrAfter") is None:
        raise BrokerError("saml.confirmation", expected="NotOnOrAfter", actual="none")
    _compare_not_on_or_after(confirmation_data, "NotOnOrAfter", expectation)


def check_confirmed_from(confirmation_data: etree._Element, expectation: ResponseExpectation) -> None:
    """NotBefore has no place here (SAML profiles 4.1.4.2), but where it stands it is obeyed."""
    _compare_not_before(confirmation_data, expectation)


CONFIRMATION = (check_recipient, check_confirmed_request, check_confirmed_until, check_confirmed_from)


def authn_statement(assertion: etree._Element) -> etree._Element:
    """The first AuthnStatement; the structure guarantees one."""
    return children(assertion, AUTHN_STATEMENT)[0]


def authenticated_at_of(assertion: etree._Element) -> datetime:
    return parse_instant(authn_statement(assertion).get("AuthnInstant", ""), name="AuthnInstant")


def session_index_of(assertion: etree._Element) -> str:
    return authn_statement(assertion).get("SessionIndex", "")


def session_not_on_or_after_of(assertion: etree._Element) -> datetime | None:
    text = authn_statement(assertion).get("SessionNotOnOrAfter")
    return None if text is None else parse_instant(text, name="SessionNotOnOrAfter")


def context_of(assertion: etree._Element) -> str:
    """The class of the authentication context, else its declaration, else an empty text."""
    context = find_child(authn_statement(assertion), AUTHN_CONTEXT)
    for name in CONTEXT_NAMES:
        found = None if context is None else find_child(context, name)
        if found is not None:
            return text_of(found).strip()
    return ""


def valid_until_of(assertion: etree._Element) -> datetime:
    """When the assertion is refused as stale on any clock within the greatest skew, whatever else it says."""
    issued = parse_instant(assertion.get("IssueInstant", ""), name="IssueInstant")
    return issued + limits.SAML_ANSWER_AGE + limits.SAML_SKEW_MAX


def ends_at_of(case: AssertionCase) -> datetime:
    """The earliest end of the assertion: that of its confirmation, its conditions or the session that it tells of."""
    told = [
        (confirmed_by(case), "NotOnOrAfter"),
        (get_child(case.assertion, CONDITIONS), "NotOnOrAfter"),
        (authn_statement(case.assertion), "SessionNotOnOrAfter"),
    ]
    return min(parse_instant(text, name=name) for element, name in told if (text := element.get(name)) is not None)


def confirmed_by(case: AssertionCase) -> etree._Element:
    """The SubjectConfirmationData of the first bearer confirmation that satisfies all of `CONFIRMATION`.

    Raises the refusal of the first one where none does, and saml.confirmation where there is none.
    """
    refusals = []
    confirmations = children(get_child(case.assertion, SUBJECT), SUBJECT_CONFIRMATION)
    for confirmation in confirmations:
        if confirmation.get("Method") != BEARER:
            continue
        try:
            return _confirm(confirmation, case.expectation)
        except BrokerError as refusal:
            refusals.append(refusal)
    if refusals:
        raise refusals[0]
    methods = ", ".join(one.get("Method", "") for one in confirmations)
    raise BrokerError("saml.confirmation", expected=BEARER, actual=methods or "no SubjectConfirmation")


def _confirm(confirmation: etree._Element, expectation: ResponseExpectation) -> etree._Element:
    confirmation_data = find_child(confirmation, SUBJECT_CONFIRMATION_DATA)
    if confirmation_data is None:
        raise BrokerError("saml.confirmation", expected="SubjectConfirmationData", actual="none")
    for check in CONFIRMATION:
        check(confirmation_data, expectation)
    return confirmation_data


def _attributes_text(element: etree._Element, names: Sequence[str]) -> str:
    return ", ".join(f"{name} {element.get(name)}" for name in names)


def _compare_not_before(element: etree._Element, expectation: ResponseExpectation) -> Compared:
    text = element.get("NotBefore")
    if text is None:
        return "no start", "none"
    # The skew is put on our own clock: the sender's time may lie at the edge of the calendar.
    latest = expectation.now + expectation.skew
    if parse_instant(text, name="NotBefore") > latest:
        raise BrokerError("saml.not_yet_valid", expected=f"not after {in_words(latest)}", actual=text)
    return f"not after {in_words(latest)}", text


def _compare_not_on_or_after(element: etree._Element, name: str, expectation: ResponseExpectation) -> Compared:
    text = element.get(name)
    if text is None:
        return "no end", "none"
    earliest = expectation.now - expectation.skew
    if parse_instant(text, name=name) <= earliest:
        raise BrokerError("saml.expired", expected=f"{name} after {in_words(earliest)}", actual=text)
    return f"{name} after {in_words(earliest)}", text
