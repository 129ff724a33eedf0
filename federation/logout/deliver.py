"""Telling one application that a session ended: a logout token by POST, or a LogoutRequest by SOAP.

What is sent is made anew for each attempt, from what is registered then.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime
from urllib.parse import urlencode
from uuid import UUID

from django.utils import timezone

from broker import limits, outgoing
from broker.actors import ActorKind
from broker.delivery.handlers import Settle
from broker.delivery.models import Delivery
from broker.delivery.outcomes import Outcome, confirmed, failed, retry, skipped
from broker.delivery.waiting import asked_pause
from broker.errors import BrokerError
from broker.keys.services import saml_signing
from broker.keys.strict_json import NotStrictJson, read_object
from broker.registry.models import ServiceProvider
from broker.sessions.models import Participant
from broker.traces.collector import Collector
from broker.traces.models import Trace
from broker.traces.services import save_trace
from federation.downstream.addresses import entity_id, slo_url
from federation.downstream.name_ids import told_name_id
from federation.downstream.registrations import registered_metadata
from federation.logout.tokens import make_logout_token
from federation.logout.ways import face_of, oidc_address, saml_address
from federation.saml import soap
from federation.saml.logout import (
    REASON_ADMIN,
    REASON_USER,
    Leaving,
    LogoutExpectation,
    LogoutNotDone,
    VerifiedLogout,
    make_request_id,
    verify_logout_response,
    write_logout_request,
)
from federation.saml.names import STATUS_RESPONDER

DONE = (200, 204)
REFUSED = 400
SOAP_STATUSES = (200, 500)
XML_TYPES = (soap.CONTENT_TYPE, "application/soap+xml", "application/xml")
FORM = "application/x-www-form-urlencoded"
NO_ADDRESS = "logout.no_address"
FORGOTTEN = "logout.forgotten"
PARTIAL = "PartialLogout: sessions that hang on its own were not reached"


class Telling(ABC):
    """A kind of delivery whose payload names a participant. One exchange at a time: a lane is one application."""

    batch = 5

    @abstractmethod
    def tell(self, participant: Participant, delivery: Delivery) -> Outcome:
        """One attempt."""

    def deliver(self, lane: str, batch: Sequence[Delivery], settle: Settle) -> None:  # noqa: ARG002 - the participant knows its application
        """See Handler. Each outcome is settled before the next exchange: a worker that dies repeats one at most."""
        participants = _participants([one.payload["participant"] for one in batch])
        for delivery in batch:
            if settle.is_over:
                return
            participant = participants.get(delivery.payload["participant"])
            outcome = skipped(FORGOTTEN) if participant is None else self.tell(participant, delivery)
            settle([(delivery, outcome)])


class OIDCLogout(Telling):
    """OpenID Connect Back-Channel Logout 1.0."""

    def tell(self, participant: Participant, delivery: Delivery) -> Outcome:  # noqa: ARG002 - as of Telling
        """See Telling. 200 and 204 acknowledge, 400 refuses for good (section 2.8), all else is tried again."""
        address, client = oidc_address(participant), participant.client
        if not address or client is None:
            return skipped(NO_ADDRESS)
        now = timezone.now()
        try:
            token = make_logout_token(participant, client, now=now)
            answer = _post(address, {"Content-Type": FORM}, urlencode({"logout_token": token}).encode(), "*/*")
        except BrokerError as error:
            return retry(error.code, error.detail)
        if answer.status in DONE:
            return confirmed(answer_digest(answer), status=answer.status, detail=_described(answer))
        if answer.status == REFUSED:
            return failed("logout.refused", _own_words(answer), status=REFUSED)
        return _unexpected(answer, now=now)


class SAMLLogout(Telling):
    """Single Logout by SOAP (SAML profiles 4.4.3.1): asked and answered over one connection, without a browser."""

    def tell(self, participant: Participant, delivery: Delivery) -> Outcome:
        """See Telling. Only a signed LogoutResponse to this very request acknowledges."""
        address, face = saml_address(participant), face_of(participant)
        if not address or face is None:
            return skipped(NO_ADDRESS)
        now, request_id = timezone.now(), make_request_id()
        leaving = Leaving(
            issuer=entity_id(),
            destination=address,
            name_id=told_name_id(participant, face),
            session_index=str(participant.pk),
            reason=REASON_USER if delivery.actor.startswith(f"{ActorKind.PERSON}:") else REASON_ADMIN,
        )
        headers = {"Content-Type": f"{soap.CONTENT_TYPE}; charset=UTF-8", "SOAPAction": soap.ACTION}
        try:
            request = write_logout_request(leaving, request_id=request_id, now=now, signer=saml_signing())
            answer = _post(address, headers, request, soap.CONTENT_TYPE)
        except BrokerError as error:
            return retry(error.code, error.detail)
        if answer.status not in SOAP_STATUSES:
            return _unexpected(answer, now=now)
        trace = Collector(hop=f"LogoutRequest to {participant.application.slug}")
        try:
            verified = _verify(answer, face, request_id=request_id, trace=trace)
        except BrokerError as error:
            trace.check(error.code, passed=False, expected=error.expected, actual=error.actual or error.detail)
            _keep(trace, delivery, participant, code=error.code)
            return _refused(error, status=answer.status)
        return confirmed(
            answer_digest(answer), status=answer.status, detail=PARTIAL if verified.is_partial else "Success"
        )


OIDC = OIDCLogout()
SAML = SAMLLogout()


def answer_digest(answer: outgoing.Fetched) -> str:
    """SHA-256 (hex) of an answer: its status in decimal, its Content-Type and its body, with a line feed between."""
    head = f"{answer.status}\n{answer.headers.get('content-type', '')}\n"
    return hashlib.sha256(head.encode() + answer.body).hexdigest()


def _participants(ids: Sequence[str]) -> Mapping[str, Participant]:
    found = Participant.objects.filter(pk__in=[UUID(one) for one in ids]).select_related(
        "session__person", "client", "application__service_provider"
    )
    return {str(one.pk): one for one in found}


def _post(address: str, headers: Mapping[str, str], body: bytes, accept: str) -> outgoing.Fetched:
    return outgoing.fetch(
        address,
        purpose="logout",
        max_bytes=limits.LOGOUT_ANSWER_BYTES,
        accept=accept,
        method="POST",
        headers=headers,
        body=body,
        total_seconds=limits.LOGOUT_SECONDS,
    )


def _unexpected(answer: outgoing.Fetched, *, now: datetime) -> Outcome:
    pause = asked_pause(answer.status, answer.headers, now=now)
    return retry("logout.http_status", _described(answer), status=answer.status, lane=pause)


def _verify(answer: outgoing.Fetched, face: ServiceProvider, *, request_id: str, trace: Collector) -> VerifiedLogout:
    """The application's signed word. Raises BrokerError (logout.*)."""
    expectation = LogoutExpectation(
        issuer=face.entity_id,
        certificates=[one.der for one in registered_metadata(face).signing_certificates],
        request_id=request_id,
        destination=slo_url(),
    )
    _check_content_type(answer)
    return verify_logout_response(answer.body, expectation, trace=trace)


