"""A target that was emptied: what we knew of its accounts and groups counts no more."""

from datetime import datetime

from django.db import transaction
from django.db.models import F

from broker.actors import Actor
from provisioning.outbound.catching_up import ask_to_catch_up
from provisioning.outbound.models import RemoteAccount, RemoteGroup, Target

Aim, State = RemoteAccount.Aim, RemoteAccount.State


@transaction.atomic
def take_for_empty(target: Target, *, read_at: datetime, actor: Actor, now: datetime) -> int:
    """Forget where accounts stood, as of a reading of nothing at `read_at`, and have what is wanted made anew.

    Who should have an account is looked up before one is made: a reading that was wrong doubles nobody. Returns how
    many accounts had been known to stand there.
    """
    nothing = {
        "remote_id": "",
        "etag": "",
        "read_digest": "",
        "read_active": None,
        "begun_at": None,
        "version": F("version") + 1,
    }
    accounts = RemoteAccount.objects.filter(target=target, state__in=(State.PRESENT, State.DISABLED))
    closed = accounts.exclude(aim=Aim.PRESENT).filter(read_active=False)
    number = closed.update(**nothing, state=State.ABSENT, read_at=read_at)
    number += accounts.update(**nothing, state=State.UNKNOWN, read_at=None)
    groups = RemoteGroup.objects.filter(target=target, state=RemoteGroup.State.PRESENT)
    groups.update(remote_id="", etag="", state=RemoteGroup.State.UNKNOWN, read_at=None, version=F("version") + 1)
    ask_to_catch_up(target, actor=actor, now=now)
    return number
