"""What the browser brings back from an OpenID provider (RFC 6749 section 4.1.2, RFC 9207), checked before its code is
shown to anybody.
"""

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qsl

from broker import limits
from broker.errors import BrokerError
from broker.traces.collector import Collector
from federation.checks import Compared, run_checks
from federation.upstream.base import UpstreamRequest, context_refused

PARAMETERS = ("state", "iss", "error", "error_description", "code")
PARAMETERS_MAX = 50
CONTEXT_NOT_REACHED = "unmet_authentication_requirements"
"""OpenID Connect Core Error Code unmet_authentication_requirements 1.0, section 3."""


@dataclass(frozen=True, slots=True)
class ResponseCase:
    """The unverified parameters ("" where one is absent), and what they are judged by."""

    unverified_state: str
    unverified_iss: str
    unverified_error: str
    unverified_description: str
    unverified_code: str
    request: UpstreamRequest
    issuer: str
    names_issuer: bool
    """Whether the provider announced that its answers carry `iss`."""


def code_of(raw_query: str, *, request: UpstreamRequest, issuer: str, names_issuer: bool, trace: Collector) -> str:
    """The authorization code of an answer to `request` that passes every check of RESPONSE_CHECKS.

    Raises BrokerError: oidc.*, signon.context_not_reached.
    """
    found = _read(raw_query)
    case = ResponseCase(
        unverified_state=found["state"],
        unverified_iss=found["iss"],
        unverified_error=found["error"],
        unverified_description=found["error_description"],
        unverified_code=found["code"],
        request=request,
        issuer=issuer,
        names_issuer=names_issuer,
    )
    run_checks(RESPONSE_CHECKS, case, trace=trace, subject="answer")
    return case.unverified_code


def check_state(case: ResponseCase) -> Compared:
    """The answer belongs to our question (RFC 6749 section 10.12)."""
    if case.unverified_state != case.request.relay_state:
        raise BrokerError("oidc.answer", detail="state", expected="the state of this sign-on", actual="another")
    return "the state of this sign-on", "so it is"


def check_issuer(case: ResponseCase) -> Compared:
    """The answer comes from the provider that was asked (RFC 9207 section 2.4): also one that tells an error."""
    if case.unverified_iss or case.names_issuer:
        if case.unverified_iss != case.issuer:
            raise BrokerError("oidc.mix_up", expected=case.issuer, actual=case.unverified_iss or "no iss")
        return case.issuer, case.unverified_iss
    return "no iss: the provider does not announce it", "none"


def check_not_refused(case: ResponseCase) -> Compared:
    """The provider did not answer with an error (RFC 6749 section 4.1.2.1)."""
    if case.unverified_error == CONTEXT_NOT_REACHED and case.request.contexts:
        raise context_refused(case.request, told=case.unverified_description)
    if case.unverified_error:
        told = f"{case.unverified_error}: {case.unverified_description}".rstrip(": ")
        raise BrokerError("oidc.refused", expected="a code", actual=told)
    return "no error", "none"


def check_code(case: ResponseCase) -> Compared:
    """There is a code."""
    if not case.unverified_code:
        raise BrokerError("oidc.answer", detail="code", expected="a code", actual="none")
    return "a code", "one"


RESPONSE_CHECKS: tuple[Callable[[ResponseCase], Compared], ...] = (
    check_state,
    check_issuer,
    check_not_refused,
    check_code,
)


def _read(raw_query: str) -> dict[str, str]:
    """Our parameters, each at most once; others may come along (session_state) and are not looked at."""
    try:
        pairs = parse_qsl(raw_query, keep_blank_values=True, errors="strict", max_num_fields=PARAMETERS_MAX)
    except ValueError as error:
        raise BrokerError("oidc.answer", expected="a query in UTF-8", actual=type(error).__name__) from error
    found = {name: [value for key, value in pairs if key == name] for name in PARAMETERS}
    for name, values in found.items():
        if len(values) > 1:
            raise BrokerError("oidc.answer", detail=name, expected=f"{name} once", actual=f"{len(values)} times")
        if any(len(value) > limits.PARAMETER_CHARS or "\0" in value for value in values):
            raise BrokerError("oidc.answer", detail=name, expected=f"at most {limits.PARAMETER_CHARS} characters")
    return {name: values[0] if values else "" for name, values in found.items()}
