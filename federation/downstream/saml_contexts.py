"""RequestedAuthnContext in terms of our own levels (SAML core 3.3.2.2.1)."""

from broker.errors import BrokerError
from federation.contexts import CANONICAL, Level, meaning, satisfied
from federation.saml.verified import Comparison, RequestedContexts

_RANK = {level: rank for rank, level in enumerate(Level)}


def contexts_good_enough(requested: RequestedContexts) -> tuple[str, ...]:
    """The contexts of which one has to be reached, best first; none: any is good.

    `exact` and `minimum` name them; a stronger one that we know includes them. `better` names none, and asks for what
    is stronger than all that it names; `maximum` bounds from above only. Raises signon.context_not_reached when nothing
    that we know is better.
    """
    if requested.comparison is Comparison.MAXIMUM:
        return ()
    if requested.comparison is not Comparison.BETTER:
        return requested.references
    levels = [meaning(one) for one in requested.references]
    stronger = [name for level, name in CANONICAL.items() if all(one and _RANK[level] > _RANK[one] for one in levels)]
    if not stronger:
        expected = f"something better than {', '.join(requested.references)}"
        raise BrokerError("signon.context_not_reached", expected=expected, actual="nothing that we know")
    return tuple(stronger)


def told_context(reached: str, requested: RequestedContexts) -> str:
    """What the assertion says was reached: for `exact` in the request's own words, else as it is.

    Raises signon.context_not_reached: a request is never answered with another context than it accepts.
    """
    if requested.comparison is Comparison.MAXIMUM and requested.references:
        if not _is_at_most(reached, requested.references):
            raise _not_reached(reached, requested)
        return reached
    wanted = contexts_good_enough(requested)
    if not wanted:
        return reached
    found = satisfied(reached, wanted)
    if found is None:
        raise _not_reached(reached, requested)
    return found if requested.comparison is Comparison.EXACT else reached


def _is_at_most(reached: str, references: tuple[str, ...]) -> bool:
    """Whether `reached` is no stronger than one of the references; what we do not know is not known to be stronger."""
    level = meaning(reached)
    bounds = [meaning(one) for one in references]
    return level is None or reached in references or any(one and _RANK[level] <= _RANK[one] for one in bounds)


def _not_reached(reached: str, requested: RequestedContexts) -> BrokerError:
    expected = f"{requested.comparison} {', '.join(requested.references)}"
    return BrokerError("signon.context_not_reached", expected=expected, actual=reached or "none told")
