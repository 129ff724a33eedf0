"""The only way in which a claim mapping, a table of contexts or a release rule is written."""

from django.db import transaction

from broker import limits
from broker.actors import Actor
from broker.events import catalogue
from broker.events.services import record
from broker.registry.cache import raise_version
from broker.registry.models import Application, IdentityProvider
from broker.registry.values import BadValue, claim_name
from federation.claims.models import ClaimMapping, ContextMapping, ReleaseRule
from federation.contexts import Level

ATTRIBUTE_NAME_CHARS = 512
PROTOCOL_CLAIMS = frozenset(
    {"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "auth_time", "nonce", "acr", "amr", "azp", "at_hash", "c_hash"}
    | {"s_hash", "sid", "scope", "client_id", "cnf", "act", "may_act", "gid", "events"}
    | {"email_verified", "phone_number_verified"}
)
"""Claims that we say ourselves; neither an identity provider nor a rule decides about them."""


@transaction.atomic
def set_claim_mapping(identity_provider: IdentityProvider, claims: dict[str, list[str]], *, actor: Actor) -> None:
    """Replace which attributes become which claim: {claim: [attribute names, best first]}. Raises BadValue."""
    for claim, names in claims.items():
        check_claim(claim)
        if not names:
            raise BadValue(f"{claim} names no attribute")
        for name in names:
            check_attribute_name(name)
    mapping, _ = ClaimMapping.objects.select_for_update().get_or_create(identity_provider=identity_provider)
    if mapping.claims != claims:
        before, mapping.claims = mapping.claims, claims
        mapping.save()
        _record_provider_change(identity_provider, "claims", before, claims, actor=actor)


@transaction.atomic
def set_release_rule(application: Application, claims: list[str], *, actor: Actor) -> None:
    """Replace which claims an application is told. Raises BadValue."""
    claims = list(dict.fromkeys(check_claim(claim) for claim in claims))
    rule, _ = ReleaseRule.objects.select_for_update().get_or_create(application=application)
    if rule.claims == claims:
        return
    before, rule.claims = rule.claims, claims
    rule.save()
    record(
        catalogue.PARTY_CHANGED,
        actor=actor,
        subject=("application", application.slug),
        application=application.slug,
        before={"release": before},
        after={"release": claims},
    )
    raise_version()


@transaction.atomic
def set_contexts(identity_provider: IdentityProvider, contexts: dict[str, str], *, actor: Actor) -> None:
    """Replace what the provider's authentication contexts mean: {its name: level}. Raises BadValue."""
    for name, level in contexts.items():
        check_context(name, level)
    mapping, _ = ContextMapping.objects.select_for_update().get_or_create(identity_provider=identity_provider)
    if mapping.contexts != contexts:
        before, mapping.contexts = mapping.contexts, contexts
        mapping.save()
        _record_provider_change(identity_provider, "contexts", before, contexts, actor=actor)


def check_context(name: str, level: str) -> None:
    """A context's name and the level that it means. Raises BadValue."""
    if not name.strip() or len(name) > limits.CONTEXT_CHARS or not name.isprintable():
        raise BadValue(f"{name[:80]!r} is no authentication context")
    if level not in set(Level):
        raise BadValue(f"{level[:80]!r} is none of {', '.join(Level)}")


def check_claim(name: str) -> str:
    """The name of a claim that may be mapped and released. Raises BadValue."""
    if claim_name(name) in PROTOCOL_CLAIMS:
        raise BadValue(f"{name} is said by Countersign itself and can be neither mapped nor released")
    return name


def check_attribute_name(name: str) -> str:
    """The name of an attribute, as identity providers send it. Raises BadValue."""
    if not name.strip() or len(name) > ATTRIBUTE_NAME_CHARS or not name.isprintable():
        raise BadValue(f"{name[:80]!r} is no attribute name")
    return name


def _record_provider_change(
    identity_provider: IdentityProvider, key: str, before: object, after: object, *, actor: Actor
) -> None:
    """What follows every change of a provider's table, in its transaction."""
    record(
        catalogue.PARTY_CHANGED,
        actor=actor,
        subject=("identity_provider", identity_provider.slug),
        connection=identity_provider.slug,
        before={key: before},
        after={key: after},
    )
    raise_version()
