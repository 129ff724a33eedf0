"""Reading accounts at a target without changing them: for those who want to know what is there now."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from broker.directory.models import Person
from provisioning.outbound.columns import write_columns
from provisioning.outbound.connectors.base import Connector, Look, RemoteUser, TargetError
from provisioning.outbound.connectors.scim import connector_for
from provisioning.outbound.crew import Ask, Crew
from provisioning.outbound.mapping import digest, project
from provisioning.outbound.models import RemoteAccount, Target
from provisioning.outbound.models.remote import GONE_STATES
from provisioning.outbound.pace import pace_of
from provisioning.outbound.services import chunks
from provisioning.outbound.taking import check_unmarked, is_marked, is_taken
from provisioning.outbound.wanted import Wanted, wanted_accounts

State = RemoteAccount.State
_READ = ["remote_id", "state", "read_digest", "read_active", "read_at", "answer_digest", "etag"]


@dataclass(slots=True)
class _Reading:
    account: RemoteAccount
    wanted: Wanted
    noted: dict[str, Any] = field(default_factory=dict)
    error: TargetError | None = None


def read_back(target: Target, person_ids: Sequence[UUID]) -> list[RemoteAccount]:
    """The accounts of these people as the target shows them now, one each, whether we knew of it or not.

    An account that carries our externalId is kept from then on; rows of people who have none are returned unsaved,
    with the state absent. Needs the network: never inside a transaction. Raises TargetError for the first that could
    not be read.
    """
    readings = _readings(target, person_ids)
    with connector_for(target) as connector:
        crew = Crew[_Reading, _Reading](
            target.max_connections,
            lambda one, ask: _read(target, connector, one, ask),
            is_over=lambda: False,
            pace=pace_of(target.pk),
        )
        done = list(crew.results(readings))
    with transaction.atomic():
        _keep(target, [one for one in done if one.error is None])
    for one in done:
        if one.error is not None:
            raise one.error
    order = {person_id: number for number, person_id in enumerate(person_ids)}
    return sorted((one.account for one in done), key=lambda account: order[account.person_id])


def _readings(target: Target, person_ids: Sequence[UUID]) -> list[_Reading]:
    held = {account.person_id: account for account in target.accounts.filter(person__in=person_ids)}
    now = timezone.now()
    found: list[_Reading] = []
    for ids in chunks(person_ids):
        people = list(Person.objects.filter(pk__in=ids))
        for person_id, wanted in wanted_accounts(target, people).items():
            account = held.get(person_id) or RemoteAccount(
                target=target,
                person_id=person_id,
                aim=wanted.aim,
                wanted_digest=wanted.digest,
                wanted_active=wanted.active if wanted.should_exist else None,
                wanted_at=now,
                wanted_version=wanted.version,
            )
            found.append(_Reading(account, wanted))
    return found


def _read(target: Target, connector: Connector, reading: _Reading, ask: Ask) -> _Reading:
    """In a thread of the crew: the network only."""
    try:
        look = _look(target, connector, reading, ask)
    except TargetError as error:
        reading.error = error
        return reading
    reading.noted = _shown(target, look.user) if look.user else _not_shown(reading.account)
    reading.noted |= {"read_at": timezone.now(), "answer_digest": look.digest}
    return reading


def _look(target: Target, connector: Connector, reading: _Reading, ask: Ask) -> Look:
    """By its id, by our externalId, and by name where that is nobody else's.

    An open one that another system marked as its own is neither read as ours nor as absent: that is refused.
    """
    account, wanted = reading.account, reading.wanted
    look = Look(None, "", 404)
    if account.remote_id:
        look = connector.look_at(account.remote_id)
    if look.user is None and connector.capabilities.finds_external_id:
        look = connector.look_for(external_id=str(wanted.person_id))
    user_name = wanted.document.get("userName")
    if look.user is None and user_name:
        named = connector.look_for(user_name=user_name)
        there = named.user
        if there is None:
            return named
        if ask(lambda: is_taken(target, there, wanted.person_id)):
            return look
        if is_marked(there.external_id, wanted.person_id, adoption=target.adoption) and there.active is False:
            return look
        check_unmarked(there.external_id, wanted.person_id, adoption=target.adoption)
        return named
    return look


def _shown(target: Target, there: RemoteUser) -> dict[str, Any]:
    return {
        "remote_id": there.remote_id,
        "state": State.DISABLED if there.active is False else State.PRESENT,
        "read_digest": digest(project(target.mapping, there.resource)),
        "read_active": there.active,
        "etag": there.etag,
    }


def _not_shown(account: RemoteAccount) -> dict[str, Any]:
    """One that is being created may be there in a moment: its state stays."""
    state = account.state if account.state in (State.CREATING, *GONE_STATES) else State.ABSENT
    return {"state": state or State.ABSENT, "read_digest": "", "read_active": None, "etag": ""}


def _keep(target: Target, readings: Sequence[_Reading]) -> None:
    """Write what was read, unless somebody wrote to the account in between: that is newer."""
    known = [one.account.pk for one in readings if one.account.pk is not None]
    locked = RemoteAccount.objects.select_for_update().filter(pk__in=known).order_by("person_id")
    versions = dict(locked.values_list("pk", "version"))
    written: list[RemoteAccount] = []
    for one in readings:
        account = one.account
        is_current = account.pk is None or versions.get(account.pk) == account.version
        for column, value in one.noted.items():
            setattr(account, column, value)
        if account.pk is None and account.remote_id:
            account.was_adopted = True
            account, _ = RemoteAccount.objects.get_or_create(
                target=target, person_id=account.person_id, defaults=_columns_of(account)
            )
            one.account = account
        elif account.pk is None:
            account.state = State.ABSENT
        elif is_current:
            written.append(account)
    write_columns(written, _READ)


def _columns_of(account: RemoteAccount) -> dict[str, Any]:
    names = (*_READ, "was_adopted", "aim", "wanted_digest", "wanted_active", "wanted_at", "wanted_version")
    return {name: getattr(account, name) for name in names}
