"""LogoutRequests of ours by SOAP, and THE verifier of what applications answer (SAML core 3.7, profiles 4.4).

The steps are those of `guard`, in its order. How old an answer is is not judged: it comes over the connection that
carried the request, and names that request's ID, which was drawn for it.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from lxml import etree

from broker import limits
from broker.errors import BrokerError
from broker.traces.collector import Collector
from federation.checks import Compared, recorded, run_checks
from federation.saml.elements import children, find_child, get_child, id_of, text_of
from federation.saml.instants import write_instant
from federation.saml.names import (
    NAME_ID_ENTITY,
    SAMLP,
    STATUS_PARTIAL_LOGOUT,
    STATUS_SUCCESS,
    clark,
)
from federation.saml.parsing import parse_message
from federation.saml.redaction import redacted
from federation.saml.responses import ID_BYTES
from federation.saml.signature import verify_enveloped
from federation.saml.signing import Signer, add_signature
from federation.saml.soap import SOAP_STRUCTURE, message_of, wrap
from federation.saml.structure import (
    ISSUER,
    ONCE_ONLY,
    SIGNATURE,
    STATUS,
    STATUS_CODE,
    STATUS_MESSAGE,
    check_unique_ids,
    compare_children,
    compare_signature_places,
    compare_version,
)
from federation.saml.verified import NameID
from federation.saml.writing import element, name_id_element

LOGOUT_RESPONSE = clark(SAMLP, "LogoutResponse")
ANSWER_TITLE = "Answer to the LogoutRequest"
REASON_USER = "urn:oasis:names:tc:SAML:2.0:logout:user"
REASON_ADMIN = "urn:oasis:names:tc:SAML:2.0:logout:admin"
CODES = {
    "saml.unsigned": "logout.unsigned",
    "saml.signature": "logout.signature",
    "saml.algorithm": "logout.signature",
    "saml.issuer": "logout.issuer",
    "saml.in_response_to": "logout.in_response_to",
    "saml.destination": "logout.destination",
}
"""What is said of an application's answer where `saml.…` says it of an identity provider's; else logout.malformed."""

# name -> (fewest, most)
LOGOUT_RESPONSE_CHILDREN: dict[str, tuple[int, int]] = {
    ISSUER: (1, 1),
    SIGNATURE: (0, 1),
    clark(SAMLP, "Extensions"): (0, 1),
    STATUS: (1, 1),
}


@dataclass(frozen=True, slots=True)
class Leaving:
    """Whose session ends at which application, in the words that its assertion used."""

    issuer: str
    destination: str
    name_id: NameID
    session_index: str
    reason: str
    """`REASON_USER` or `REASON_ADMIN`."""


@dataclass(frozen=True, slots=True)
class LogoutExpectation:
    """Everything that an answer is compared with. Nothing in it comes from the message."""

    issuer: str
    certificates: Sequence[bytes]
    """DER; the only source of keys for signatures."""
    request_id: str
    destination: str
    """Our address for logout, which some name although the answer goes nowhere else."""

    def __post_init__(self) -> None:
        if not self.issuer or not self.request_id or not self.destination:
            raise ValueError("an expectation without issuer, request or destination would expect nothing")


@dataclass(frozen=True, slots=True)
class VerifiedLogout:
    """The application's signed word that its session ended."""

    response_id: str
    status_codes: tuple[str, ...]
    is_partial: bool
    """It ended its own session, and could not tell others that hang on it."""


class LogoutNotDone(BrokerError):
    """The application's verified answer is another status than success. `status_codes` from the outermost inwards."""

    def __init__(self, status_codes: tuple[str, ...], message: str) -> None:
        self.status_codes = status_codes
        shown = " > ".join(one.rpartition(":")[2] for one in status_codes)[: limits.SAML_NAME_ID_CHARS]
        super().__init__("logout.status", detail=message, expected="Success", actual=shown)


@dataclass(frozen=True, slots=True)
class AnswerCase:
    """A LogoutResponse whose signature held, and what is expected of it."""

    response: etree._Element
    expectation: LogoutExpectation


def make_request_id() -> str:
    """The ID of a request: drawn for one attempt."""
    return f"_{secrets.token_hex(ID_BYTES)}"


def write_logout_request(leaving: Leaving, *, request_id: str, now: datetime, signer: Signer) -> bytes:
    """A signed LogoutRequest in a SOAP envelope, as UTF-8 XML. It is good for `limits.LOGOUT_MESSAGE_LIFETIME`."""
    request = element(
        "samlp:LogoutRequest",
        element("saml:Issuer", text=leaving.issuer),
        name_id_element(leaving.name_id),
        element("samlp:SessionIndex", text=leaving.session_index),
        ID=request_id,
        Version="2.0",
        IssueInstant=write_instant(now),
        Destination=leaving.destination,
        NotOnOrAfter=write_instant(now + limits.LOGOUT_MESSAGE_LIFETIME),
        Reason=leaving.reason,
    )
    add_signature(request, signer=signer)
    return wrap(request)


def verify_logout_response(raw: bytes, expectation: LogoutExpectation, *, trace: Collector) -> VerifiedLogout:
    """The application's answer to our LogoutRequest, read from bytes whose signature held.

    `raw` is the SOAP envelope. Every check goes into `trace`, and the message, redacted. Raises BrokerError with a
    `logout.` code; LogoutNotDone where the application says that the session did not end.
    """
    try:
        return _verify(raw, expectation, trace)
    except BrokerError as refusal:
        if not refusal.code.startswith("saml."):
            raise
        raise BrokerError(
            CODES.get(refusal.code, "logout.malformed"),
            detail=f"{refusal.code}: {refusal.detail}" if refusal.detail else refusal.code,
            expected=refusal.expected,
            actual=refusal.actual,
        ) from refusal


