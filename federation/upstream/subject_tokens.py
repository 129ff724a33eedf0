"""Tokens of identity providers that a client presents at our token endpoint (settings.SUBJECT_TOKEN_VERIFIERS).

An ID token, a SAML assertion, or a JWT that was made as an assertion (RFC 8693, RFC 7523). Each was made for us: its
audience is the name that we have at that provider, so that what was given to another party brings nothing here. The
person is one whom a link names. Nobody is made known by an exchange, and nothing that the token says of the person is
taken over: that is what a sign-on is for.
"""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings

from broker import limits
from broker.directory.linking import find_linked_identity
from broker.directory.models import Person
from broker.errors import BrokerError
from broker.keys import jose
from broker.keys.values import ForeignExpectation, VerifiedClaims
from broker.registry.models import IdentityProvider
from broker.tokens.subject_tokens import VerifiedSubject
from broker.traces.collector import Collector
from federation.checks import Compared, run_checks
from federation.saml.expectation import NoRequest, ResponseExpectation
from federation.saml.guard import unverified_issuer, verify_assertion
from federation.upstream.addresses import entity_id
from federation.upstream.foreign_claims import subject_of
from federation.upstream.id_token import (
    TYPES,
    IssuerTrust,
    as_openid,
    check_authorized_party,
    check_lengths,
    issuer_keys,
)
from federation.upstream.saml import subject_rule

BYTES = limits.JWT_ID_TOKEN_BYTES
ACCESS_CLAIMS = frozenset({"scope", "scp", "client_id"})
"""They tell what a token opens (RFC 9068 section 2.2)."""
IDENTITY = "ID"
"""Some providers write the kind of a token into a claim `typ`."""
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+={0,2}", re.ASCII)


@dataclass(frozen=True, slots=True)
class ClaimsOfSubject:
    """Signed claims on their way through the checks below, and who made them."""

    claims: Mapping[str, Any]
    expectation: IssuerTrust


def verify_id_token(raw: str, *, now: datetime, trace: Collector) -> VerifiedSubject:
    """The person whom an ID token of an OpenID provider is about (OpenID Connect Core 2 and 3.1.3.7).

    Its nonce and at_hash belong to the sign-on that it came of, and say nothing here. Raises BrokerError (oidc.*,
    account.*, outgoing.*).
    """
    with as_openid():
        issuer, audience = jose.unverified_issuer(raw, max_bytes=BYTES), jose.unverified_audience(raw, max_bytes=BYTES)
    provider = _openid_provider(issuer, audience)
    verified = _verify_jwt(raw, provider, audience=provider.client_id, checks=ID_TOKEN_CHECKS, now=now, trace=trace)
    return _subject(verified, provider, now=now)


def verify_jwt_assertion(raw: str, *, now: datetime, trace: Collector) -> VerifiedSubject:
    """The person whom a JWT of an OpenID provider is about that was made for our token endpoint (RFC 7523 section 3).

    Its audience is our issuer and nothing else. Raises BrokerError (oidc.*, account.*, outgoing.*).
    """
    with as_openid():
        issuer = jose.unverified_issuer(raw, max_bytes=BYTES)
    provider = _openid_provider(issuer, None)
    audience = settings.BROKER_BASE_URL
    verified = _verify_jwt(raw, provider, audience=audience, checks=ASSERTION_CHECKS, now=now, trace=trace)
    return _subject(verified, provider, now=now)


def verify_saml_assertion(raw: str, *, now: datetime, trace: Collector) -> VerifiedSubject:
    """The person whom a signed SAML assertion in base64url is about (RFC 8693 section 3, RFC 7522 section 3).

    Its recipient is our token endpoint: one that was sent to our assertion consumer service is for a sign-on, and
    brings nothing here. Raises BrokerError (saml.*, account.*).
    """
    xml = _decoded(raw)
    provider = _saml_provider(unverified_issuer(xml))
    expectation = ResponseExpectation(
        issuer=provider.issuer,
        verification_certificates=tuple(base64.b64decode(one["der"]) for one in provider.certificates),
        audience=entity_id(provider),
        acs_url=f"{settings.BROKER_BASE_URL}/oauth/token",
        request_id=NoRequest.UNSOLICITED,
        now=now,
        decryption_keys=(),
        subject=subject_rule(provider.subject),
        skew=timedelta(seconds=provider.skew_seconds),
        sha1_accepted_until=provider.sha1_accepted_until,
    )
    verified = verify_assertion(xml, expectation, trace=trace)
    if verified.ends_at <= now:
        # Clocks may differ, and it is over by ours: it has nothing left to give.
        raise BrokerError("saml.expired", expected=f"an end after {now}", actual=verified.ends_at)
    return VerifiedSubject(
        identity_provider=provider,
        person=_linked_person(provider, verified.subject),
        authenticated_at=min(verified.authenticated_at, now),
        context=verified.context,
        methods=(),
        expires_at=verified.ends_at,
        identifier=verified.assertion_id,
    )


def check_no_access_token(case: ClaimsOfSubject) -> Compared:
    """It says who somebody is. What opens something says so by its claims, which an identity token has none of."""
    found = sorted(ACCESS_CLAIMS & case.claims.keys())
    kind = case.claims.get("typ", IDENTITY)
    if found or kind != IDENTITY:
        raise BrokerError("oidc.type", expected="an identity token", actual=", ".join(found) or f"typ {kind}"[:100])
    return "an identity token", "so it is"


