"""Recording people, closing their accounts by hand and opening them, and what a login tells of somebody."""

from collections.abc import Sequence
from typing import NamedTuple

from django.db import connection, transaction
from django.utils import timezone

from broker.actors import Actor
from broker.directory.attributes import ACTIVE, FALSE, IDENTIFIERS, NAMES, TRUE, Claims
from broker.directory.authority import Written, write_attributes
from broker.directory.models import Group, Membership, Person
from broker.directory.revising import Revision, Statement, revise
from broker.directory.sources import Source, SourceKind, source_of
from broker.events import catalogue
from broker.events.services import record
from broker.registry.models import IdentityProvider, Organisation


def create_person(organisation: Organisation, *, external_id: str | None = None, actor: Actor) -> Person:
    """Record a new person of an organisation."""
    now = timezone.now()
    person = Person.objects.create(organisation=organisation, external_id=external_id, created_at=now, updated_at=now)
    record(catalogue.PERSON_CREATED, actor=actor, subject=("person", person.pk), organisation=organisation.slug)
    _mark_unseen(person)
    return person


def write_login(
    person: Person, claims: Claims, *, identity_provider: IdentityProvider, evidence: str, actor: Actor
) -> Written:
    """Write what an identity provider tells at a login, its groups too; a claim that it does not name stays as it is.

    A name or an identifier that is empty was not told, and whether an account is open is not a login's to say.
    Runs in the caller's transaction. Raises BrokerError("authority.identifier_taken"): a login that brings what is
    somebody else's is refused. Raises also what write_attributes does.
    """
    told = {
        name: values[:1] if name in NAMES or name in IDENTIFIERS else values
        for name, values in claims.items()
        if name not in ("groups", ACTIVE) and (values or name not in (*NAMES, *IDENTIFIERS))
    }
    moves = _moves(person, claims["groups"], identity_provider) if "groups" in claims else None
    written = write_attributes(
        person,
        told,
        source=Source(SourceKind.IDP, identity_provider.slug),
        evidence=evidence,
        actor=actor,
        refuses_taken=True,
        told_besides=("groups",) if moves else (),
    )
    if moves:
        _move(person, moves, identity_provider)
        if not written.changed:
            _record_groups(person, identity_provider, actor=actor)
    return written


def set_groups(person: Person, names: Sequence[str], *, identity_provider: IdentityProvider, actor: Actor) -> bool:
    """Make `names` the person's groups as far as this identity provider tells; others' groups stay.

    Returns whether anything changed, and records it if so.
    """
    moves = _moves(person, names, identity_provider)
    if moves is None:
        return False
    _move(person, moves, identity_provider)
    _record_groups(person, identity_provider, actor=actor)
    return True


class _Moves(NamedTuple):
    """Memberships that end, by their ids, and names of groups that somebody comes into."""

    gone: list[int]
    new: list[str]


def _moves(person: Person, names: Sequence[str], identity_provider: IdentityProvider) -> _Moves | None:
    held = {one.group: one.id for one in person.held_memberships if one.identity_provider_id == identity_provider.pk}
    wanted = set(names)
    moves = _Moves([number for name, number in held.items() if name not in wanted], sorted(wanted - held.keys()))
    return moves if any(moves) else None


def _move(person: Person, moves: _Moves, identity_provider: IdentityProvider) -> None:
    now = timezone.now()
    person.forget_held()
    if moves.gone:
        Membership.objects.filter(pk__in=moves.gone).delete()
    if not moves.new:
        return
    source = str(Source(SourceKind.IDP, identity_provider.slug))
    made = [
        Group(identity_provider=identity_provider, source=source, name=name, created_at=now, updated_at=now)
        for name in moves.new
    ]
    Group.objects.bulk_create(made, ignore_conflicts=True)
    groups = Group.objects.filter(identity_provider=identity_provider, name__in=moves.new)
    Membership.objects.bulk_create(
        [Membership(person=person, group=group, since=now) for group in groups], ignore_conflicts=True
    )


def _record_groups(person: Person, identity_provider: IdentityProvider, *, actor: Actor) -> None:
    source = str(Source(SourceKind.IDP, identity_provider.slug))
    record(catalogue.PERSON_CHANGED, actor=actor, subject=("person", person.pk), changed=["groups"], source=source)


def _mark_unseen(person: Person) -> None:
    """Until this transaction ends nobody else sees them: their row needs no lock, and they have what we give them."""
    if not connection.in_atomic_block:
        return
    person.is_unseen = True
    person.hold_nothing()

    def seen() -> None:
        person.is_unseen = False

    transaction.on_commit(seen)


def deactivate_person(person: Person, *, reason: str, actor: Actor) -> Person:
    """Close every door to this person; sessions, tokens and operators ask at each use. No source opens them again."""
    return _set_active(person, FALSE, reason=reason, actor=actor)


def reactivate_person(person: Person, *, reason: str, actor: Actor) -> Person:
    """Take the closing by hand back. Sessions and tokens of before stay ended.

    Where a source with authority says that the account is closed, it stays closed, and a conflict is recorded.
    """
    return _set_active(person, TRUE, reason=reason, actor=actor)


def _set_active(person: Person, values: tuple[str, ...], *, reason: str, actor: Actor) -> Person:
    fresh = Person.objects.get(pk=person.pk)
    revision = Revision(fresh, str(source_of(actor)), {ACTIVE: Statement(values)})
    revise([revision], evidence="", actor=actor, reason=reason)
    return fresh
