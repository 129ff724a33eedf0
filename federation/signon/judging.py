"""What an identity provider is asked, and what its verified answer amounts to, whatever the answer is wanted for."""

from dataclasses import dataclass, replace

from broker.errors import BrokerError
from broker.registry.models import IdentityProvider
from federation.assertions import VerifiedAssertion
from federation.claims.authority import check_authority
from federation.claims.mapping import map_claims, own_contexts, own_mapping
from federation.contexts import canonical, in_words_of, satisfied
from federation.signon.attempts import Attempt
from federation.signon.models import LoginRequest
from federation.upstream.base import UpstreamRequest

UNMAPPED_NOTE = "Attributes that no rule maps."
CLAIMS_NOTE = "Claims."


@dataclass(frozen=True, slots=True)
class Judged:
    """An assertion with its context in our words, and the claims for which the identity provider may speak."""

    assertion: VerifiedAssertion
    claims: dict[str, tuple[str, ...]]
    incomplete: tuple[str, ...]
    """Claims that were told only in part: they are not among `claims`."""


def question(login: LoginRequest, identity_provider: IdentityProvider) -> UpstreamRequest:
    """What we ask of this identity provider, and judge its answer by: the same at both times."""
    return UpstreamRequest(
        request_id=login.upstream_request_id,
        relay_state=login.relay_state,
        force=login.force,
        authenticated_after=login.authenticated_after,
        contexts=in_words_of(own_contexts(identity_provider), login.contexts),
        wanted=tuple(tuple(names) for names in own_mapping(identity_provider).values()),
    )


def judge(
    login: LoginRequest, identity_provider: IdentityProvider, assertion: VerifiedAssertion, *, attempt: Attempt
) -> Judged:
    """Map the attributes, keep what lies within authority, and compare the context with what was asked.

    Raises BrokerError: authority.scope, signon.context_not_reached.
    """
    mapped = map_claims(identity_provider, assertion.attributes, incomplete=assertion.incomplete)
    if mapped.unmapped:
        attempt.trace.note(UNMAPPED_NOTE, names=", ".join(mapped.unmapped))
    if mapped.incomplete:
        attempt.trace.note("Told only in part, so left as they were.", claims=", ".join(mapped.incomplete))
    if mapped.left_out:
        attempt.trace.note("Values that cannot be kept were left out.", claims=", ".join(mapped.left_out))
    claims = check_authority(identity_provider, mapped.claims, trace=attempt.trace)
    attempt.trace.note(CLAIMS_NOTE, **{name: ", ".join(values) for name, values in claims.items() if values})
    context = canonical(assertion.context, own_contexts(identity_provider))
    _check_context(login, context, attempt=attempt)
    return Judged(replace(assertion, context=context), claims, mapped.incomplete)


def _check_context(login: LoginRequest, reached: str, *, attempt: Attempt) -> None:
    """What was reached is as strong as the application asked, where it insists. Raises signon.context_not_reached."""
    if not login.contexts:
        return
    is_reached = satisfied(reached, login.contexts) is not None
    expected = " or ".join(login.contexts)
    attempt.trace.check("context", passed=is_reached, expected=expected, actual=reached or "none told")
    if login.must_reach_context and not is_reached:
        raise BrokerError("signon.context_not_reached", expected=expected, actual=reached or "none told")
