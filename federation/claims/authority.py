"""Authority: an identity provider speaks only for the domains and scopes of its own organisation."""

import unicodedata
from collections.abc import Collection, Mapping

from broker.errors import BrokerError
from broker.registry.models import IdentityProvider
from broker.registry.services import proved_domains
from broker.traces.collector import Collector
from broker.wording import in_words

SCOPED_CLAIMS = frozenset({"email", "eppn", "scoped_affiliation", "subject_id", "pairwise_id", "upn"})
PERHAPS_SCOPED_CLAIMS = frozenset({"preferred_username"})
"""Where a value without an @ is a plain name and may stay."""
DROPPED_NOTE = "Dropped, since it lies outside the organisation's domains."
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp", "Zs"})


def check_authority(
    identity_provider: IdentityProvider, claims: Mapping[str, tuple[str, ...]], *, trace: Collector
) -> dict[str, tuple[str, ...]]:
    """The claims without the scoped values for which this identity provider may not speak.

    A scope must be one of the organisation's proved domains, letter by letter (a subdomain wants a proof of its
    own), and one of the scopes of the provider's metadata where it lists any (shibmd:Scope; regular expressions
    among them are not evaluated). What lies outside is dropped with a trace line, or refuses the login with
    BrokerError("authority.scope"), as the provider's setting says.
    """
    proved = proved_domains(identity_provider.organisation_id)
    asserted = frozenset(scope.lower() for scope in identity_provider.asserted_scopes)
    allowed = proved & asserted if asserted else proved
    kept = dict(claims)
    for claim in sorted(claims.keys() & (SCOPED_CLAIMS | PERHAPS_SCOPED_CLAIMS)):
        values = claims[claim]
        expected = f"{claim} in {in_words(allowed)}"
        inside = tuple(value for value in values if lies_within(claim, value, allowed))
        if inside != values:
            outside = sorted({scope_of(value) or "(no scope)" for value in values if value not in inside})
            trace.check("authority", passed=False, expected=expected, actual=outside)
            if identity_provider.outside_authority == IdentityProvider.OutsideAuthority.REFUSE:
                raise BrokerError("authority.scope", detail=claim, expected=expected, actual=outside)
            trace.note(DROPPED_NOTE, claim=claim, scopes=", ".join(outside))
        elif values:
            trace.check("authority", passed=True, expected=expected, actual="inside")
        kept[claim] = inside
    return kept


def lies_within(claim: str, value: str, domains: Collection[str]) -> bool:
    """Whether a value of a claim needs no scope, or has one of `domains`."""
    if claim not in SCOPED_CLAIMS | PERHAPS_SCOPED_CLAIMS or (claim in PERHAPS_SCOPED_CLAIMS and _is_plain(value)):
        return True
    return scope_of(value) in domains


def scope_of(value: str) -> str:
    """The part after the only @, in lower case; empty when the value is not scoped, or only looks as if it were.

    A scope is ASCII, as registered domains are. Spaces, invisible characters and a second sign that some reader takes
    for an @ would make one address look like another's.
    """
    local, at, scope = value.partition("@")
    is_scoped = (
        bool(local and at and scope) and scope.isascii() and unicodedata.normalize("NFKC", value).count("@") == 1
    )
    is_visible = not any(unicodedata.category(letter) in _UNSEEN for letter in value)
    return scope.lower() if is_scoped and is_visible else ""


def _is_plain(value: str) -> bool:
    return "@" not in unicodedata.normalize("NFKC", value)
