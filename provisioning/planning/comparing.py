"""Comparing what a run read with what should be there.

The database finds what differs, by digests; people and documents are fetched for that alone, in chunks, so that neither
time nor memory grow with what agrees.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import F

from broker import limits
from broker.directory.identifiers import comparable
from broker.directory.models import Person
from broker.parts import in_parts
from provisioning.outbound.models import RemoteAccount, Target
from provisioning.outbound.wanted import Wanted, differences, wanted_accounts
from provisioning.planning.differing import (
    MARKED,
    Difference,
    about_account,
    about_missing,
    about_shadow,
    there_then_ours,
)
from provisioning.planning.models import Found, Run
from provisioning.planning.noting import note_linked, note_read

_NAMES = {"found": Found._meta.db_table, "account": RemoteAccount._meta.db_table}
# `NOT (… = '')` is how the index on ids is worded: SQLite uses it for nothing else.
# What was sent after the page was read is no difference: the page shows what stood there before.
_LINKED = """
    SELECT f.id, a.person_id FROM {found} f
    JOIN {account} a ON a.target_id = %s AND a.remote_id = f.remote_id AND NOT (a.remote_id = '')
    WHERE f.run_id = %s AND f.digest <> '' AND f.id > %s
      AND (a.sent_at IS NULL OR a.sent_at < f.read_at)
      AND (a.aim = 'gone'
        OR (a.aim = 'disabled' AND f.active IS NOT FALSE)
        OR (a.aim = 'present' AND (a.wanted_digest <> f.digest OR f.active IS FALSE)))
    ORDER BY f.id LIMIT %s
""".format(**_NAMES)  # noqa: S608 - the names of our own tables
_ABSENT = """
    SELECT a.id, a.person_id FROM {account} a
    WHERE a.target_id = %s AND a.aim = 'present' AND a.id > %s AND (a.sent_at IS NULL OR a.sent_at < %s)
      AND NOT EXISTS (SELECT 1 FROM {found} f
                      WHERE f.run_id = %s AND f.remote_id = a.remote_id AND NOT (a.remote_id = ''))
      AND NOT EXISTS (SELECT 1 FROM {found} f WHERE f.run_id = %s AND f.person = a.person_id)
    ORDER BY a.id LIMIT %s
""".format(**_NAMES)  # noqa: S608 - the names of our own tables
_UNLINKED = """
    SELECT f.id, f.remote_id FROM {found} f
    WHERE f.run_id = %s AND f.id > %s AND f.digest <> '' AND f.person IS NULL
      AND NOT EXISTS (SELECT 1 FROM {account} a
                      WHERE a.target_id = %s AND a.remote_id = f.remote_id AND NOT (a.remote_id = ''))
    ORDER BY f.id LIMIT %s
