"""The certificate: what may be said of a case as it stands, and nothing more."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from provisioning.leaver.digests import time_text
from provisioning.leaver.models import Case, Item


@dataclass(frozen=True, slots=True)
class Certificate:
    """How many items ended how. `late` are open and late, `done_late` were closed after their deadline."""

    state: Case.State
    total: int
    read_back: int
    acknowledged: int
    not_verifiable: int
    open: int
    late: int
    done_late: int
    until: datetime | None
    """The last moment at which something that nobody can look at may still be good."""

    @property
    def statement(self) -> str:
        """One sentence that claims what the items show."""
        of_all = f"{self.open} of {self.total} items are open"
        match self.state:
            case Case.State.NOTHING_FOUND:
                return "Nothing was found that had to be closed. This certifies only what was looked at."
            case Case.State.RETURNED:
                return "The person returned; this case is over and certifies nothing of the present."
            case Case.State.GREEN:
                closed = f"Every one of {self.total} items is closed"
                ending = f", {self.done_late} of them late" if self.done_late else ""
                unseen = (
                    f"; {self.not_verifiable} cannot be verified and end by {time_text(self.until)}"
                    if self.not_verifiable and self.until
                    else ""
                )
                return f"{closed}{ending}{unseen}."
            case Case.State.REOPENED:
                return f"Access came back: {of_all}. This is no proof of closing."
            case Case.State.LATE:
                return f"{of_all}, {self.late} of them late. This is no proof of closing."
        return f"{of_all}. This is no proof of closing."

    def as_json(self) -> dict[str, Any]:
        """As it stands in an export."""
        return {
            "state": str(self.state),
            "total": self.total,
            "read_back": self.read_back,
            "acknowledged": self.acknowledged,
            "not_verifiable": self.not_verifiable,
            "open": self.open,
            "late": self.late,
            "done_late": self.done_late,
            "until": time_text(self.until) if self.until else None,
            "statement": self.statement,
        }


def certify(case: Case, items: Sequence[Item]) -> Certificate:
    """Count what the items claim; the state is the case's own, which follows from them."""
    states = [item.state for item in items]
    return Certificate(
        state=Case.State(case.state),
        total=len(items),
        read_back=states.count(Item.State.READ_BACK),
        acknowledged=states.count(Item.State.ACKNOWLEDGED),
        not_verifiable=states.count(Item.State.NOT_VERIFIABLE),
        open=states.count(Item.State.OPEN),
        late=sum(item.is_open and item.late_at is not None for item in items),
        done_late=sum(not item.is_open and item.late_at is not None for item in items),
        until=max(
            (item.until for item in items if item.state == Item.State.NOT_VERIFIABLE and item.until), default=None
        ),
    )
