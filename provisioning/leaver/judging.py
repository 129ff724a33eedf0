"""The state of a case follows from its items alone. The offline verifier applies the same rule."""

from collections.abc import Iterable

from provisioning.leaver.models import Case, Item


def state_of(items: Iterable[Item]) -> Case.State:
    """Green only without open items; nothing at all is never green."""
    present = list(items)
    if not present:
        return Case.State.NOTHING_FOUND
    unsettled = [item for item in present if item.is_open]
    if any(item.returned_at for item in unsettled):
        return Case.State.REOPENED
    if any(item.late_at for item in unsettled):
        return Case.State.LATE
    return Case.State.OPEN if unsettled else Case.State.GREEN
