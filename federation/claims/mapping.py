"""From an identity provider's attributes to our claims."""

from collections.abc import Mapping
from dataclasses import dataclass

from broker.directory.attributes import has_room_for, is_writable
from broker.registry.cache import parties
from broker.registry.models import IdentityProvider
from broker.statements import Parameter, Read
from federation.saml.attribute_names import NAMES_OF_CLAIM

SINGLE_VALUED = frozenset({"email", "eppn", "name", "given_name", "family_name"})
GRANTING = frozenset({"groups", "roles", "entitlement", "affiliation", "scoped_affiliation"})
"""Claims by which applications grant something: many identity providers leave them out when nothing is left of them."""

_Mappings = tuple[dict[str, list[str]] | None, dict[str, str] | None]
"""The claims and the contexts; None where there are none."""
_OWN = Read[_Mappings](
    lambda: (
        IdentityProvider.objects.filter(id=Parameter(IdentityProvider, "id"))
        .order_by()
        .values_list("claim_mapping__claims", "context_mapping__contexts")
    )
)


@dataclass(frozen=True, slots=True)
class MappedClaims:
    """The claims by name, and the attributes that no rule turned into one.

    `incomplete` are claims that are not among them since only a part was told: what is known of them stays.
    `left_out` are those of which values were left out: too long to be kept, or with control characters.
    """

    claims: Mapping[str, tuple[str, ...]]
    unmapped: tuple[str, ...]
    incomplete: tuple[str, ...]
    left_out: tuple[str, ...]


def map_claims(
    identity_provider: IdentityProvider,
    attributes: Mapping[str, tuple[str, ...]],
    *,
    incomplete: frozenset[str] = frozenset(),
) -> MappedClaims:
    """Map `attributes` ({name: values}) by the identity provider's own mapping, then by the usual names.

    A claim that the own mapping names comes from there only: when none of its attributes arrived, it is empty,
    since an attribute that somebody else chose must not stand in for it. A claim that grants something is empty when
    nothing of it arrived: what was taken away must not live on here. Of a single-valued claim the first value
    counts, and one that is too long to be kept is left out. A claim whose best attribute is among the
    `incomplete` ones is no claim at all: half of somebody's groups is not fewer groups.
    """
    own = own_mapping(identity_provider)
    used: set[str] = set()
    claims: dict[str, tuple[str, ...]] = {}
    in_part: list[str] = []
    for claim, names in {**NAMES_OF_CLAIM, **own}.items():
        present = [name for name in names if attributes.get(name) or name in incomplete]
        if present and present[0] in incomplete:
            in_part.append(claim)
        elif present or claim in own or claim in GRANTING:
            claims[claim] = attributes[present[0]] if present else ()
        used.update(present)
    cleaned = {claim: _clean(values) for claim, values in claims.items()}
    kept = {
        claim: tuple(value for value in values if has_room_for(claim, value) and is_writable(claim, value))
        for claim, values in cleaned.items()
    }
    return MappedClaims(
        claims={claim: values[:1] if claim in SINGLE_VALUED else values for claim, values in kept.items()},
        unmapped=tuple(sorted(attributes.keys() - used)),
        incomplete=tuple(in_part),
        left_out=tuple(claim for claim in cleaned if kept[claim] != cleaned[claim]),
    )


def own_mapping(identity_provider: IdentityProvider) -> dict[str, list[str]]:
    """The mapping that operators gave this identity provider: {claim: [attribute names, best first]}."""
    return _own(identity_provider)[0] or {}


def own_contexts(identity_provider: IdentityProvider) -> dict[str, str]:
    """What operators say this identity provider's authentication contexts mean: {its name: level}."""
    return _own(identity_provider)[1] or {}


def _own(identity_provider: IdentityProvider) -> _Mappings:
    return parties.get(("mappings", identity_provider.pk), lambda: _OWN.first(id=identity_provider.pk) or (None, None))


def _clean(values: tuple[str, ...]) -> tuple[str, ...]:
    """Values without surrounding space, empty ones and repetitions."""
    return tuple(dict.fromkeys(value.strip() for value in values if value.strip()))
