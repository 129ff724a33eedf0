"""Authentication contexts: what their many names mean, and whether what was reached is good enough.

Identity providers and applications name the same strength differently (AuthnContextClassRef, acr). Known names
belong to a level; levels are ordered. A name that belongs to none is compared letter by letter.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum

_SAML = "urn:oasis:names:tc:SAML:2.0:ac:classes:"


class Level(StrEnum):
    """How strongly a person authenticated, weakest first."""

    PASSWORD = "password"
    MFA = "mfa"
    PHISHING_RESISTANT = "phishing_resistant"


CANONICAL: Mapping[Level, str] = {
    Level.PASSWORD: f"{_SAML}PasswordProtectedTransport",
    Level.MFA: "https://refeds.org/profile/mfa",
    Level.PHISHING_RESISTANT: "phr",
}
"""The name under which a level is told to an application that did not ask for another one."""

KNOWN: Mapping[str, Level] = {
    f"{_SAML}Password": Level.PASSWORD,
    f"{_SAML}PasswordProtectedTransport": Level.PASSWORD,
    "https://refeds.org/profile/sfa": Level.PASSWORD,
    "https://refeds.org/profile/mfa": Level.MFA,
    "http://schemas.microsoft.com/claims/multipleauthn": Level.MFA,
    "http://schemas.openid.net/pape/policies/2007/06/multi-factor": Level.MFA,
    f"{_SAML}TimeSyncToken": Level.MFA,
    f"{_SAML}MobileTwoFactorContract": Level.MFA,
    "phr": Level.PHISHING_RESISTANT,
    "phrh": Level.PHISHING_RESISTANT,
}
"""What the usual names mean. An identity provider's own table comes before it."""

_RANK = {level: rank for rank, level in enumerate(Level)}


def meaning(context: str, table: Mapping[str, str] | None = None) -> Level | None:
    """The level of a context's name, by an identity provider's own table first."""
    if table and context in table:
        return Level(table[context])
    return KNOWN.get(context)


def canonical(context: str, table: Mapping[str, str] | None = None) -> str:
    """An identity provider's context in our words; one that means no level stays as it is."""
    level = meaning(context, table)
    return CANONICAL[level] if level else context


def satisfied(reached: str, asked: Sequence[str]) -> str | None:
    """The first of the `asked` contexts that `reached` (canonical) is at least as strong as, or None."""
    level = meaning(reached)
    for one in asked:
        wanted = meaning(one)
        if one == reached or (level and wanted and _RANK[level] >= _RANK[wanted]):
            return one
    return None


def told(reached: str, asked: Sequence[str]) -> str:
    """What an application is told: the context it asked for when that was reached, else what was."""
    return satisfied(reached, asked) or reached


def in_words_of(table: Mapping[str, str], asked: Sequence[str]) -> tuple[str, ...]:
    """The `asked` contexts as an identity provider with this table names them, best first.

    For a known level these are its names of that level or a stronger one, weakest first: no more is asked of the
    person than the application wants. Without such a name the application's own word is passed on.
    """
    words: list[str] = []
    for one in asked:
        wanted = meaning(one)
        own = [
            (_RANK[Level(level)], name)
            for name, level in table.items()
            if wanted and _RANK[Level(level)] >= _RANK[wanted]
        ]
        words += [name for _, name in sorted(own, key=lambda pair: pair[0])] or [one]
    return tuple(dict.fromkeys(words))
