"""Whether a run read its target wholly. What it did not read wholly it does not compare: nothing is closed by a gap."""

from collections.abc import Callable
from dataclasses import dataclass

from django.db.models import Count

from broker.errors import BrokerError
from provisioning.planning.models import Found, FoundGroup, Run


@dataclass(frozen=True, slots=True)
class Reading:
    """What a run read, beside what the target and we ourselves said is there."""

    accounts: int
    accounts_told: int | None
    doubled_accounts: tuple[str, ...]
    groups: int
    groups_told: int | None
    doubled_groups: tuple[str, ...]
    unreadable: int
    staged: int
    known: int


def reading_of(run: Run) -> Reading:
    """What stands on the stage now; the target's pages were told while they came."""
    return Reading(
        accounts=run.accounts,
        accounts_told=run.accounts_told,
        doubled_accounts=_doubled(Found, run),
        groups=run.groups,
        groups_told=run.groups_told,
        doubled_groups=_doubled(FoundGroup, run),
        unreadable=run.rejected_count,
        staged=Found.objects.filter(run=run).count() + FoundGroup.objects.filter(run=run).count(),
        known=run.known,
    )


def check_not_empty(reading: Reading) -> None:
    """A target that held accounts and now shows none was more likely asked wrongly than emptied."""
    if not reading.accounts and reading.known:
        raise BrokerError("inventory.empty", expected=f"about {reading.known} accounts", actual="0 accounts")


def check_accounts_counted(reading: Reading) -> None:
    """As many accounts came as the target says it has (RFC 7644 section 3.4.2, totalResults): no page was cut."""
    if reading.accounts_told is not None and reading.accounts != reading.accounts_told:
        raise BrokerError(
            "inventory.truncated", expected=f"{reading.accounts_told} accounts", actual=f"{reading.accounts} accounts"
        )


def check_groups_counted(reading: Reading) -> None:
    """The same of groups."""
    if reading.groups_told is not None and reading.groups != reading.groups_told:
        raise BrokerError(
            "inventory.truncated", expected=f"{reading.groups_told} groups", actual=f"{reading.groups} groups"
        )


def check_not_doubled(reading: Reading) -> None:
    """No id came twice: rows that move between pages while they are read push others out of sight."""
    doubled = [*reading.doubled_accounts, *reading.doubled_groups]
    if doubled:
        raise BrokerError("inventory.doubled", expected="each id once", actual=", ".join(doubled)[:300])


Check = Callable[[Reading], None]
CHECKS: tuple[Check, ...] = (check_not_empty, check_accounts_counted, check_groups_counted, check_not_doubled)


def judge(reading: Reading) -> None:
    """Every check, in order. Raises BrokerError with the code of the first that fails."""
    for check in CHECKS:
        check(reading)


def _doubled(model: type[Found] | type[FoundGroup], run: Run) -> tuple[str, ...]:
    """The first few ids that were read more than once."""
    rows = model._default_manager.filter(run=run).exclude(remote_id="").order_by().values("remote_id")
    doubled = rows.annotate(times=Count("pk")).filter(times__gt=1)
    return tuple(doubled.values_list("remote_id", flat=True)[:5])
