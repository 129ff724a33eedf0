"""What all registering services do alike: check a row, note what changed, and write the book."""

import hashlib
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import IntegrityError, models, transaction

from broker.actors import Actor
from broker.events import catalogue
from broker.events.services import record
from broker.registry.cache import raise_version
from broker.registry.models import RegistryVersion
from broker.registry.values import BadValue, printable

SUBJECT_CHARS = 200

Changes = dict[str, tuple[Any, Any]]
"""{field: (before, after)}, only of what differs."""


def hold_registry() -> None:
    """Make other writers of the registry wait until this transaction ends."""
    RegistryVersion.objects.get_or_create(pk=1)
    RegistryVersion.objects.select_for_update().get(pk=1)


def assign(row: models.Model, fields: Mapping[str, Any]) -> Changes:
    """Set `fields` on the row, unsaved. Returns what differs."""
    changes: Changes = {}
    for name, value in fields.items():
        before = getattr(row, name)
        if before != value:
            changes[name] = (before, value)
            setattr(row, name, value)
    return changes


def check_row(row: models.Model) -> None:
    """Raise BadValue when a column cannot hold its value, a choice is unknown or a constraint is broken.

    Lists and mappings are not looked at here: the functions of `broker.registry.values` judge them.
    """
    unchecked = {field.name for field in row._meta.fields if isinstance(field, models.JSONField)}
    try:
        row.full_clean(exclude=unchecked, validate_constraints=False)
        for constraint in row._meta.constraints:
            _check_constraint(row, constraint, unchecked=unchecked)
    except ValidationError as error:
        raise BadValue(
            "; ".join(
                " ".join(texts) if name == NON_FIELD_ERRORS else f"{name}: {' '.join(texts)}"
                for name, texts in error.message_dict.items()
            )
        ) from error


def _check_constraint(row: models.Model, constraint: models.BaseConstraint, *, unchecked: set[str]) -> None:
    """Raise ValidationError when the constraint is broken, in words where it is that another row is the same."""
    try:
        constraint.validate(type(row), row, exclude=unchecked)
    except ValidationError as error:
        if not isinstance(constraint, models.UniqueConstraint):
            raise ValidationError({NON_FIELD_ERRORS: error.messages}) from error
        names = " and ".join(constraint.fields)
        raise ValidationError({NON_FIELD_ERRORS: [f"one with the same {names} is registered already"]}) from error


def save_new(row: models.Model) -> None:
    """Save a row that was checked. Raises BadValue when somebody else has taken its name in between."""
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError as error:
        raise BadValue("somebody else has just registered one of the same name") from error


def record_created(kind: str, key: str, *, actor: Actor, fields: Mapping[str, Any], **where: str) -> None:
    """The event of a new party, with what it was registered with. `where`: connection or application."""
    after = {name: printable(value) for name, value in fields.items()}
    record(catalogue.PARTY_CREATED, actor=actor, subject=subject_of(kind, key), after=after, **where)
    raise_version()


def record_changed(kind: str, key: str, *, actor: Actor, changes: Changes, **where: str) -> None:
    """The event of a change, with before and after of what changed."""
    record(
        catalogue.PARTY_CHANGED,
        actor=actor,
        subject=subject_of(kind, key),
        before={name: printable(before) for name, (before, _) in changes.items()},
        after={name: printable(after) for name, (_, after) in changes.items()},
        **where,
    )
    raise_version()


def record_retired(kind: str, key: str, *, actor: Actor, fields: Mapping[str, Any], **where: str) -> None:
    """The event of a retirement, with what ended."""
    before = {name: printable(value) for name, value in fields.items()}
    record(catalogue.PARTY_RETIRED, actor=actor, subject=subject_of(kind, key), before=before, **where)
    raise_version()


def subject_of(kind: str, key: str) -> tuple[str, str]:
    """An entityID or a flow's three names may be longer than the book's column: then their digest stands there."""
    return kind, key if len(key) <= SUBJECT_CHARS else f"sha256:{hashlib.sha256(key.encode()).hexdigest()}"
