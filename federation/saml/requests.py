"""THE verifier of applications' AuthnRequests: the same steps as for answers (`guard`), in the same order.

Parsing, structure and algorithms, signature, policy; what comes out is read from bytes whose signature held, where
there is one. A request that comes twice is answered twice, to the same place: its age is bounded, and no door opens
without the person's own sign-on, so IDs are not remembered.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from lxml import etree

from broker import limits
from broker.errors import BrokerError
from broker.traces.collector import Collector
from broker.wording import in_words
from federation.checks import Compared, recorded, run_checks
from federation.saml import names
from federation.saml.bindings import CarriedRequest
from federation.saml.elements import children, find_child, get_child, id_of, text_of
from federation.saml.instants import parse_instant
from federation.saml.metadata import AssertionConsumerService
from federation.saml.names import BINDING_POST, NAME_ID_ENTITY
from federation.saml.parsing import parse_message
from federation.saml.query_signature import verify_query
from federation.saml.redaction import redacted
from federation.saml.request_refusals import refused_as_request
from federation.saml.request_structure import (
    CONTEXT_REFERENCES,
    NAME_ID_POLICY,
    REQUEST_STRUCTURE,
    REQUESTED_CONTEXT,
    SCOPING,
)
from federation.saml.signature import verify_enveloped
from federation.saml.structure import ISSUER, SIGNATURE, SUBJECT
from federation.saml.subject import NAME_ID
from federation.saml.verified import Comparison, NameID, NameIDPolicy, RequestedContexts, VerifiedRequest

_TRUE, _FALSE = ("true", "1"), ("false", "0")


@dataclass(frozen=True, slots=True)
class UnverifiedRequest:
    """A request that is built well, and of which nothing is believed yet."""

    root: etree._Element
    carried: CarriedRequest
    unverified_issuer: str
    """Who it claims to come from: only to find whose keys and settings to judge it by."""


@dataclass(frozen=True, slots=True)
class RequestExpectation:
    """Everything that a request is compared with. Nothing in it comes from the message."""

    issuer: str
    certificates: Sequence[bytes]
    """DER; the only source of keys for signatures."""
    must_be_signed: bool
    sso_url: str
    """Our address for single sign-on, the same for both bindings."""
    consumers: Sequence[AssertionConsumerService]
    """Where answers may go: those of the registered metadata, the default first."""
    now: datetime
    skew: timedelta = limits.SAML_SKEW

    def __post_init__(self) -> None:
        if not self.issuer or not self.sso_url or not self.consumers:
            raise ValueError("an expectation without issuer, address or consumers would expect nothing")
        if self.now.utcoffset() is None:
            raise ValueError("now needs a time zone")


@dataclass(frozen=True, slots=True)
class RequestCase:
    """A request, whether a signature over it held, and what is expected of it."""

    request: etree._Element
    is_signed: bool
    expectation: RequestExpectation


def parse_request(carried: CarriedRequest, *, trace: Collector) -> UnverifiedRequest:
    """Parse and judge the structure. Every check goes into `trace`, and the message, redacted.

    Raises BrokerError with a `saml_idp.` code.
    """
    title = "AuthnRequest"
    with refused_as_request():
        with recorded("request is readable", expected="XML in UTF-8 with elements and text only", trace=trace):
            try:
                root = parse_message(carried.raw)
            except BrokerError:
                trace.message(title, redacted(carried.raw))
                raise
        trace.message(title, redacted(root))
        run_checks(REQUEST_STRUCTURE, root, trace=trace, subject="request")
        return UnverifiedRequest(root, carried, unverified_issuer=text_of(get_child(root, ISSUER)))


def verify_request(
    unverified: UnverifiedRequest, expectation: RequestExpectation, *, trace: Collector
) -> VerifiedRequest:
    """What the application asks, and where its answer goes. Raises BrokerError with a `saml_idp.` code.

    A signature that is there has to hold, whether it had to be there or not.
    """
    with refused_as_request():
        root, query_signature = unverified.root, unverified.carried.query_signature
        is_signed = query_signature is not None or find_child(root, SIGNATURE) is not None
        run_checks(PRESENCE, RequestCase(root, is_signed, expectation), trace=trace, subject="request")
        if query_signature is not None:
            verify_query(query_signature, certificates=expectation.certificates, trace=trace, subject="query")
        if find_child(root, SIGNATURE) is not None:
            root = verify_enveloped(
                root,
                certificates=expectation.certificates,
                sha1_accepted=False,
                trace=trace,
                subject="request signature",
            )
        case = RequestCase(root, is_signed, expectation)
        run_checks(REQUEST_POLICY, case, trace=trace, subject="request")
        with recorded("request is understood", expected="values as SAML writes them", trace=trace):
            return _read(case, relay_state=unverified.carried.relay_state)


def check_signed(case: RequestCase) -> Compared:
    """A request is signed where the application declared it, or its registration demands it."""
    actual = "a signature" if case.is_signed else "no signature"
    if case.expectation.must_be_signed and not case.is_signed:
        raise BrokerError("saml.unsigned", expected="a signature", actual=actual)
    return "a signature" if case.expectation.must_be_signed else "a signature or none", actual


PRESENCE = (check_signed,)


def check_issuer(case: RequestCase) -> Compared:
    """Issuer is the entityID of the registered application, letter by letter (SAML profiles 4.1.4.1)."""
    issuer = get_child(case.request, ISSUER)
    actual, kind = text_of(issuer), issuer.get("Format", NAME_ID_ENTITY)
    if actual != case.expectation.issuer or kind != NAME_ID_ENTITY:
        raise BrokerError(
            "saml_idp.unknown_application", expected=case.expectation.issuer, actual=f"{actual} as {kind}"
        )
    return case.expectation.issuer, actual


def check_destination(case: RequestCase) -> Compared:
    """A signed request says where it goes: it cannot be carried to another identity provider, or from one to us."""
    expected, actual = case.expectation.sso_url, case.request.get("Destination")
    if actual != expected and (actual or case.is_signed):
        raise BrokerError("saml.destination", expected=expected, actual=actual)
    return expected, actual


def check_age(case: RequestCase) -> Compared:
    issued = parse_instant(case.request.get("IssueInstant", ""), name="IssueInstant")
    now, skew = case.expectation.now, case.expectation.skew
    if issued > now + skew:
        raise BrokerError("saml.not_yet_valid", expected=f"issued by {in_words(now)} ± {in_words(skew)}", actual=issued)
    if now - issued > limits.SAML_REQUEST_AGE:
        raise BrokerError(
            "saml.stale", expected=f"issued after {in_words(now - limits.SAML_REQUEST_AGE)}", actual=issued
        )
    return f"issued at most {in_words(limits.SAML_REQUEST_AGE)} before {in_words(now)}", issued


def check_binding(case: RequestCase) -> Compared:
    actual = case.request.get("ProtocolBinding", BINDING_POST)
    if actual != BINDING_POST:
        raise BrokerError("saml_idp.binding", expected=BINDING_POST, actual=actual)
    return BINDING_POST, actual


def check_assertion_consumer(case: RequestCase) -> Compared:
    """The answer goes to an address of the registered metadata, whatever the request says (SAML core 3.4.1)."""
    return ", ".join(one.location for one in case.expectation.consumers), acs_url_of(case)


REQUEST_POLICY: tuple[Callable[[RequestCase], Compared], ...] = (
    check_issuer,
    check_destination,
    check_age,
    check_binding,
    check_assertion_consumer,
)


def acs_url_of(case: RequestCase) -> str:
    """The registered address that the request asks for, by URL or by index, else the default one.

    Raises saml_idp.acs for any other; for a URL and an index that name different ones, too.
    """
    url, index = (case.request.get(f"AssertionConsumerService{name}") for name in ("URL", "Index"))
    wanted = [
        one
        for one in case.expectation.consumers
        if url in (None, one.location) and (index is None or index.strip() == str(one.index))
    ]
    if not wanted:
        expected = ", ".join(f"{one.location} ({one.index})" for one in case.expectation.consumers)
        raise BrokerError("saml_idp.acs", expected=expected, actual=f"{url} ({index})")
    return wanted[0].location


def _read(case: RequestCase, *, relay_state: str) -> VerifiedRequest:
    request = case.request
    return VerifiedRequest(
        issuer=case.expectation.issuer,
        request_id=id_of(request),
        acs_url=acs_url_of(case),
        relay_state=relay_state,
        is_signed=case.is_signed,
        force=_boolean(request, "ForceAuthn"),
        passive=_boolean(request, "IsPassive"),
        name_id_policy=_name_id_policy(request),
        contexts=_contexts(request),
        subject=_subject(request),
        proxy_count=_proxy_count(request),
    )


def _boolean(element: etree._Element, name: str) -> bool:
    value = element.get(name, "false").strip()
    if value not in _TRUE + _FALSE:
        raise BrokerError("saml.structure", expected=f"{name} as true or false", actual=value[:100])
    return value in _TRUE


def _name_id_policy(request: etree._Element) -> NameIDPolicy:
    """AllowCreate is not read: an identifier that local policy allows is made at the first login."""
    policy = find_child(request, NAME_ID_POLICY)
    if policy is None:
        return NameIDPolicy()
    return NameIDPolicy(
        format=_short(policy.get("Format", "").strip(), "Format"),
        sp_name_qualifier=_short(policy.get("SPNameQualifier", "").strip(), "SPNameQualifier"),
    )


def _contexts(request: etree._Element) -> RequestedContexts:
    requested = find_child(request, REQUESTED_CONTEXT)
    if requested is None:
        return RequestedContexts()
    comparison = requested.get("Comparison", Comparison.EXACT).strip()
    if comparison not in set(Comparison):
        raise BrokerError("saml.structure", expected=" or ".join(Comparison), actual=comparison[:100])
    references = [text_of(one).strip() for one in requested if one.tag in CONTEXT_REFERENCES]
    longest = max(map(len, references), default=0)
    if not 0 < len(references) <= limits.CONTEXTS or len(references) != len(requested) or "" in references:
        raise BrokerError("saml.structure", expected=f"1 to {limits.CONTEXTS} contexts", actual=len(requested))
    if longest > limits.CONTEXT_CHARS:
        raise BrokerError("saml.structure", expected=f"contexts of {limits.CONTEXT_CHARS} characters", actual=longest)
    return RequestedContexts(Comparison(comparison), tuple(references))


def _subject(request: etree._Element) -> NameID | None:
    subject = find_child(request, SUBJECT)
    if subject is None:
        return None
    if not len(subject):
        raise BrokerError("saml.structure", expected="an identifier in Subject", actual="none")
    found = children(subject, NAME_ID)
    if len(found) != 1 or len(subject) != 1:
        # Encrypted, or with a confirmation: nothing that we could compare with the person who signs on.
        return NameID("", names.NAME_ID_ENCRYPTED)
    return NameID(
        value=_short(text_of(found[0]).strip(), "NameID"),
        format=_short(found[0].get("Format", "") or names.NAME_ID_UNSPECIFIED, "Format"),
    )


def _proxy_count(request: etree._Element) -> int | None:
    scoping = find_child(request, SCOPING)
    text = None if scoping is None else scoping.get("ProxyCount")
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= 9):
        raise BrokerError("saml.structure", expected="ProxyCount as a number", actual=text[:100])
    return int(text)


def _short(text: str, name: str) -> str:
    if len(text) > limits.SAML_NAME_ID_CHARS:
        expected = f"{name} of at most {limits.SAML_NAME_ID_CHARS} characters"
        raise BrokerError("saml.structure", expected=expected, actual=len(text))
    return text