def _verify(raw: bytes, expectation: LogoutExpectation, trace: Collector) -> VerifiedLogout:
    with recorded("answer is readable", expected="XML in UTF-8 with elements and text only", trace=trace):
        try:
            root = parse_message(raw)
        except BrokerError:
            trace.message(ANSWER_TITLE, redacted(raw))
            raise
    trace.message(ANSWER_TITLE, redacted(root))
    run_checks(SOAP_STRUCTURE, root, trace=trace, subject="envelope")
    run_checks(ANSWER_STRUCTURE, root, trace=trace, subject="answer")
    run_checks(PRESENCE, root, trace=trace, subject="answer")
    response = verify_enveloped(
        message_of(root),
        certificates=expectation.certificates,
        sha1_accepted=False,
        trace=trace,
        subject="answer signature",
    )
    case = AnswerCase(response, expectation)
    run_checks(ANSWER_POLICY, case, trace=trace, subject="answer")
    codes = _status_codes(response)
    return VerifiedLogout(id_of(response), codes, is_partial=codes[0] != STATUS_SUCCESS or len(codes) > 1)


# --- Before the signature: the whole envelope -------------------------------------------------------------------------
def check_root(root: etree._Element) -> Compared:
    """The message is a samlp:LogoutResponse of SAML 2.0 (SAML core 3.7.2)."""
    response = message_of(root)
    if response.tag != LOGOUT_RESPONSE:
        raise BrokerError("saml.structure", expected="samlp:LogoutResponse", actual=response.tag)
    return compare_version(response)


def check_id(root: etree._Element) -> Compared:
    return "an ID", id_of(message_of(root))


def check_children(root: etree._Element) -> Compared:
    return compare_children(message_of(root), LOGOUT_RESPONSE_CHILDREN)


def check_nothing_twice(root: etree._Element) -> Compared:
    """No second answer is hidden in the envelope, in a header or inside the first one."""
    for one in root.iter(LOGOUT_RESPONSE, *ONCE_ONLY):
        if one is not message_of(root):
            raise BrokerError("saml.structure", expected="one LogoutResponse", actual=f"a hidden {one.tag}")
    return "one LogoutResponse", "so it is"


def check_signature_place(root: etree._Element) -> Compared:
    """A signature is a direct child of the answer: it signs its own parent."""
    return compare_signature_places(root, [message_of(root)])


ANSWER_STRUCTURE: tuple[Callable[[etree._Element], Compared], ...] = (
    check_root,
    check_id,
    check_children,
    check_nothing_twice,
    check_signature_place,
    check_unique_ids,
)


def check_signed(root: etree._Element) -> Compared:
    """An answer that nobody signed is anybody's word: whoever ends the connection could have written it."""
    if find_child(message_of(root), SIGNATURE) is None:
        raise BrokerError("saml.unsigned", expected="a signature", actual="no signature")
    return "a signature", "a signature"


PRESENCE: tuple[Callable[[etree._Element], Compared], ...] = (check_signed,)


# --- On verified bytes -----------------------------------------------------------------------------------------------
def check_issuer(case: AnswerCase) -> Compared:
    """Issuer is the entityID of the application that was asked, letter by letter (SAML profiles 4.4.4.2)."""
    issuer = get_child(case.response, ISSUER)
    expected, actual, kind = case.expectation.issuer, text_of(issuer), issuer.get("Format", NAME_ID_ENTITY)
    if actual != expected or kind != NAME_ID_ENTITY:
        raise BrokerError("saml.issuer", expected=expected, actual=f"{actual} as {kind}")
    return expected, actual


def check_in_response_to(case: AnswerCase) -> Compared:
    """It answers this very request: an older answer says nothing of this session."""
    expected, actual = case.expectation.request_id, case.response.get("InResponseTo")
    if actual != expected:
        raise BrokerError("saml.in_response_to", expected=expected, actual=actual)
    return expected, actual


def check_destination(case: AnswerCase) -> Compared:
    """Over SOAP it need not stand there; where it does it is ours."""
    expected, actual = case.expectation.destination, case.response.get("Destination")
    if actual and actual != expected:
        raise BrokerError("saml.destination", expected=expected, actual=actual)
    return expected, actual or "none"


def check_status(case: AnswerCase) -> Compared:
    """The session ended there; PartialLogout too says so (SAML core 3.7.3.2)."""
    codes = _status_codes(case.response)
    if codes[:1] != (STATUS_SUCCESS,) and STATUS_PARTIAL_LOGOUT not in codes[:2]:
        messages = [text_of(one) for one in children(get_child(case.response, STATUS), STATUS_MESSAGE)]
        raise LogoutNotDone(codes, " ".join(messages)[: limits.SAML_NAME_ID_CHARS])
    return STATUS_SUCCESS, " > ".join(codes)


ANSWER_POLICY: tuple[Callable[[AnswerCase], Compared], ...] = (
    check_issuer,
    check_in_response_to,
    check_destination,
    check_status,
)


def _status_codes(response: etree._Element) -> tuple[str, ...]:
    """The codes from the outermost to the innermost. Raises saml.structure where there is none."""
    codes: list[str] = []
    holder: etree._Element | None = get_child(get_child(response, STATUS), STATUS_CODE)
    while holder is not None:
        codes.append(holder.get("Value", ""))
        holder = find_child(holder, STATUS_CODE)
    return tuple(codes)
