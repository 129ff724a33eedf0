"""What an OpenID provider's claims amount to: attributes as texts, what was told only in part, and the subject."""

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from broker import limits
from broker.errors import BrokerError

SUBJECT = "sub"
ATTRIBUTE_RULE = "attribute:"
NO_ATTRIBUTES = frozenset(
    {"iss", "sub", "aud", "exp", "iat", "nbf", "jti", "nonce", "azp", "at_hash", "c_hash", "s_hash", "typ", "sid"}
    | {"auth_time", "acr", "amr", "session_state", "_claim_names", "_claim_sources", "hasgroups"}
)
"""Claims that say something of the token or of the sign-on, not of the person."""
VOUCHED_BY = {"email": "email_verified", "phone_number": "phone_number_verified"}
"""Claims for which a provider says by another one whether it has seen them to be the person's (Core 5.1)."""
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories of what does not show: two subjects that look alike must not be two people."""


@dataclass(frozen=True, slots=True)
class ForeignAttributes:
    """`incomplete`: names of which only a part was told; `odd`: names whose values are no texts, numbers or lists;
    `unvouched`: names of values that the provider itself calls unverified.
    """

    values: Mapping[str, tuple[str, ...]]
    incomplete: frozenset[str]
    odd: tuple[str, ...]
    unvouched: tuple[str, ...]


def attributes_of(claims: Mapping[str, Any]) -> ForeignAttributes:
    """The claims about the person. Raises BrokerError("oidc.claims") when they are too many or too large.

    An overage of groups is marked, never taken for fewer groups: a provider that leaves them out says so by
    `_claim_names` (OpenID Connect Core 5.6.2) or `hasgroups`, and of very many it cannot be believed to tell all.
    """
    values: dict[str, tuple[str, ...]] = {}
    odd = []
    for name, value in claims.items():
        if name in NO_ATTRIBUTES:
            continue
        texts = _texts(value)
        if texts is None:
            odd.append(name)
        elif texts:
            values[name] = texts
    _check_sizes(values)
    incomplete = _left_out(claims) | {name for name, texts in values.items() if len(texts) > limits.OIDC_GROUPS}
    # What we pass on, applications take for verified: an address that anybody could have entered is none.
    unvouched = tuple(name for name, by in VOUCHED_BY.items() if name in values and values.get(by) == ("false",))
    kept = {name: texts for name, texts in values.items() if name not in incomplete and name not in unvouched}
    return ForeignAttributes(kept, frozenset(incomplete), tuple(sorted(odd)), unvouched)


def subject_of(claims: Mapping[str, Any], rule: str) -> str:
    """The subject by the stored rule: `sub`, `attribute: <name>` or `attribute: <name> with <companion>`.

    Raises BrokerError("oidc.subject").
    """
    name, _, companion = rule.removeprefix(ATTRIBUTE_RULE).strip().partition(" with ")
    subject = _one_text(claims, name)
    if companion:
        divider = _one_text(claims, companion)
        # The slash divides them: in the companion another one would make two readings.
        if "/" in divider:
            raise BrokerError("oidc.subject", expected=f"{companion} without a slash", actual=divider)
        subject = f"{divider}/{subject}"
    if (
        len(subject) > limits.OIDC_SUBJECT_CHARS
        or subject != subject.strip()
        or not unicodedata.is_normalized("NFC", subject)
        or any(unicodedata.category(character) in _INVISIBLE for character in subject)
    ):
        expected = f"at most {limits.OIDC_SUBJECT_CHARS} visible characters in NFC"
        raise BrokerError("oidc.subject", expected=expected, actual=ascii(subject)[:300])
    return subject


def _one_text(claims: Mapping[str, Any], name: str) -> str:
    texts = _texts(claims.get(name))
    if texts is None or len(texts) != 1 or not texts[0]:
        raise BrokerError(
            "oidc.subject", expected=f"one value of {name}", actual="none" if not texts else f"{len(texts)} values"
        )
    return texts[0]


def _texts(value: Any) -> tuple[str, ...] | None:
    """A text, a number, a truth value or a list of these as texts; None for what is of another shape."""
    found = value if isinstance(value, list) else [value]
    if not all(isinstance(one, str | int | float) for one in found if one is not None):
        return None
    return tuple(_text(one) for one in found if one is not None)


def _text(value: str | float | bool) -> str:  # noqa: FBT001 - one of the values of a claim
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _left_out(claims: Mapping[str, Any]) -> set[str]:
    elsewhere = claims.get("_claim_names")
    names = set(elsewhere) if isinstance(elsewhere, dict) else set()
    return names | ({"groups"} if claims.get("hasgroups") in (True, "true") else set())


def _check_sizes(values: Mapping[str, tuple[str, ...]]) -> None:
    for expected, actual, limit in _sizes(values):
        if actual > limit:
            raise BrokerError("oidc.claims", expected=f"at most {limit} {expected}", actual=actual)


def _sizes(values: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[str, int, int]]:
    yield "claims", len(values), limits.OIDC_CLAIMS
    yield "values", sum(map(len, values.values())), limits.OIDC_CLAIM_VALUES
    longest = max((len(text) for texts in values.values() for text in texts), default=0)
    yield "characters in a value", longest, limits.OIDC_CLAIM_VALUE_CHARS