def _check_content_type(answer: outgoing.Fetched) -> None:
    """A page of a proxy or a sign-in page is not read as an answer. Raises logout.content_type."""
    actual = _media_type(answer)
    if actual not in XML_TYPES:
        raise BrokerError("logout.content_type", expected=" or ".join(XML_TYPES), actual=actual or "none")


def _refused(error: BrokerError, *, status: int) -> Outcome:
    """An application that says for good that it did not do it is not asked again."""
    detail = "; ".join(part for part in (str(error.actual)[:200] if error.actual else "", error.detail) if part)[
        : limits.LOGOUT_ERROR_CHARS
    ]
    if isinstance(error, LogoutNotDone) and STATUS_RESPONDER not in error.status_codes[:1]:
        return failed(error.code, detail, status=status)
    return retry(error.code, detail, status=status, is_unanswered=False)


def _keep(trace: Collector, delivery: Delivery, participant: Participant, *, code: str) -> None:
    """What was wrong with an answer, check by check, under the trace of what ended the session."""
    if delivery.trace_id:
        slug = participant.application.slug
        save_trace(delivery.trace_id, trace, outcome=Trace.Outcome.REFUSED, code=code, application=slug)


def _media_type(answer: outgoing.Fetched) -> str:
    return answer.headers.get("content-type", "").partition(";")[0].strip().lower()[:100]


def _described(answer: outgoing.Fetched) -> str:
    return f"{answer.status}, {len(answer.body)} bytes of {_media_type(answer) or 'no type'}"


def _own_words(answer: outgoing.Fetched) -> str:
    """`error` and `error_description` of a JSON answer, as far as they are text that can be shown."""
    if _media_type(answer) != "application/json":
        return _described(answer)
    try:
        said = read_object(answer.body)
    except NotStrictJson:
        return _described(answer)
    words = [said[name] for name in ("error", "error_description") if isinstance(said.get(name), str)]
    shown = ": ".join("".join(letter for letter in one if letter.isprintable()) for one in words)
    return shown[: limits.LOGOUT_ERROR_CHARS] or _described(answer)
