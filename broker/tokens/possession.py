"""Is the token in the hands to which it was given? A bound token is worth nothing without its key (RFC 7800)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from broker.tokens.bearer import DPOP, PresentedToken
from broker.tokens.confirmation import CERTIFICATE, KEY
from broker.tokens.dpop import check_proof
from broker.tokens.errors import InvalidProof, InvalidToken
from broker.traces.collector import Collector


def check_possession(presented: PresentedToken, claims: Mapping[str, Any], *, now: datetime, trace: Collector) -> None:
    """The holder shows each key that the token's `cnf` names.

    Raises InvalidToken, InvalidProof, UseNonce: also for a bound token that comes as a bearer token, and for a token
    that is bound to no key and comes with the scheme of one (RFC 9449 section 7.2).
    """
    bound_to: Mapping[str, str] = claims.get("cnf", {})
    unknown = bound_to.keys() - {KEY, CERTIFICATE}
    if unknown:
        raise InvalidToken("binding", actual=", ".join(sorted(unknown)))
    if (presented.scheme == DPOP) != (KEY in bound_to):
        expected = "DPoP" if KEY in bound_to else "Bearer"
        trace.check("token.scheme", passed=False, expected=expected, actual=presented.scheme)
        raise InvalidToken("scheme", actual=presented.scheme)
    if KEY in bound_to:
        _check_key(presented, bound_to[KEY], now=now, trace=trace)
    if CERTIFICATE in bound_to:
        _check_certificate(presented, bound_to[CERTIFICATE], trace=trace)


def _check_key(presented: PresentedToken, thumbprint: str, *, now: datetime, trace: Collector) -> None:
    if not presented.raw_proof:
        raise InvalidProof("absent", expected="a DPoP proof", actual="none")
    shown = check_proof(
        presented.raw_proof,
        method=presented.method,
        address=presented.address,
        access_token=presented.raw,
        now=now,
        trace=trace,
    )
    trace.check("token.key", passed=shown == thumbprint, expected=thumbprint, actual=shown)
    if shown != thumbprint:
        raise InvalidProof("key", expected=thumbprint, actual=shown)


def _check_certificate(presented: PresentedToken, thumbprint: str, *, trace: Collector) -> None:
    shown = presented.certificate.thumbprint if presented.certificate else "none"
    trace.check("token.certificate", passed=shown == thumbprint, expected=thumbprint, actual=shown)
    if shown != thumbprint:
        raise InvalidToken("certificate", actual=shown)
