"""Registering HR systems that send files."""

from typing import Any, TypedDict, Unpack

from django.db import transaction
from django.utils import timezone

from broker.actors import Actor
from broker.directory.attributes import ACTIVE, VOCABULARY
from broker.registry import values
from broker.registry.models import Organisation
from broker.registry.registering.changes import (
    assign,
    check_row,
    record_changed,
    record_created,
    record_retired,
    save_new,
)
from broker.registry.values import BadValue
from provisioning.batch.models import FileSource

KIND = "file_source"


class FileSourceFields(TypedDict, total=False):
    """What can be said of a source; what is left out stays as it is."""

    name: str
    owner: str
    enabled: bool
    key: str
    columns: dict[str, str]
    is_full: bool


@transaction.atomic
def create_file_source(
    slug: str, *, organisation: Organisation, actor: Actor, **fields: Unpack[FileSourceFields]
) -> FileSource:
    """Register a source. Raises BadValue."""
    columns = {"name": slug} | _checked(fields)
    source = FileSource(slug=values.slug(slug), organisation=organisation, created_at=timezone.now(), **columns)
    check_row(source)
    save_new(source)
    record_created(KIND, slug, actor=actor, fields={"organisation": organisation.slug} | columns)
    return source


@transaction.atomic
def change_file_source(source: FileSource, *, actor: Actor, **fields: Unpack[FileSourceFields]) -> FileSource:
    """Change what `fields` names; no event when nothing differs. Raises BadValue."""
    source = FileSource.objects.select_for_update(of=("self",)).get(pk=source.pk)
    changes = assign(source, _checked(fields))
    if changes:
        check_row(source)
        source.save()
        record_changed(KIND, source.slug, actor=actor, changes=changes)
    return source


@transaction.atomic
def retire_file_source(source: FileSource, *, actor: Actor) -> None:
    """No more files are read for it. What it told of people stays until somebody else tells it."""
    source = FileSource.objects.select_for_update(of=("self",)).get(pk=source.pk)
    source.enabled, source.retired_at = False, timezone.now()
    source.save(update_fields=["enabled", "retired_at"])
    record_retired(KIND, source.slug, actor=actor, fields={"owner": source.owner})


def _checked(fields: FileSourceFields) -> dict[str, Any]:
    if "owner" in fields:
        values.email(fields["owner"])
    for name in {*fields.get("columns", {}).values(), *([fields["key"]] if "key" in fields else ())}:
        if name not in VOCABULARY:
            raise BadValue(f"{name!r} is no attribute; there are {', '.join(VOCABULARY)}")
    if fields.get("key") == ACTIVE:
        raise BadValue("active is no key: it is the same for many people")
    return dict(fields)
