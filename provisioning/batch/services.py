"""Applying a file: in steps that each commit with the place that was reached, so that what was cut short goes on."""

from collections.abc import Callable, Sequence
from typing import Any

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from broker import limits
from broker.actors import Actor
from broker.directory.attributes import ACTIVE, TRUE
from broker.directory.authority import withdraw_source, write_attributes
from broker.directory.models import Person
from broker.directory.services import create_person
from broker.directory.sources import Source, SourceKind
from broker.errors import BrokerError
from broker.events import catalogue
from broker.events.services import record
from broker.parts import in_parts
from provisioning.batch.models import Entry, FileSource, Import
from provisioning.batch.planning import is_held
from provisioning.batch.reading import PeopleFile, Reject, Row

KIND = "import"
Progress = Callable[[Import], None]


def apply_import(
    source: FileSource,
    file: PeopleFile,
    *,
    actor: Actor,
    on_reject: Callable[[Reject], None],
    on_progress: Progress = lambda _run: None,
) -> Import:
    """Apply the file, from where it was left if it was begun before. Returns the import as it ended or is held.

    One bad row stops no other: `on_reject` gets it. Raises BrokerError: import.source (switched off), import.nothing
    when no row could be applied.
    """
    if not source.enabled or source.retired_at is not None:
        raise BrokerError("import.source", actual=source.slug)
    run = _begin(source, file, actor=actor)
    if run.state != Import.State.APPLYING:
        return run
    for chunk in in_parts(file.read(after=run.position), limits.IMPORT_CHUNK):
        for reject in _apply_chunk(run, chunk, actor=actor):
            on_reject(reject)
        on_progress(run)
    if run.created + run.changed + run.unchanged == 0:
        raise BrokerError("import.nothing", detail=f"{run.rejected} of {run.rows} rows were rejected")
    return _finish(run, actor=actor)


@transaction.atomic
def close_missing(run: Import, *, actor: Actor) -> int:
    """Withdraw the source's word of everybody whom the file should have named. Returns how many."""
    run = Import.objects.select_for_update().select_related("source").get(pk=run.pk)
    now, closed = timezone.now(), 0
    for entry in missing_of(run).select_related("person"):
        withdraw_source(entry.person, _source(run.source), evidence=f"import:{run.pk}", actor=actor)
        closed += 1
    missing_of(run).update(gone_at=now)
    run.closed += closed
    run.state, run.ended_at = Import.State.DONE, now
    run.save(update_fields=["closed", "state", "ended_at"])
    _record(catalogue.IMPORT_DONE, run, actor=actor)
    return closed


@transaction.atomic
def keep_missing(run: Import, *, actor: Actor) -> None:
    """A second operator refused the closing: the import ends, and those people stay as they are."""
    run = Import.objects.select_for_update().get(pk=run.pk)
    run.state, run.ended_at = Import.State.REFUSED, timezone.now()
    run.save(update_fields=["state", "ended_at"])
    _record(catalogue.IMPORT_DONE, run, actor=actor)


def missing_of(run: Import) -> Any:
    """The entries that this full file should have named and did not."""
    return Entry.objects.filter(source=run.source, gone_at=None).exclude(last_import=run)


@transaction.atomic
def _begin(source: FileSource, file: PeopleFile, *, actor: Actor) -> Import:
    """A new import, or the same file's that was not finished."""
    FileSource.objects.select_for_update().get(pk=source.pk)
    unfinished = Import.objects.filter(source=source, state__in=[Import.State.APPLYING, Import.State.HELD])
    same = unfinished.filter(digest=file.digest).first()
    if same is not None:
        return same
    # An older file must not go on after a newer one.
    unfinished.update(state=Import.State.REFUSED, ended_at=timezone.now())
    return Import.objects.create(
        source=source,
        file_name=file.path.name[:255],
        digest=file.digest,
        rows=file.rows,
        begun_at=timezone.now(),
        begun_by=f"{actor.kind}:{actor.identifier}",
    )