""".format(**_NAMES)  # noqa: S608 - the names of our own tables

_NAMED = ("pk", "user_name", "external_id")


class Comparison:
    """The accounts of one run beside ours. `differences()` yields chunks; `counts` is whole when it is through."""

    def __init__(self, run: Run, target: Target) -> None:
        self.run = run
        self.target = target
        self.counts: Counter[str] = Counter()

    def differences(self) -> Iterator[list[Difference]]:
        """Everything that differs about accounts. The order matters: who is explained is no shadow."""
        yield from self._linked()
        yield from self._claimed()
        yield from self._absent()
        yield from self._shadows()

    def _linked(self) -> Iterator[list[Difference]]:
        """Accounts that we know by their id there."""
        for rows in self._chunks(_LINKED, lambda last: [self.target.pk, self.run.pk, last]):
            owners = {found: _uuid(person) for found, person in rows}
            yield self._stood(owners)

    def _claimed(self) -> Iterator[list[Difference]]:
        """Accounts that carry our id of a person, and whose own id we did not know."""
        for rows in self._chunks(_UNLINKED, lambda last: [self.run.pk, last, self.target.pk]):
            unlinked = Found.objects.filter(pk__in=[found for found, _ in rows])
            unlinked.update(free_name=F("user_name"))
            claims = unlinked.values_list("pk", "external_id")
            claimed = {found: person for found, text in claims if (person := _read_uuid(text)) is not None}
            people = set(Person.objects.filter(pk__in=set(claimed.values())).values_list("pk", flat=True))
            taken = self._standing(people)
            owners: dict[int, UUID] = {}
            for found, person in sorted(claimed.items()):
                # Of two that claim one person the first has it, and an account that we know goes before both.
                if person in people and person not in taken:
                    owners[found] = person
                    taken.add(person)
            self._note_owners(owners)
            yield self._stood(owners, claimed=True)

    def _absent(self) -> Iterator[list[Difference]]:
        """People who should have an account there and of whom none was found."""
        since = self.run.began_at
        for rows in self._chunks(_ABSENT, lambda last: [self.target.pk, last, since, self.run.pk, self.run.pk]):
            wanted = self._wanted(_uuid(person) for _, person in rows)
            namesakes, marked = self._namesakes(wanted.values())
            self._note_owners({found: person for person, found in namesakes.items()})
            chunk = self._stood({found: person for person, found in namesakes.items()}, namesakes=True)
            for person, one in wanted.items():
                hindrance = MARKED if person in marked else ""
                missing = about_missing(one, told=_as_new(one), hindrance=hindrance)
                if person not in namesakes and missing is not None:
                    chunk.append(missing)
            yield chunk

    def _shadows(self) -> Iterator[list[Difference]]:
        """What is left: accounts that nobody of ours explains."""
        for rows in self._chunks(_UNLINKED, lambda last: [self.run.pk, last, self.target.pk]):
            found = Found.objects.filter(pk__in=[one for one, _ in rows]).order_by("pk")
            chunk = []
            for one in found:
                claimed = _read_uuid(one.external_id) is not None
                reason = "it carries an id as ours, of nobody or of somebody with an account" if claimed else ""
                title = str(json.loads(one.document).get("userName", "")) or one.user_name
                chunk.append(about_shadow(one.remote_id, title=title, reason=reason))
            yield chunk

    def _stood(self, owners: dict[int, UUID], *, claimed: bool = False, namesakes: bool = False) -> list[Difference]:
        """What differs about accounts that stand there: {found: person}.

        `claimed` ones carry our id and become that person's at once; `namesakes` do when they are adopted.
        """
        if not owners:
            return []
        people = Person.objects.in_bulk(set(owners.values()))
        wanted = wanted_accounts(self.target, list(people.values()))
        found = list(Found.objects.filter(pk__in=owners).order_by("pk"))
        if claimed:
            aims = {person: one.aim for person, one in wanted.items()}
            note_linked(self.target, {owners[one.pk]: one for one in found}, aims=aims)
        elif not namesakes:
            note_read(self.target, {one.remote_id: one for one in found})
        chunk = []
        for one in found:
            ours = wanted[owners[one.pk]]
            difference = about_account(
                ours,
                is_employed=people[ours.person_id].is_active,
                remote_id=one.remote_id,
                active=one.active,
                differs=there_then_ours(differences(ours.document, json.loads(one.document))),
                adopts=claimed or namesakes,
            )
            if difference is not None:
                chunk.append(difference)
        return chunk

    def _standing(self, people: set[UUID]) -> set[UUID]:
        """Those of them whose account was read under the id that we know."""
        known = RemoteAccount.objects.filter(target=self.target, person__in=people).exclude(remote_id="")
        ids = dict(known.values_list("remote_id", "person_id"))
        read = Found.objects.filter(run=self.run, remote_id__in=ids).values_list("remote_id", flat=True)
        noted = Found.objects.filter(run=self.run, person__in=people).values_list("person", flat=True)
        return {ids[one] for one in read} | {person for person in noted if person is not None}

    def _namesakes(self, wanted: Iterable[Wanted]) -> tuple[dict[UUID, int], set[UUID]]:
        """{person: found} where exactly one account that nobody explains has the name that we would give.

        Beside it those people whose name such an account has that is another system's, and so not adopted.
        """
        names = {
            comparable(str(one.document["userName"])): one.person_id for one in wanted if "userName" in one.document
        }
        rows = Found.objects.filter(run=self.run, free_name__in=names, person=None)
        may_be_any = self.target.adoption == Target.Adoption.ANY
        free = [(pk, name, bool(mark) and not may_be_any) for pk, name, mark in rows.values_list(*_NAMED)]
        times = Counter(name for _, name, _ in free)
        marked = {names[name] for _, name, is_marked in free if is_marked}
        return {names[name]: pk for pk, name, is_marked in free if times[name] == 1 and not is_marked}, marked

    def _wanted(self, ids: Iterable[UUID]) -> dict[UUID, Wanted]:
        return wanted_accounts(self.target, list(Person.objects.filter(pk__in=list(ids))))

    def _note_owners(self, owners: dict[int, UUID]) -> None:
        if owners:
            rows = [Found(pk=found, person=person) for found, person in owners.items()]
            Found.objects.bulk_update(rows, ["person"], batch_size=limits.PLAN_CHUNK)

    def _chunks(self, sql: str, parameters: Callable[[int], Sequence[Any]]) -> Iterator[list[tuple[int, Any]]]:
        """What the statement finds, in chunks. It is asked again after many: each time it goes through everything."""
        last = 0
        while True:
            with connection.cursor() as cursor:
                cursor.execute(sql, [*parameters(last), limits.PLAN_AHEAD])
                rows = cursor.fetchall()
            yield from in_parts(rows, limits.PLAN_CHUNK)
            if len(rows) < limits.PLAN_AHEAD:
                return
            last = rows[-1][0]


def _as_new(wanted: Wanted) -> dict[str, list[Any]]:
    return there_then_ours(differences(wanted.document, {}))


def _uuid(value: Any) -> UUID:
    """SQLite hands out ids as text."""
    return value if isinstance(value, UUID) else UUID(value)


def _read_uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
