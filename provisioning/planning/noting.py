"""What a run saw, noted on the rows of accounts: the next delivery starts from what truly stands there."""

from collections.abc import Mapping
from uuid import UUID

from django.db import connection
from django.db.models import F

from provisioning.outbound.models import RemoteAccount, Target
from provisioning.planning.models import Found, Run

State, Aim = RemoteAccount.State, RemoteAccount.Aim
_NAMES = {"found": Found._meta.db_table, "account": RemoteAccount._meta.db_table}
# An account that is being created may stand there by now although the pages did not show it.
_ABSENT = """
    UPDATE {account} SET state = 'absent', remote_id = '', etag = '',
                         read_at = %s, read_active = NULL, read_digest = '', version = version + 1
    WHERE target_id = %s AND state <> 'creating' AND (sent_at IS NULL OR sent_at < %s)
      AND (aim = 'present' OR state IN ('present', 'disabled', 'unknown'))
      AND (state NOT IN ('absent', 'deleted') OR read_at IS NULL OR read_at < wanted_at)
      AND NOT EXISTS (SELECT 1 FROM {found} f
                      WHERE f.run_id = %s AND f.remote_id = {account}.remote_id AND NOT ({account}.remote_id = ''))
      AND NOT EXISTS (SELECT 1 FROM {found} f WHERE f.run_id = %s AND f.person = {account}.person_id)
""".format(**_NAMES)  # noqa: S608 - the names of our own tables


def note_absent(run: Run) -> int:
    """Accounts that the pages did not show are absent, as of the beginning of the run. Returns how many are so anew."""
    began = connection.ops.adapt_datetimefield_value(run.began_at)
    with connection.cursor() as cursor:
        cursor.execute(_ABSENT, [began, run.target_id, began, run.pk, run.pk])
        return int(cursor.rowcount)


def note_linked(target: Target, owners: Mapping[UUID, Found], *, aims: Mapping[UUID, str]) -> None:
    """Accounts that carry our id of a person, and whose own id we did not know, are that person's from now on."""
    held = {
        row.person_id: row
        for row in RemoteAccount.objects.select_for_update().filter(target=target, person__in=owners).order_by("pk")
    }
    for person, found in owners.items():
        row = held.get(person)
        if row is None:
            row = RemoteAccount(target=target, person_id=person, aim=aims[person], wanted_at=found.read_at, version=0)
        row.remote_id, row.was_adopted, row.etag = found.remote_id, True, ""
        _read(row, found)
        row.save()


def note_read(target: Target, found: Mapping[str, Found]) -> None:
    """What differs is kept as it was read, so that nobody takes it for settled."""
    rows = RemoteAccount.objects.select_for_update().filter(target=target, remote_id__in=found).order_by("pk")
    changed: list[RemoteAccount] = []
    same: list[RemoteAccount] = []
    for row in rows:
        one = found[row.remote_id]
        if row.read_at is not None and row.read_at >= one.read_at:
            continue
        before = (row.state, row.read_active, row.read_digest)
        _read(row, one)
        (same if before == (row.state, row.read_active, row.read_digest) else changed).append(row)
    RemoteAccount.objects.bulk_update(changed, ["state", "read_active", "read_digest", "read_at", "version"])
    if same:
        first = min(found[row.remote_id].read_at for row in same)
        ids = [row.pk for row in same]
        RemoteAccount.objects.filter(pk__in=ids).update(read_at=first, version=F("version") + 1)


def standing(target: Target) -> int:
    """How many accounts stand there as far as we know."""
    return RemoteAccount.objects.filter(target=target, state__in=(State.PRESENT, State.DISABLED)).count()


def _read(row: RemoteAccount, found: Found) -> None:
    row.state = State.DISABLED if found.active is False else State.PRESENT
    row.read_active, row.read_digest, row.read_at = found.active, found.digest, found.read_at
    row.version += 1
