"""Reading a leaver's account back at a target: one kind of delivery, so that a reading is evidence as a sending is.

It goes through the target's own lane, with its circuit, its pauses and its order, and changes nothing there.
"""

from collections.abc import Sequence
from uuid import UUID

from django.utils import timezone

from broker.delivery.handlers import Settle
from broker.delivery.models import Delivery
from broker.delivery.outcomes import Outcome, confirmed, retry, skipped
from provisioning.leaver.models import Case
from provisioning.leaver.seen import Seen
from provisioning.outbound.connectors.base import TargetError
from provisioning.outbound.models import RemoteAccount, Target
from provisioning.outbound.outcomes import outcome_of
from provisioning.outbound.reading_back import read_back

ABSENT_STATES = (RemoteAccount.State.ABSENT, RemoteAccount.State.DELETED)


class ReadingHandler:
    """Handler of the kind `leaver.read` (broker.delivery.handlers.Handler)."""

    batch = 20

    def deliver(self, lane: str, batch: Sequence[Delivery], settle: Settle) -> None:
        """Read each person's account, and settle each at once: another reading may take its time."""
        target = Target.objects.filter(slug=lane.partition(":")[2], retired_at=None).first()
        cases = Case.objects.filter(closed_at=None, pk__in=[_case_of(delivery) for delivery in batch])
        live = {str(pk) for pk in cases.values_list("pk", flat=True)}
        for delivery in batch:
            if settle.is_over:
                return
            is_wanted = _case_of(delivery) in live
            settle([(delivery, _read(target, delivery) if is_wanted else skipped("leaver.over"))])


def _case_of(delivery: Delivery) -> str:
    return delivery.subject.partition(":")[2]


def _read(target: Target | None, delivery: Delivery) -> Outcome:
    if target is None or not target.is_in_use:
        return skipped("leaver.target_switched_off")
    try:
        accounts = read_back(target, [UUID(delivery.payload["person"])])
    except TargetError as error:
        return outcome_of(error, now=timezone.now())
    if not accounts or not accounts[0].answer_digest:
        return retry("leaver.unread", is_unanswered=False)
    return confirmed(accounts[0].answer_digest, detail=_seen(accounts[0]))


def _seen(account: RemoteAccount) -> Seen:
    """Only a plain "no" is one: what says nothing of being active counts as active."""
    if account.state in ABSENT_STATES:
        return Seen.ABSENT
    return Seen.INACTIVE if account.read_active is False else Seen.ACTIVE


HANDLER = ReadingHandler()
