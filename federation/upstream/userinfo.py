"""Asking an OpenID provider's userinfo endpoint for what the ID token does not say (OpenID Connect Core 5.3)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from broker import limits
from broker.errors import BrokerError
from broker.keys.strict_json import NotStrictJson, read_object
from broker.outgoing import fetch
from broker.traces.collector import Collector
from federation.checks import Compared, run_checks

CLAIMS_OF_SCOPE: Mapping[str, tuple[str, ...]] = {
    "profile": ("name", "given_name", "family_name"),
    "email": ("email",),
}
"""What a scope promises (5.4) and we have use for."""


@dataclass(frozen=True, slots=True)
class UserinfoCase:
    """Claims of a userinfo answer, and the verified `sub` of the ID token that came with the access token."""

    unverified_claims: Mapping[str, Any]
    subject: str


def lacks_wanted_claims(claims: Mapping[str, Any], *, scopes: list[str], wanted: tuple[tuple[str, ...], ...]) -> bool:
    """Whether the ID token leaves open what a scope promises, or what the operators' mapping wants.

    `wanted`: tuples of names, of each of which one will do.
    """
    promised = [(name,) for scope in scopes for name in CLAIMS_OF_SCOPE.get(scope, ())]
    return not all(any(name in claims for name in names) for names in (*promised, *wanted))


def fetch_userinfo(url: str, access_token: str, *, subject: str, trace: Collector) -> dict[str, Any]:
    """The claims that the endpoint tells of `subject`. Raises BrokerError: oidc.userinfo, oidc.userinfo_subject.

    A failure refuses the sign-on: a person without the claims that were to come would be taken for a poorer one.
    """
    try:
        answer = fetch(
            url,
            purpose="userinfo",
            headers={"Authorization": f"Bearer {access_token}"},
            max_bytes=limits.OIDC_USERINFO_BYTES,
            accept="application/json",
            total_seconds=limits.OIDC_REQUEST_SECONDS,
        )
    except BrokerError as error:
        raise BrokerError("oidc.userinfo", detail=error.detail, expected="claims", actual=error.actual) from error
    content_type = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if answer.status != 200 or content_type != "application/json":
        actual = f"status {answer.status}, {content_type or 'no type'}"
        raise BrokerError("oidc.userinfo", expected="status 200, application/json", actual=actual)
    try:
        claims = read_object(answer.body)
    except NotStrictJson as error:
        raise BrokerError("oidc.userinfo", detail=str(error), expected="JSON", actual="something else") from error
    run_checks(USERINFO_CHECKS, UserinfoCase(claims, subject), trace=trace, subject="userinfo")
    return claims


def check_same_subject(case: UserinfoCase) -> Compared:
    """The answer is about the person of the ID token, letter by letter (5.3.2)."""
    actual = case.unverified_claims.get("sub")
    if actual != case.subject:
        raise BrokerError("oidc.userinfo_subject", expected=case.subject, actual=actual or "no sub")
    return case.subject, actual


USERINFO_CHECKS: tuple[Callable[[UserinfoCase], Compared], ...] = (check_same_subject,)
