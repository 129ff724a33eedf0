"""The checks of a token's claims, after its signature held: one function per rule, in one ordered tuple."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from broker.errors import BrokerError
from broker.keys.values import Expectation
from broker.wording import in_words, json_kind

ALWAYS_REQUIRED = frozenset({"iss", "aud", "exp", "iat"})
LATEST_TIME = 253_402_300_799
"""The last second of the year 9999: beyond it there is no datetime."""


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _is_time(value: Any) -> bool:
    """A NumericDate (RFC 7519 section 2); in Python a boolean is a number too."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= LATEST_TIME


def _is_audience(value: Any) -> bool:
    return _is_text(value) or _is_texts(value)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(_is_text(entry) for entry in value)


FORMS: Mapping[str, Callable[[Any], bool]] = {
    "iss": _is_text,
    "sub": _is_text,
    "aud": _is_audience,
    "exp": _is_time,
    "iat": _is_time,
    "nbf": _is_time,
    "jti": _is_text,
    "azp": _is_text,
    "nonce": _is_text,
    "auth_time": _is_time,
    "acr": _is_text,
    "amr": lambda value: value == [] or _is_texts(value),
    "at_hash": _is_text,
    "sid": _is_text,
    "client_id": _is_text,
    "scope": lambda value: isinstance(value, str),
}
"""The claims that we know (RFC 7519, RFC 9068, OpenID Connect Core 2), and the form that each has where it stands."""


def check_required(claims: Mapping[str, Any], expectation: Expectation) -> None:
    """Every claim that is relied on stands in the token."""
    missing = (ALWAYS_REQUIRED | expectation.required) - claims.keys()
    if missing:
        raise BrokerError("jwt.claim", expected=", ".join(sorted(missing)), actual="absent")


def check_forms(claims: Mapping[str, Any], expectation: Expectation) -> None:  # noqa: ARG001 - CLAIM_CHECKS share one signature
    """Every claim that we know has its form: no exp in a string, no null, no number among the audiences."""
    for name, has_form in FORMS.items():
        if name in claims and not has_form(claims[name]):
            raise BrokerError("jwt.claim", detail=name, expected=f"{name} in its form", actual=json_kind(claims[name]))


def check_issuer(claims: Mapping[str, Any], expectation: Expectation) -> None:
    """The issuer is the expected one, letter by letter (RFC 7519 section 4.1.1)."""
    if claims["iss"] != expectation.issuer:
        raise BrokerError("jwt.issuer", expected=expectation.issuer, actual=claims["iss"])


def check_audience(claims: Mapping[str, Any], expectation: Expectation) -> None:
    """The audience is exactly the expected set: a token that others may use too is not meant for us alone."""
    if audience_of(claims) != expectation.audience:
        raise BrokerError(
            "jwt.audience",
            expected=", ".join(sorted(expectation.audience)),
            actual=", ".join(sorted(audience_of(claims))),
        )


def check_not_before(claims: Mapping[str, Any], expectation: Expectation) -> None:
    """Neither iat nor nbf lies in the future by more than the clocks may differ."""
    for name in ("iat", "nbf"):
        if name in claims and time_of(claims, name) > expectation.now + expectation.skew:
            raise BrokerError(
                "jwt.lifetime",
                detail=f"{name} lies in the future",
                expected=f"at most {in_words(expectation.now + expectation.skew)}",
                actual=time_of(claims, name),
            )


def check_not_expired(claims: Mapping[str, Any], expectation: Expectation) -> None:
    """The token's end has not come (RFC 7519 section 4.1.4)."""
    if time_of(claims, "exp") <= expectation.now - expectation.after_expiry:
        raise BrokerError(
            "jwt.expired",
            expected=f"after {in_words(expectation.now - expectation.after_expiry)}",
            actual=time_of(claims, "exp"),
        )


def check_lifetime(claims: Mapping[str, Any], expectation: Expectation) -> None:
    """The token ends after it begins, and lives no longer than agreed."""
    lifetime = time_of(claims, "exp") - time_of(claims, "iat")
    if not timedelta(0) < lifetime <= expectation.greatest_lifetime:
        raise BrokerError(
            "jwt.lifetime", expected=f"at most {in_words(expectation.greatest_lifetime)}", actual=lifetime
        )


def check_age(claims: Mapping[str, Any], expectation: Expectation) -> None:
    """The token was issued recently enough, whatever its exp says."""
    age = expectation.now - time_of(claims, "iat")
    if age > expectation.greatest_age:
        raise BrokerError("jwt.expired", expected=f"at most {in_words(expectation.greatest_age)} old", actual=age)


CLAIM_CHECKS: tuple[Callable[[Mapping[str, Any], Expectation], None], ...] = (
    check_required,
    check_forms,
    check_issuer,
    check_audience,
    check_not_before,
    check_not_expired,
    check_lifetime,
    check_age,
)


def audience_of(claims: Mapping[str, Any]) -> frozenset[str]:
    """`aud` as a set, whether it stands as a string or as a list."""
    aud = claims["aud"]
    return frozenset({aud} if isinstance(aud, str) else aud)


def time_of(claims: Mapping[str, Any], name: str) -> datetime:
    """The NumericDate `name` as an aware datetime."""
    return datetime.fromtimestamp(claims[name], tz=UTC)
