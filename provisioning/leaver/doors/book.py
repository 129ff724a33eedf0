"""The events of the book on which items rely."""

from collections.abc import Iterable

from broker.events.models import Event


def last_events(kind: str, ids: Iterable[object], *types: str) -> dict[str, int]:
    """{subject id: id of the last event of these types about it}; subjects without one are left out."""
    rows = Event.objects.filter(subject_kind=kind, subject_id__in=[str(one) for one in ids], type__in=types)
    return dict(rows.order_by("id").values_list("subject_id", "id"))