@transaction.atomic
def _apply_chunk(run: Import, chunk: Sequence[Row | Reject], *, actor: Actor) -> list[Reject]:
    """Apply these rows and note the place. Returns what was rejected."""
    place = Import.objects.filter(pk=run.pk, position=run.position, state=Import.State.APPLYING)
    if not place.update(position=F("position") + len(chunk)):
        raise BrokerError("import.busy", detail=f"import {run.pk} goes on elsewhere")
    rejects = [row for row in chunk if isinstance(row, Reject)]
    rows = [row for row in chunk if isinstance(row, Row)]
    entries = {
        one.key: one
        for one in Entry.objects.filter(source=run.source, key__in=[row.key for row in rows]).select_related("person")
    }
    seen: list[int] = []
    for row in rows:
        entry = entries.get(row.key)
        if entry is not None and entry.digest == row.digest and entry.gone_at is None:
            run.unchanged += 1
            seen.append(entry.pk)
            continue
        try:
            with transaction.atomic():
                _apply_row(run, row, entry, actor=actor)
        except BrokerError as error:
            rejects.append(Reject(row.number, error.code, error.detail or error.refusal.meaning, row.cells, row.key))
    # The file names them: a row that cannot be applied closes nobody.
    named = [reject.key for reject in rejects if reject.key]
    Entry.objects.filter(Q(pk__in=seen) | Q(source=run.source, key__in=named)).update(last_import=run)
    run.position += len(chunk)
    run.rejected += len(rejects)
    run.unreadable += sum(1 for reject in rejects if not reject.key)
    run.save(update_fields=["created", "changed", "unchanged", "rejected", "unreadable", "conflicts"])
    return sorted(rejects, key=lambda one: one.number)


def _apply_row(run: Import, row: Row, entry: Entry | None, *, actor: Actor) -> None:
    person = entry.person if entry else _person_of(run, row, actor=actor)
    values = {ACTIVE: TRUE, **row.values} if run.source.is_full else row.values
    written = write_attributes(person, values, source=_source(run.source), evidence=f"import:{run.pk}", actor=actor)
    run.conflicts += len(written.conflicts)
    if entry is None:
        Entry.objects.create(source=run.source, key=row.key, person=person, digest=row.digest, last_import=run)
        run.created += 1
    else:
        entry.digest, entry.last_import, entry.gone_at = row.digest, run, None
        entry.save(update_fields=["digest", "last_import", "gone_at"])
        run.changed += 1


def _person_of(run: Import, row: Row, *, actor: Actor) -> Person:
    """Whom another source recorded under the same key, else somebody new."""
    organisation = run.source.organisation
    known = Person.objects.filter(organisation=organisation, external_id=row.key).first()
    if known is None:
        return create_person(organisation, external_id=row.key, actor=actor)
    if Entry.objects.filter(source=run.source, person=known).exists():
        raise BrokerError("import.row", detail=f"the person of {row.key} stands in the files under another key")
    return known


def _finish(run: Import, *, actor: Actor) -> Import:
    if not run.source.is_full:
        return _done(run, actor=actor)
    run.missing = missing_of(run).count()
    run.save(update_fields=["missing"])
    if not run.missing:
        return _done(run, actor=actor)
    if is_held(run.missing, told=run.missing + run.changed + run.unchanged, unreadable=run.unreadable):
        Import.objects.filter(pk=run.pk).update(state=Import.State.HELD)
        run.state = Import.State.HELD
        _record(catalogue.IMPORT_HELD, run, actor=actor)
        return run
    close_missing(run, actor=actor)
    run.refresh_from_db()
    return run


@transaction.atomic
def _done(run: Import, *, actor: Actor) -> Import:
    run.state, run.ended_at = Import.State.DONE, timezone.now()
    run.save(update_fields=["state", "ended_at"])
    _record(catalogue.IMPORT_DONE, run, actor=actor)
    return run


def _record(event_type: Any, run: Import, *, actor: Actor) -> None:
    names = ("state", "rows", "created", "changed", "unchanged", "rejected", "conflicts", "missing", "closed", "digest")
    record(
        event_type,
        actor=actor,
        subject=(KIND, run.pk),
        source=run.source.authority,
        **{name: getattr(run, name) for name in names},
    )


def _source(source: FileSource) -> Source:
    return Source(SourceKind.CSV, source.slug)