def check_no_event(case: ClaimsOfSubject) -> Compared:
    """It reports no event: a logout token is of the same house, form and audience (OpenID Back-Channel Logout 2.4)."""
    if "events" in case.claims:
        raise BrokerError("oidc.type", expected="no events", actual="a token that reports one")
    return "no events", "none"


def check_no_actor(case: ClaimsOfSubject) -> Compared:
    """Nobody acts for the person there: an actor of another house cannot be proved here, and is never left out."""
    if "act" in case.claims:
        raise BrokerError("oidc.claim", detail="act", expected="no actor", actual="an actor of another house")
    return "no actor", "none"


def check_about_somebody_else(case: ClaimsOfSubject) -> Compared:
    """The issuer speaks of a person, not of itself: what a client signs about itself authenticates a client."""
    issuer, subject = case.claims["iss"], case.claims["sub"]
    if subject in {issuer, case.expectation.client_id}:
        raise BrokerError("oidc.subject", expected="a person", actual=subject)
    return "a person", subject


ID_TOKEN_CHECKS: tuple[Callable[[ClaimsOfSubject], Compared], ...] = (
    check_authorized_party,
    check_no_access_token,
    check_no_event,
    check_no_actor,
    check_about_somebody_else,
    check_lengths,
)
ASSERTION_CHECKS: tuple[Callable[[ClaimsOfSubject], Compared], ...] = (
    check_no_access_token,
    check_no_event,
    check_no_actor,
    check_about_somebody_else,
    check_lengths,
)


def _verify_jwt(
    raw: str,
    provider: IdentityProvider,
    *,
    audience: str,
    checks: tuple[Callable[[ClaimsOfSubject], Compared], ...],
    now: datetime,
    trace: Collector,
) -> VerifiedClaims:
    trust = IssuerTrust.in_provider(provider, now=now)
    with as_openid():
        expectation = ForeignExpectation(
            keys=issuer_keys(raw, trust, trace=trace),
            types=TYPES,
            max_bytes=BYTES,
            issuer=provider.issuer,
            audience=frozenset({audience}),
            greatest_age=limits.FOREIGN_SUBJECT_AGE,
            greatest_lifetime=limits.FOREIGN_SUBJECT_LIFETIME,
            skew=trust.skew,
            # No token of ours outlives it, so one that is over has nothing left to give.
            after_expiry=timedelta(0),
            required=frozenset({"sub"}),
            now=now,
        )
        verified = jose.verify(raw, expectation, collector=trace)
    run_checks(checks, ClaimsOfSubject(verified.claims, trust), trace=trace, subject="subject token")
    return verified


def _subject(verified: VerifiedClaims, provider: IdentityProvider, *, now: datetime) -> VerifiedSubject:
    claims = verified.claims
    told_at = claims.get("auth_time")
    authenticated_at = verified.issued_at if told_at is None else datetime.fromtimestamp(told_at, tz=UTC)
    return VerifiedSubject(
        identity_provider=provider,
        person=_linked_person(provider, subject_of(claims, provider.subject)),
        authenticated_at=min(authenticated_at, now),
        context=claims.get("acr", ""),
        methods=tuple(claims.get("amr", ())),
        expires_at=verified.expires_at,
        identifier=claims.get("jti", ""),
        may_act=claims.get("may_act"),
    )


def _linked_person(provider: IdentityProvider, subject: str) -> Person:
    """The person of exactly this subject at exactly this provider. Raises BrokerError (account.*)."""
    linked = find_linked_identity(provider, issuer=provider.issuer, subject=subject)
    if linked is None:
        raise BrokerError("account.unknown", expected="a person who has signed on", actual="a subject without a link")
    if linked.person.organisation_id != provider.organisation_id:
        raise BrokerError("account.organisation", expected=provider.organisation_id, actual="another organisation")
    if not linked.person.is_active:
        raise BrokerError("account.inactive", detail=f"person {linked.person_id}")
    return linked.person


def _openid_provider(issuer: str, audience: frozenset[str] | None) -> IdentityProvider:
    """The one OpenID provider in use that is `issuer`, and at which we are the one in `audience` if that is given."""
    found = [
        one
        for one in _in_use(IdentityProvider.Protocol.OIDC, issuer)
        if audience is None or audience == frozenset({one.client_id})
    ]
    if len(found) != 1:
        expected = "one identity provider in use, at which the audience is our client_id"
        raise BrokerError("oidc.issuer", expected=expected, actual=f"{len(found)} of {issuer[:200]}")
    return found[0]


def _saml_provider(issuer: str) -> IdentityProvider:
    found = _in_use(IdentityProvider.Protocol.SAML, issuer)
    if len(found) != 1:
        raise BrokerError(
            "saml.issuer", expected="one identity provider in use", actual=f"{len(found)} of {issuer[:200]}"
        )
    return found[0]


def _in_use(protocol: IdentityProvider.Protocol, issuer: str) -> list[IdentityProvider]:
    """From the database, not from memory: a party that was just switched off vouches for nobody."""
    rows = IdentityProvider.objects.select_related("organisation").defer("metadata")
    return [one for one in rows.filter(protocol=protocol, issuer=issuer, retired_at=None) if one.is_in_use]


def _decoded(raw: str) -> bytes:
    """The XML in base64url, with padding or without (RFC 8693 section 3)."""
    try:
        if _BASE64URL.fullmatch(raw):
            return base64.urlsafe_b64decode(raw.rstrip("=") + "=" * (-len(raw.rstrip("=")) % 4))
    except binascii.Error:
        pass
    raise BrokerError("saml.encoding", expected="base64url", actual="something else")
