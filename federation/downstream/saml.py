"""The identity provider's side of a SAML sign-on: reading what an application asks, and answering with an assertion.

SAML 2.0 profiles section 4.1. An answer, good or bad, goes to an address of the application's registered metadata.
"""

import base64
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from django.utils import timezone

from broker.actors import Actor
from broker.errors import BrokerError
from broker.keys.services import saml_signing, saml_signing_certificates
from broker.registry.cache import parties
from broker.registry.models import ServiceProvider
from broker.registry.services import every_proved_domain, find_service_provider
from broker.sessions.models import Participant, Session
from broker.sessions.services import keep_name_id
from broker.traces.collector import Collector
from federation.assertions import Answer, SignOnRequest
from federation.checks import run_checks
from federation.downstream.addresses import entity_id, sso_url
from federation.downstream.attributes import attributes_of
from federation.downstream.name_ids import FORMATS, check_wanted_person, kind_for, name_id_of
from federation.downstream.registrations import must_be_signed, recipient_of, registered_metadata
from federation.downstream.saml_contexts import contexts_good_enough, told_context
from federation.downstream.saml_wishes import WISHES, Wish
from federation.saml import names
from federation.saml.bindings import CarriedRequest
from federation.saml.envelope import IdentityProviderRefused
from federation.saml.publication import write_identity_provider
from federation.saml.requests import RequestExpectation, parse_request, verify_request
from federation.saml.responses import Envelope, SignedOn, write_refusal, write_response
from federation.saml.verified import Comparison, NameID, NameIDPolicy, RequestedContexts, VerifiedRequest

PROTOCOL = "saml"
Status = tuple[str, ...]
STATUS_OF_CODE: Mapping[str, Status] = {
    "signon.login_required": (names.STATUS_RESPONDER, names.STATUS_NO_PASSIVE),
    "signon.interaction_required": (names.STATUS_RESPONDER, names.STATUS_NO_PASSIVE),
    "signon.context_not_reached": (names.STATUS_RESPONDER, names.STATUS_NO_AUTHN_CONTEXT),
    "saml_idp.name_id": (names.STATUS_REQUESTER, names.STATUS_INVALID_NAME_ID_POLICY),
    "saml_idp.subject": (names.STATUS_RESPONDER, names.STATUS_UNKNOWN_PRINCIPAL),
    "saml_idp.proxying": (names.STATUS_RESPONDER, names.STATUS_PROXY_COUNT_EXCEEDED),
    "saml_idp.encryption": (names.STATUS_RESPONDER, names.STATUS_REQUEST_UNSUPPORTED),
    "signon.application_disabled": (names.STATUS_RESPONDER, names.STATUS_REQUEST_DENIED),
    "signon.not_permitted": (names.STATUS_RESPONDER, names.STATUS_REQUEST_DENIED),
    "signon.identity_provider_disabled": (names.STATUS_RESPONDER, names.STATUS_REQUEST_DENIED),
    "service.unavailable": (names.STATUS_RESPONDER,),
    "service.fault": (names.STATUS_RESPONDER,),
    "request.too_many": (names.STATUS_RESPONDER,),
}
DENIED = ("account.", "authority.")
"""Refusals that are `RequestDenied`; every other one is `AuthnFailed`."""
PASSED_ON = (names.STATUS_NO_PASSIVE, names.STATUS_NO_AUTHN_CONTEXT)


class RequestRefused(BrokerError):
    """A request that was verified, and cannot be granted: the application may hear of it (`refuse(asked, …)`)."""

    def __init__(self, refusal: BrokerError, *, application: str, asked: dict[str, Any]) -> None:
        self.application = application
        self.asked = asked
        super().__init__(refusal.code, detail=refusal.detail, expected=refusal.expected, actual=refusal.actual)


def read(carried: CarriedRequest, *, trace: Collector) -> SignOnRequest:
    """Judge an AuthnRequest as it came in.

    Raises RequestRefused, for which `refuse` has the answer, and any other BrokerError for a page of ours: nothing is
    sent to an address that is not known to be the application's.
    """
    unverified = parse_request(carried, trace=trace)
    face = find_service_provider(unverified.unverified_issuer)
    if face is None:
        actual = unverified.unverified_issuer[:200]
        raise BrokerError("saml_idp.unknown_application", expected="a registered entityID", actual=actual)
    metadata = registered_metadata(face)
    expectation = RequestExpectation(
        issuer=face.entity_id,
        certificates=[one.der for one in metadata.signing_certificates],
        must_be_signed=must_be_signed(face, metadata),
        sso_url=sso_url(),
        consumers=metadata.assertion_consumer_services,
        now=timezone.now(),
    )
    request = verify_request(unverified, expectation, trace=trace)
    asked = _write_asked(request)
    try:
        run_checks(WISHES, Wish(request, face), trace=trace, subject="request")
    except BrokerError as refusal:
        raise RequestRefused(refusal, application=face.application.slug, asked=asked) from refusal
    return resume(asked)


def resume(asked: dict[str, Any]) -> SignOnRequest:
    """The request that `read` or `start_unasked` wrote as `asked`. Raises signon.application_disabled."""
    face = _find_face(asked)
    contexts = contexts_good_enough(_requested(asked))
    wanted = asked["subject"]
    return SignOnRequest(
        application=face.application,
        client=None,
        asked=asked,
        passive=asked["passive"],
        force=asked["force"],
        contexts=contexts,
        must_reach_context=bool(contexts),
        login_hint=wanted["value"] if wanted and "@" in wanted["value"] else "",
    )


