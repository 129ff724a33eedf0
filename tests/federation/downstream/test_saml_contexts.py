"""RequestedAuthnContext: what is good enough, and what is told of what was reached."""

import pytest

from broker.errors import BrokerError
from federation.downstream.saml_contexts import contexts_good_enough, told_context
from federation.saml.verified import Comparison, RequestedContexts
from tests.fakes.fake_idp import PASSWORD

SFA, MFA, PHR = "https://refeds.org/profile/sfa", "https://refeds.org/profile/mfa", "phr"
OWN = "https://corp.example/contexts/badge"


def requested(comparison: str, *references: str) -> RequestedContexts:
    return RequestedContexts(Comparison(comparison), references)


@pytest.mark.parametrize(
    ("asked", "good_enough"),
    [
        (RequestedContexts(), ()),
        (requested("exact", MFA, OWN), (MFA, OWN)),
        (requested("minimum", PASSWORD), (PASSWORD,)),
        (requested("better", PASSWORD), (MFA, PHR)),
        (requested("better", MFA, PASSWORD), (PHR,)),
        (requested("maximum", MFA), ()),
    ],
    ids=str,
)
def test_what_is_good_enough(asked: RequestedContexts, good_enough: tuple[str, ...]) -> None:
    assert contexts_good_enough(asked) == good_enough


@pytest.mark.parametrize("references", [(PHR,), (PHR, PASSWORD), (OWN,), (OWN, PASSWORD)], ids=str)
def test_where_nothing_that_we_know_is_better_nothing_is_promised(references: tuple[str, ...]) -> None:
    with pytest.raises(BrokerError) as caught:
        contexts_good_enough(requested("better", *references))
    assert caught.value.code == "signon.context_not_reached"


@pytest.mark.parametrize(
    ("reached", "asked", "told"),
    [
        ("", RequestedContexts(), ""),
        (OWN, RequestedContexts(), OWN),
        (PASSWORD, requested("exact", PASSWORD), PASSWORD),
        (PASSWORD, requested("exact", MFA, SFA), SFA),
        (MFA, requested("exact", PASSWORD), PASSWORD),
        (OWN, requested("exact", MFA, OWN), OWN),
        (MFA, requested("minimum", PASSWORD), MFA),
        (PHR, requested("better", PASSWORD), PHR),
        (PASSWORD, requested("maximum", MFA), PASSWORD),
        (MFA, requested("maximum", MFA), MFA),
        ("", requested("maximum", PASSWORD), ""),
    ],
    ids=str,
)
def test_what_is_told(reached: str, asked: RequestedContexts, told: str) -> None:
    assert told_context(reached, asked) == told


@pytest.mark.parametrize(
    ("reached", "asked"),
    [
        ("", requested("exact", PASSWORD)),
        (PASSWORD, requested("exact", MFA)),
        (PASSWORD, requested("exact", OWN)),
        (PASSWORD, requested("minimum", MFA)),
        (MFA, requested("better", MFA)),
        (PASSWORD, requested("better", PASSWORD)),
        (MFA, requested("maximum", PASSWORD)),
        (PHR, requested("maximum", PASSWORD, MFA)),
        (MFA, requested("maximum", OWN)),
    ],
    ids=str,
)
def test_another_context_than_was_asked_for_is_never_told(reached: str, asked: RequestedContexts) -> None:
    with pytest.raises(BrokerError) as caught:
        told_context(reached, asked)
    assert caught.value.code == "signon.context_not_reached"
