"""Catching up in the background: each task carries a slice, the sweep takes up what a killed process left."""

from celery import shared_task
from django.utils import timezone

from broker import limits
from broker.bell import ring
from provisioning.outbound import catching_up


@shared_task
def carry_catch_up(catch_up: str) -> None:
    """One slice; the rest is another task's."""
    if catching_up.carry_on(int(catch_up), until=timezone.now() + limits.RUN_SLICE):
        ring(catching_up.CARRY, catch_up)


@shared_task
def catch_up_unfinished() -> int:
    """Wake whoever goes on. Returns how many targets are caught up with."""
    found = catching_up.unfinished()
    for one in found:
        ring(catching_up.CARRY, str(one))
    return len(found)