def start_unasked(face: ServiceProvider, *, relay_state: str) -> SignOnRequest:
    """A sign-on that begins here, at an application that takes answers which it did not ask for.

    `relay_state` is where in the application the person wants to arrive. Raises saml_idp.not_started_here.
    """
    if not face.idp_initiated:
        raise BrokerError("saml_idp.not_started_here", expected="idp_initiated", actual="not set")
    request = VerifiedRequest(
        issuer=face.entity_id,
        request_id="",
        acs_url=registered_metadata(face).assertion_consumer_services[0].location,
        relay_state=relay_state,
        is_signed=False,
        force=False,
        passive=False,
        name_id_policy=NameIDPolicy(),
        contexts=RequestedContexts(),
        subject=None,
        proxy_count=None,
    )
    return resume(_write_asked(request))


def respond(
    asked: dict[str, Any],
    *,
    session: Session,
    participant: Participant,
    actor: Actor,  # noqa: ARG001 - the other door issues a code in the actor's name
    trace: Collector,
) -> Answer:
    """The answer that carries an assertion; runs in the transaction that joins the session.

    The application is looked at again: what was registered when the sign-on began may have been withdrawn since.
    Raises BrokerError (signon.application_disabled, signon.context_not_reached, saml_idp.*) for a page of ours.
    """
    face = _find_face(asked)
    if not face.application.enabled or face.application_id != participant.application_id:
        raise BrokerError("signon.application_disabled", expected="enabled", actual=face.application.slug)
    metadata = registered_metadata(face)
    locations = [one.location for one in metadata.assertion_consumer_services]
    if asked["acs_url"] not in locations:
        raise BrokerError("saml_idp.acs", expected=", ".join(locations), actual=asked["acs_url"])
    person = session.person
    if asked["subject"]:
        check_wanted_person(person, face, wanted=NameID(**asked["subject"]))
    kind = kind_for(face, NameIDPolicy(asked["name_id_format"]))
    name_id = name_id_of(person, face, kind=kind, participant=participant)
    if kind != ServiceProvider.NameID.PERSISTENT or participant.client_id is not None or participant.name_id:
        keep_name_id(participant, asdict(name_id))
    signed_on = SignedOn(
        name_id=name_id,
        authenticated_at=session.authenticated_at,
        context=told_context(session.context, _requested(asked)),
        authority=session.identity_provider.issuer,
        session_index=str(participant.pk),
        session_until=session.expires_at,
        attributes=attributes_of(person, face.application),
    )
    raw = write_response(
        _envelope(asked),
        signed_on,
        audience=face.entity_id,
        signer=saml_signing(),
        sign_response=face.sign != ServiceProvider.Sign.ASSERTION,
        sign_assertion=face.sign != ServiceProvider.Sign.RESPONSE or metadata.wants_assertions_signed,
        recipient=recipient_of(face, metadata),
        trace=trace,
    )
    return _post(asked, raw)


def refuse(asked: dict[str, Any], error: BrokerError) -> Answer:
    """A signed Response with the status of a refusal (SAML core 3.2.2.2)."""
    message = error.refusal.meaning
    return _post(asked, write_refusal(_envelope(asked), status_of(error), message, signer=saml_signing()))


def status_of(error: BrokerError) -> Status:
    """What a refusal is called over the wire; an identity provider's reason is passed on where it is one of ours."""
    if isinstance(error, IdentityProviderRefused):
        for reason in PASSED_ON:
            if reason in error.status_codes:
                return names.STATUS_RESPONDER, reason
    if error.code in STATUS_OF_CODE:
        return STATUS_OF_CODE[error.code]
    reason = names.STATUS_REQUEST_DENIED if error.code.startswith(DENIED) else names.STATUS_AUTHN_FAILED
    return names.STATUS_RESPONDER, reason


def identity_provider_metadata() -> bytes:
    """Our signed metadata towards applications. Written once per change: it names every domain of everybody."""
    certificates = saml_signing_certificates()
    return parties.get(
        ("identity_provider_metadata", certificates),
        lambda: write_identity_provider(
            entity_id=entity_id(),
            sso_url=sso_url(),
            signing_certificates=certificates,
            scopes=every_proved_domain(),
            name_id_formats=[FORMATS[kind] for kind in ServiceProvider.NameID],
            signer=saml_signing(),
        ),
    )


def _find_face(asked: dict[str, Any]) -> ServiceProvider:
    face = find_service_provider(asked["entity_id"])
    if face is None:
        raise BrokerError("signon.application_disabled", expected="registered", actual=asked["entity_id"][:200])
    return face


def _write_asked(request: VerifiedRequest) -> dict[str, Any]:
    return {
        "protocol": PROTOCOL,
        "entity_id": request.issuer,
        "acs_url": request.acs_url,
        "request_id": request.request_id,
        "relay_state": request.relay_state,
        "force": request.force,
        "passive": request.passive,
        # Its other half, SPNameQualifier, has been judged: it can only repeat the entityID.
        "name_id_format": request.name_id_policy.format,
        "subject": asdict(request.subject) if request.subject else None,
        "comparison": request.contexts.comparison.value,
        "contexts": list(request.contexts.references),
    }


def _requested(asked: dict[str, Any]) -> RequestedContexts:
    return RequestedContexts(Comparison(asked["comparison"]), tuple(asked["contexts"]))


def _envelope(asked: dict[str, Any]) -> Envelope:
    return Envelope(entity_id(), asked["acs_url"], asked["request_id"], timezone.now())


def _post(asked: dict[str, Any], raw: bytes) -> Answer:
    """By HTTP-POST, with the RelayState as it came (SAML bindings 3.5.3)."""
    fields = {"SAMLResponse": base64.b64encode(raw).decode("ascii")}
    if asked["relay_state"]:
        fields["RelayState"] = asked["relay_state"]
    return Answer(asked["acs_url"], fields)
