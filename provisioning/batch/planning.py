"""What a file would change, before anything is written."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from broker import limits
from broker.directory.models import Person
from broker.parts import in_parts
from provisioning.batch.models import Entry, FileSource
from provisioning.batch.reading import PeopleFile, Reject, Row

SAMPLES = 10


@dataclass(slots=True)
class ImportPlan:
    """How many people a file would create, change, leave as they are or close; and the first of each."""

    rows: int = 0
    created: int = 0
    changed: int = 0
    unchanged: int = 0
    missing: int = 0
    is_held: bool = False
    """Whether so many are missing that a second operator decides."""
    rejects: list[Reject] = field(default_factory=list)
    samples: list[str] = field(default_factory=list)
    """`+ key`, `~ key: attribute, attribute`: names of attributes, never their values."""

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        names = ("rows", "created", "changed", "unchanged", "missing", "is_held", "samples")
        rejected = [{"row": one.number, "code": one.code, "reason": one.reason} for one in self.rejects]
        return {name: getattr(self, name) for name in names} | {"rejected": rejected}


def plan_import(source: FileSource, file: PeopleFile) -> ImportPlan:
    """Compare the file with what its source said before. Writes nothing."""
    plan = ImportPlan()
    named: set[int] = set()
    for chunk in in_parts(file.read(), limits.IMPORT_CHUNK):
        plan.rows += len(chunk)
        plan.rejects += [row for row in chunk if isinstance(row, Reject)]
        _compare(plan, source, [row for row in chunk if isinstance(row, Row)], named)
        keys = [row.key for row in chunk if isinstance(row, Reject) and row.key]
        named.update(Entry.objects.filter(source=source, key__in=keys).values_list("pk", flat=True))
    if source.is_full:
        live = Entry.objects.filter(source=source, gone_at=None).values_list("pk", flat=True)
        plan.missing = sum(1 for pk in live.iterator(chunk_size=2_000) if pk not in named)
        unreadable = sum(1 for one in plan.rejects if not one.key)
        plan.is_held = is_held(plan.missing, told=plan.missing + len(named), unreadable=unreadable)
    return plan


def is_held(missing: int, *, told: int, unreadable: int) -> bool:
    """Whether a second operator decides: so many are missing of those `told` of, or a row did not say of whom it is."""
    if not missing:
        return False
    is_many = missing > limits.IMPORT_MISSING_COUNT or missing > max(1, told * limits.IMPORT_MISSING_SHARE)
    return is_many or unreadable > 0


def _compare(plan: ImportPlan, source: FileSource, rows: Sequence[Row], named: set[int]) -> None:
    keys = [row.key for row in rows]
    entries = {one.key: one for one in Entry.objects.filter(source=source, key__in=keys).select_related("person")}
    for row in rows:
        entry = entries.get(row.key)
        if entry is None:
            plan.created += 1
            _sample(plan, f"+ {row.key}")
            continue
        named.add(entry.pk)
        if entry.digest == row.digest and entry.gone_at is None:
            plan.unchanged += 1
        else:
            plan.changed += 1
            _sample(plan, f"~ {row.key}: {', '.join(_differing(source, entry.person, row)) or 'comes back'}")


def _differing(source: FileSource, person: Person, row: Row) -> list[str]:
    """The attributes of which the source said something else."""
    told = {name: sources.get(source.authority, {}) for name, sources in person.provenance.items()}
    return sorted(name for name, values in row.values.items() if told.get(name, {}).get("values") != list(values))


def _sample(plan: ImportPlan, text: str) -> None:
    if len(plan.samples) < SAMPLES:
        plan.samples.append(text)
