"""The export of a case: everything by which it can be judged without us, signed.

It holds the case with its items, the ledger rows on which they rely, the events of the book about all of these, the
seals over those events and since, how far the book was read for it, and our public keys. `offline/verify_leaver.py`
judges it, given an anchor from outside.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q
from django.utils import timezone

from broker import limits
from broker.actors import Actor
from broker.delivery.models import Delivery
from broker.events import catalogue
from broker.events.models import Event
from broker.events.sealing import canonical_row
from broker.events.services import record
from broker.keys import jose
from broker.keys.models import SigningKey
from broker.keys.services import every_public_key, signing_key
from broker.keys.values import SigningMaterial
from provisioning.leaver.certificate import certify
from provisioning.leaver.digests import claim_of, digest_of, time_text
from provisioning.leaver.doors.ledger import entry_of
from provisioning.leaver.models import Case, Item
from provisioning.leaver.sealed import sealed_part
from provisioning.leaver.telling import SUBJECT

FORMAT = "countersign-leaver-export"
VERSION = 1
SIGNATURE_TYPE = "countersign-leaver-export"
SETTLED_TOGETHER = timedelta(minutes=1)
"""A row and the event with its digest are written in one transaction, by one clock."""


def export_case(case: Case, *, actor: Actor, rows_read: int | None = limits.LEAVER_ROWS_READ_AGAIN) -> dict[str, Any]:
    """The signed export as JSON. Raises BrokerError (service.unavailable) when we have no key.

    What is younger than the last seal is in it and named: it can be verified after the next seal. `rows_read`: see
    `sealed_part`.
    """
    items = list(case.items.all())
    ledger = _ledger(items)
    events = _events(case, items, ledger)
    part = sealed_part((event.pk for event in events), rows=rows_read)
    exported = {
        "format": FORMAT,
        "version": VERSION,
        "made_at": time_text(timezone.now()),
        "certificate": certify(case, items).as_json(),
        "case": case_row(case),
        "items": [claim_of(item) for item in items],
        "ledger": ledger,
        "events": [canonical_row(event) for event in events],
        "segments": part.segments,
        "seals": part.seals,
        "book": {"newest_seal": part.newest, "read_until": part.read_until},
        "keys": _keys(part.signatures),
    }
    exported["signature"] = _sign(exported)
    record(catalogue.LEAVER_EXPORTED, actor=actor, subject=("leaver_export", case.pk), state=str(case.state))
    return exported


def case_row(case: Case) -> dict[str, Any]:
    """The case as it stands in an export."""
    return {
        "id": str(case.pk),
        "person": str(case.person_id),
        "cause_event": case.cause_event,
        "left_at": time_text(case.left_at),
        "opened_at": time_text(case.opened_at),
        "state": str(case.state),
        "state_since": time_text(case.state_since),
        "looked_at": case.looked_at,
        "number": case.number,
        "closed_at": time_text(case.closed_at) if case.closed_at else None,
    }


def as_text(exported: dict[str, Any]) -> str:
    """One JSON document, with a line for each of its parts."""
    return json.dumps(exported, indent=1, sort_keys=True, ensure_ascii=True) + "\n"


def _ledger(items: Sequence[Item]) -> list[dict[str, Any]]:
    """The rows as the ledger has them now; of what it has forgotten, the copies that were kept with the items."""
    named = {pk for item in items for pk in (item.delivery, item.read_again_delivery) if pk is not None}
    found = {row.pk: entry_of(row) for row in Delivery.objects.filter(pk__in=named)}
    for item in items:
        for pk, entry in item.proof.items():
            if int(pk) in named:
                found.setdefault(int(pk), entry)
    return [found[pk] for pk in sorted(found)]


def _events(case: Case, items: Iterable[Item], ledger: Iterable[dict[str, Any]]) -> list[Event]:
    found = {event.pk: event for event in Event.objects.filter(subject_kind=SUBJECT, subject_id=str(case.pk))}
    named = {case.cause_event, *(item.event for item in items if item.event is not None)}
    found |= {event.pk: event for event in Event.objects.filter(pk__in=named)}
    for entry in ledger:
        found |= {event.pk: event for event in _settling_events(entry["row"])}
    return [found[pk] for pk in sorted(found)]


def _settling_events(row: dict[str, Any]) -> list[Event]:
    """The events of the book that hold this row's digest: its own time, lane and id lead to them."""
    if row["settled_at"] is None:
        return []
    settled_at = datetime.fromisoformat(row["settled_at"])
    near = Q(at__gte=settled_at - SETTLED_TOGETHER, at__lte=settled_at + SETTLED_TOGETHER)
    by_lane = Q(type=catalogue.DELIVERY_SETTLED.name, subject_kind="lane", subject_id=row["lane"]) & near
    by_operator = Q(type=catalogue.DELIVERY_WRITTEN_OFF.name, subject_kind="delivery", subject_id=str(row["id"]))
    events = [*Event.objects.filter(by_lane), *Event.objects.filter(by_operator)]
    return [event for event in events if str(row["id"]) in event.details.get("rows", {})]


def _keys(signatures: Iterable[str]) -> list[dict[str, str]]:
    """Ours that sign this export and signed its seals."""
    kids = {jose.unverified_kid(signature, max_bytes=len(signature)) for signature in signatures}
    kids.add(_signing().kid)
    return [jose.public_jwk(key) for key in every_public_key(SigningKey.Use.TOKEN) if key.kid in kids]


def _sign(exported: dict[str, Any]) -> str:
    signed = {"case": exported["case"]["id"], "made_at": exported["made_at"], "digest": digest_of(exported)}
    return jose.sign(json.dumps(signed, sort_keys=True).encode(), key=_signing(), typ=SIGNATURE_TYPE)


def _signing() -> SigningMaterial:
    return signing_key(SigningKey.Use.TOKEN, algorithm=SigningKey.Algorithm.ES256)


def name_of(case: Case, *, at: datetime) -> str:
    """The file's name: the case, and when it was made."""
    return f"leaver-{case.pk}-{at:%Y%m%dT%H%M%SZ}.json"
