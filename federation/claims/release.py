"""What an application is told of a person."""

from collections.abc import Collection, Mapping
from typing import Any

from broker.directory.models import Person
from broker.registry.cache import parties
from broker.registry.models import Application
from broker.registry.services import proved_domains
from federation.claims.authority import lies_within
from federation.claims.models import ReleaseRule

# OpenID Connect Core 5.4: these claims need their scope; every other claim follows the release rule alone.
CLAIMS_OF_SCOPE: Mapping[str, frozenset[str]] = {
    "profile": frozenset({"name", "given_name", "family_name", "preferred_username"}),
    "email": frozenset({"email"}),
}
_NEEDS_SCOPE = {claim: scope for scope, claims in CLAIMS_OF_SCOPE.items() for claim in claims}
MULTI_VALUED = frozenset({"groups", "roles", "affiliation", "scoped_affiliation", "entitlement"})

_LIKE = {"user_name": "preferred_username"}
"""Identifiers that are judged as another claim is: a user name with a scope must lie within ours."""


def release_claims(*, person: Person, application: Application, scopes: Collection[str]) -> dict[str, Any]:
    """The claims of `person` for `application`: those of its release rule that the granted scopes admit.

    Asked anew at ID token, userinfo and refresh, so that what was withdrawn is not told again.
    """
    wanted = {claim for claim in released_to(application) if claim not in _NEEDS_SCOPE or _NEEDS_SCOPE[claim] in scopes}
    released: dict[str, Any] = {
        claim: getattr(person, claim)
        for claim in wanted & {"name", "given_name", "family_name"}
        if getattr(person, claim)
    }
    # Once they lay inside; a domain that was given up since may be somebody else's by now.
    proved = proved_domains(person.organisation_id)
    for claim in wanted & person.claims.keys():
        values = [value for value in person.claims[claim] if lies_within(claim, value, proved)]
        if values:
            released[claim] = values if claim in MULTI_VALUED or len(values) > 1 else values[0]
    if wanted & {"email", "eppn", "preferred_username"}:
        held = {
            kind: value
            for kind, value in person.held_identifiers.items()
            if lies_within(_LIKE.get(kind, kind), value, proved)
        }
        if "email" in wanted and "email" in held:
            released |= {"email": held["email"], "email_verified": True}
        if "eppn" in wanted and "eppn" in held:
            released["eppn"] = held["eppn"]
        if "preferred_username" in wanted and held:
            released["preferred_username"] = held.get("eppn") or held.get("email") or held["user_name"]
    if "groups" in wanted:
        released["groups"] = sorted({one.group for one in person.held_memberships if one.is_told})
    return released


def released_to(application: Application) -> list[str]:
    """The claims of the application's release rule; none when it has no rule."""
    return parties.get(
        ("release_rule", application.pk),
        lambda: ReleaseRule.objects.filter(application=application).values_list("claims", flat=True).first() or [],
    )
