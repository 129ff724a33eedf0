"""Authority: an identity provider speaks only for the domains and scopes of its own organisation."""

from collections.abc import Mapping

from broker.errors import BrokerError
from broker.registry.models import IdentityProvider
from broker.registry.services import proved_domains
from broker.traces.collector import Collector

SCOPED_CLAIMS = frozenset({"email", "eppn", "scoped_affiliation", "subject_id", "pairwise_id", "upn"})
PERHAPS_SCOPED_CLAIMS = frozenset({"preferred_username"})
"""Where a value without an @ is a plain name and may stay."""
DROPPED_NOTE = "Dropped, since it lies outside the organisation's domains."


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
    for claim in claims.keys() & (SCOPED_CLAIMS | PERHAPS_SCOPED_CLAIMS):
        values = claims[claim]
        inside = tuple(value for value in values if scope_of(value) in allowed or _is_plain(claim, value))
        if inside != values:
            outside = sorted({scope_of(value) or "(no scope)" for value in values if value not in inside})
            trace.check("authority", passed=False, expected=f"{claim} in {sorted(allowed)}", actual=outside)
            if identity_provider.outside_authority == IdentityProvider.OutsideAuthority.REFUSE:
                raise BrokerError(
                    "authority.scope", detail=claim, expected=f"{claim} in {sorted(allowed)}", actual=outside
                )
            trace.note(DROPPED_NOTE, claim=claim, scopes=", ".join(outside))
        elif values:
            trace.check("authority", passed=True, expected=f"{claim} in {sorted(allowed)}", actual="inside")
        kept[claim] = inside
    return kept


def scope_of(value: str) -> str:
    """The part after the only @, in lower case; empty when the value is not scoped."""
    local, at, scope = value.partition("@")
    return scope.lower() if local and at and "@" not in scope else ""


def _is_plain(claim: str, value: str) -> bool:
    return claim in PERHAPS_SCOPED_CLAIMS and "@" not in value
