"""Revoking a grant together with everything that was exchanged from its tokens, or proved by them."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.db import connection
from django.db.models import Q

from broker.registry.cache import raise_version
from broker.registry.models import Flow
from broker.tokens.models import Grant

SERVICE = Flow.Grant.CLIENT_CREDENTIALS
BATCH = 1_000
"""Grants in one statement: a service's family may have very many children."""


def revoke_family(roots: Iterable[UUID], *, reason: str, now: datetime) -> list[UUID]:
    """Revoke grants and their descendants; returns those that this call revoked, the roots among them first.

    Call it in a transaction. Each generation is revoked before its children are looked for: an exchange holds its
    parent's row until its child is there, so that it comes before us and is found, or after us and sees the end.
    """
    revoked: list[UUID] = []
    generation = sorted(roots)
    while generation:
        held: list[UUID] = []
        children: set[UUID] = set()
        for start in range(0, len(generation), BATCH):
            batch = lock_grants(generation[start : start + BATCH])
            Grant.objects.filter(pk__in=batch).update(revoked_at=now, revoke_reason=reason)
            living = Grant.objects.filter(revoked_at=None, expires_at__gt=now)
            of_batch = living.filter(Q(parent__in=batch) | Q(actor_parent__in=batch))
            children.update(of_batch.values_list("pk", flat=True))
            held += batch
        revoked += held
        # No child outlives its parent: what came of an expired one is over as well.
        generation = sorted(children)
    batches = (revoked[start : start + BATCH] for start in range(0, len(revoked), BATCH))
    if any(Grant.objects.filter(pk__in=batch, grant_type=SERVICE).exists() for batch in batches):
        # A service's family is remembered like a party: no process shall issue a further token of this one.
        raise_version()
    return revoked


def revoke_exchanged(grant_id: UUID, *, jti: str, reason: str, now: datetime) -> list[UUID]:
    """Revoke what was exchanged from one token of a grant, or proved by it, and leave the grant itself.

    Call it in a transaction, after the token itself was written down as revoked. Returns what was revoked.
    """
    lock_grants([grant_id])
    exchanged = Grant.objects.filter(Q(parent_token=jti) | Q(actor_token=jti))
    return revoke_family(exchanged.values_list("pk", flat=True), reason=reason, now=now)


def hold_grants(pks: Iterable[UUID]) -> int:
    """Keep grants from being revoked until the transaction ends; returns how many of them are not revoked already.

    Many may hold one grant at once (FOR SHARE): a service's family stands behind all that it takes part in.
    """
    named = list(pks)
    if not named:
        return 0
    living = Grant.objects.filter(pk__in=named, revoked_at=None).order_by("pk").values("pk")
    sql, parameters = living.query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(f"{sql} FOR SHARE" if connection.features.has_select_for_update else sql, parameters)
        return len(cursor.fetchall())


def lock_grants(pks: Iterable[UUID]) -> list[UUID]:
    """Hold grants until the transaction ends; returns those of them that are not revoked.

    Always in the order of their ids, so that two who want the same ones never wait for each other.
    """
    held = Grant.objects.select_for_update().filter(pk__in=list(pks)).order_by("pk")
    return [pk for pk, revoked_at in held.values_list("pk", "revoked_at") if revoked_at is None]
