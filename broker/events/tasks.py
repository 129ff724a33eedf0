"""What the scheduler does for the book."""

from celery import shared_task
from django.utils import timezone

from broker.events import pruning, reading, sealing

SEALS_PER_RUN = 100


@shared_task
def seal_events() -> int:
    """Seal what is not sealed yet. Returns the number of seals made; a long backlog takes several runs."""
    for made in range(SEALS_PER_RUN):
        if sealing.seal_events(timezone.now()) is None:
            return made
    return SEALS_PER_RUN


@shared_task
def prune_events() -> int:
    """Delete sealed events past their retention. Returns how many."""
    return pruning.prune_events(timezone.now())


@shared_task
def read_notices() -> int:
    """Let the readers of events read what waits for them. Returns how many notices were read."""
    return reading.read_notices()
