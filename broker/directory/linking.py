"""Whose identity is this? Keyed by (identity provider, issuer, subject), joined by rule, never by e-mail."""

from collections.abc import Mapping

from django.db import IntegrityError, transaction
from django.utils import timezone

from broker import limits
from broker.actors import Actor
from broker.directory.models import LinkedIdentity, Person
from broker.directory.services import create_person
from broker.errors import BrokerError
from broker.events import catalogue
from broker.events.services import record
from broker.registry.models import IdentityProvider
from broker.statements import Parameter, Read


def find_linked_identity(identity_provider: IdentityProvider, *, issuer: str, subject: str) -> LinkedIdentity | None:
    """The link of exactly this subject at exactly this identity provider, with its person."""
    return _FIND.first(identity_provider=identity_provider.pk, issuer=issuer, subject=subject)


@transaction.atomic(savepoint=False)
def person_for_login(
    identity_provider: IdentityProvider,
    *,
    issuer: str,
    subject: str,
    claims: Mapping[str, tuple[str, ...]],
    actor: Actor,
) -> Person:
    """The person behind a verified subject: the linked one, else the one that the match rule names, else a new one.

    Raises BrokerError: account.unknown, account.inactive, account.organisation.
    """
    linked = find_linked_identity(identity_provider, issuer=issuer, subject=subject)
    if linked is not None:
        person = linked.person
        _touch(linked)
    else:
        try:
            with transaction.atomic():
                person = _match(identity_provider, claims) or _create(identity_provider, actor=actor)
                link_identity(person, identity_provider=identity_provider, issuer=issuer, subject=subject, actor=actor)
        except IntegrityError:
            # The same subject's first login in another tab was faster; there is a link now.
            person = LinkedIdentity.objects.get(
                identity_provider=identity_provider, issuer=issuer, subject=subject
            ).person
    if person.organisation_id != identity_provider.organisation_id:
        raise BrokerError(
            "account.organisation", expected=identity_provider.organisation_id, actual=person.organisation_id
        )
    if not person.is_active:
        raise BrokerError("account.inactive", detail=f"person {person.pk}")
    return person


def link_identity(
    person: Person, *, identity_provider: IdentityProvider, issuer: str, subject: str, actor: Actor
) -> LinkedIdentity:
    """Link a subject to a person of the same organisation. Raises BrokerError("account.organisation")."""
    if person.organisation_id != identity_provider.organisation_id:
        raise BrokerError(
            "account.organisation", expected=identity_provider.organisation_id, actual=person.organisation_id
        )
    now = timezone.now()
    linked = LinkedIdentity.objects.create(
        person=person,
        identity_provider=identity_provider,
        issuer=issuer,
        subject=subject,
        linked_at=now,
        linked_by=f"{actor.kind}:{actor.identifier}",
        last_used_at=now,
    )
    record(
        catalogue.IDENTITY_LINKED,
        actor=actor,
        subject=("person", person.pk),
        connection=identity_provider.slug,
        link=linked.pk,
    )
    return linked


@transaction.atomic
def unlink_identity(linked: LinkedIdentity, *, actor: Actor) -> None:
    """Remove a link; the subject is unknown from then on."""
    record(
        catalogue.IDENTITY_UNLINKED,
        actor=actor,
        subject=("person", linked.person_id),
        connection=linked.identity_provider.slug,
        link=linked.pk,
    )
    linked.delete()


def _touch(linked: LinkedIdentity) -> None:
    """Note that the link was used, at most once an hour."""
    now = timezone.now()
    if linked.last_used_at is None or now - linked.last_used_at >= limits.LINK_TOUCH_INTERVAL:
        LinkedIdentity.objects.filter(pk=linked.pk).update(last_used_at=now)


def _match(identity_provider: IdentityProvider, claims: Mapping[str, tuple[str, ...]]) -> Person | None:
    """The person whose `match_person` field equals the `match_claim` claim, exactly and within the organisation."""
    if not identity_provider.match_claim:
        return None
    values = claims.get(identity_provider.match_claim, ())
    if len(values) != 1 or not values[0]:
        return None
    # external_id is the one field that a rule may name; it is unique within an organisation.
    return (
        Person.objects.filter(organisation_id=identity_provider.organisation_id, external_id=values[0])
        .order_by()
        .first()
    )


def _create(identity_provider: IdentityProvider, *, actor: Actor) -> Person:
    if identity_provider.unknown_person == IdentityProvider.UnknownPerson.REFUSE:
        raise BrokerError(
            "account.unknown",
            detail=f"identity provider {identity_provider.slug} makes no new people",
            expected="a person who is known already",
            actual="a subject seen for the first time",
        )
    return create_person(identity_provider.organisation, actor=actor)


_FIND = Read[LinkedIdentity](
    lambda: (
        LinkedIdentity.objects.select_related("person")
        .filter(
            identity_provider=Parameter(LinkedIdentity, "identity_provider"),
            issuer=Parameter(LinkedIdentity, "issuer"),
            subject=Parameter(LinkedIdentity, "subject"),
        )
        .order_by()
    )
)
