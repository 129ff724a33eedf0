"""Policy on the samlp:Response around the assertion (SAML profiles 4.1.4.2 and 4.1.4.3).

Where the Response is signed these are facts. Where it is not they can only refuse: what is there must fit.
"""

from dataclasses import dataclass

from lxml import etree

from broker import limits
from broker.errors import BrokerError
from broker.wording import in_words
from federation.checks import Compared
from federation.saml.elements import children, find_child, get_child, text_of
from federation.saml.expectation import ResponseExpectation
from federation.saml.instants import parse_instant
from federation.saml.names import NAME_ID_ENTITY, STATUS_SUCCESS
from federation.saml.structure import ISSUER, STATUS, STATUS_CODE, STATUS_MESSAGE

NO_REQUEST = "no InResponseTo: nobody asked"


@dataclass(frozen=True, slots=True)
class EnvelopeCase:
    """A Response, whether its own signature held, and what is expected of it."""

    response: etree._Element
    is_signed: bool
    expectation: ResponseExpectation


class IdentityProviderRefused(BrokerError):
    """The identity provider answered with a status that is not success: the attempt ends with its reason.

    `status_codes` from the outermost to the innermost. A caller that asked for a passive sign-on looks for
    `names.STATUS_NO_PASSIVE` in them. `message` is the identity provider's text, which may be unsigned.
    """

    def __init__(self, status_codes: tuple[str, ...], message: str) -> None:
        self.status_codes = status_codes
        self.message = message
        super().__init__("saml.status", detail=message, expected=STATUS_SUCCESS, actual=" > ".join(status_codes))


def check_issuer(case: EnvelopeCase) -> Compared:
    """A Response may leave its Issuer out; another issuer's it must not be."""
    issuer = find_child(case.response, ISSUER)
    if issuer is None:
        return case.expectation.issuer, "no Issuer on the Response"
    return compare_issuer(issuer, case.expectation)


def check_destination(case: EnvelopeCase) -> Compared:
    """A signed Response says where it goes (SAML bindings 3.5.5.2), exactly to our ACS."""
    expected, actual = case.expectation.acs_url, case.response.get("Destination")
    # An empty Destination is what some senders write for none.
    if actual != expected and (actual or case.is_signed):
        raise BrokerError("saml.destination", expected=expected, actual=actual)
    return expected, actual


def check_in_response_to(case: EnvelopeCase) -> Compared:
    expected, actual = case.expectation.in_response_to, case.response.get("InResponseTo")
    if actual != expected and (actual is not None or case.is_signed):
        raise BrokerError("saml.in_response_to", expected=expected or NO_REQUEST, actual=actual)
    return expected or NO_REQUEST, actual


def check_age(case: EnvelopeCase) -> Compared:
    """Answers are delivered at once; an old one was kept by somebody."""
    return compare_age(case.response, case.expectation)


ENVELOPE = (check_issuer, check_destination, check_in_response_to, check_age)


def refusal_in(response: etree._Element) -> IdentityProviderRefused:
    """The refusal that a Response without assertion carries: its status codes and its message."""
    status = get_child(response, STATUS)
    codes: list[str] = []
    holder: etree._Element | None = find_child(status, STATUS_CODE)
    while holder is not None:
        codes.append(holder.get("Value", ""))
        holder = find_child(holder, STATUS_CODE)
    messages = [text_of(one) for one in children(status, STATUS_MESSAGE)]
    return IdentityProviderRefused(tuple(codes), " ".join(messages)[: limits.SAML_NAME_ID_CHARS])


def compare_issuer(issuer: etree._Element, expectation: ResponseExpectation) -> Compared:
    """Issuer is the entityID that was asked, letter by letter, and names an entity (SAML profiles 4.1.4.2)."""
    actual, kind = text_of(issuer), issuer.get("Format", NAME_ID_ENTITY)
    if actual != expectation.issuer or kind != NAME_ID_ENTITY:
        raise BrokerError("saml.issuer", expected=expectation.issuer, actual=f"{actual} as {kind}")
    return expectation.issuer, actual


def compare_age(element: etree._Element, expectation: ResponseExpectation) -> Compared:
    """IssueInstant lies at most `limits.SAML_ANSWER_AGE` back and at most the skew ahead."""
    issued = parse_instant(element.get("IssueInstant", ""), name="IssueInstant")
    now, skew = expectation.now, expectation.skew
    if issued > now + skew:
        raise BrokerError("saml.not_yet_valid", expected=f"issued by {in_words(now)} ± {in_words(skew)}", actual=issued)
    if now - issued > limits.SAML_ANSWER_AGE:
        raise BrokerError(
            "saml.stale", expected=f"issued after {in_words(now - limits.SAML_ANSWER_AGE)}", actual=issued
        )
    return f"issued at most {in_words(limits.SAML_ANSWER_AGE)} before {in_words(now)}", issued
