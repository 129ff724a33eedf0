"""What is declared for an enforcement point is known of a question too: the caller need not send it again."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TypeVar

from broker.access.callers import EnforcingClient
from broker.access.entities import Evaluation, Resource, Subject
from broker.access.models import DeclaredEntity

Side = DeclaredEntity.Side
Entity = TypeVar("Entity", Subject, Resource)
Known = dict[tuple[str, str, str], dict[str, object]]
"""{(side, type, id): properties}"""
_COLUMNS = ("side", "type", "entity_id", "properties")


def with_declared(questions: Sequence[Evaluation], caller: EnforcingClient) -> list[Evaluation]:
    """The questions with the declared properties of their subjects and resources, which win over those sent along.

    One query for all of them, and none when nothing of their types is declared.
    """
    named = {(Side.SUBJECT.value, one.subject.type, one.subject.id) for one in questions}
    named |= {(Side.RESOURCE.value, one.resource.type, one.resource.id) for one in questions}
    known = _find({name for name in named if name[:2] in caller.declared}, caller)
    if not known:
        return list(questions)
    return [
        replace(
            one, subject=_told(one.subject, Side.SUBJECT, known), resource=_told(one.resource, Side.RESOURCE, known)
        )
        for one in questions
    ]


def _find(named: Collection[tuple[str, str, str]], caller: EnforcingClient) -> Known:
    if not named:
        return {}
    sides, types, ids = (set(names) for names in zip(*named, strict=True))
    rows = DeclaredEntity.objects.filter(point_id=caller.point_id, side__in=sides, type__in=types, entity_id__in=ids)
    return {(side, type_, id_): properties for side, type_, id_, properties in rows.order_by().values_list(*_COLUMNS)}


def _told(entity: Entity, side: Side, known: Known) -> Entity:
    declared = known.get((side.value, entity.type, entity.id))
    return replace(entity, properties={**entity.properties, **declared}) if declared else entity
