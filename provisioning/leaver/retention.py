"""Forgetting cases: as long as they are kept they can be proved, and no longer than people's data may be."""

from datetime import datetime

from django.db import transaction

from broker import limits
from broker.actors import SYSTEM
from broker.events import catalogue
from broker.events.services import record
from provisioning.leaver.models import Case

CASES_AT_ONCE = 200


def forget_cases(*, now: datetime) -> int:
    """Delete cases that were opened before `limits.LEAVER_CASE_RETENTION` and are watched no more. Returns how many.

    The book forgets later, so that a case which is there can be proved.
    """
    before = now - limits.LEAVER_CASE_RETENTION
    over = Case.objects.filter(look_at=None, opened_at__lt=before).order_by("pk")
    total = 0
    while ids := list(over.values_list("pk", flat=True)[:CASES_AT_ONCE]):
        with transaction.atomic():
            for case_id in ids:
                record(catalogue.LEAVER_FORGOTTEN, actor=SYSTEM, subject=("leaver_export", case_id))
            Case.objects.filter(pk__in=ids).delete()
        total += len(ids)
    return total
