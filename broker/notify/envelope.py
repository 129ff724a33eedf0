"""An event as CloudEvents 1.0 in JSON (structured mode)."""

import json
from typing import Any

from django.conf import settings

from broker.events.models import Event

CONTENT_TYPE = "application/cloudevents+json"
TYPE_PREFIX = "countersign."


def envelope_of(event: Event) -> dict[str, Any]:
    """The envelope, the same for each attempt and subscription: a receiver tells repetitions by `id`."""
    envelope = {
        "specversion": "1.0",
        "id": str(event.pk),
        "source": settings.BROKER_BASE_URL,
        "type": f"{TYPE_PREFIX}{event.type}",
        "time": event.at.isoformat().replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "data": {
            "severity": event.severity,
            "actor": {"kind": event.actor_kind, "id": event.actor_id},
            "connection": event.connection,
            "application": event.application,
            "code": event.code,
            "trace_id": event.trace_id,
            "details": event.details,
        },
    }
    if event.subject_kind:
        # An attribute that is there must not be empty (section 3.1).
        envelope["subject"] = f"{event.subject_kind}/{event.subject_id}"
    return envelope


def write(event: Event) -> bytes:
    """The body that is signed and sent."""
    return json.dumps(envelope_of(event), ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
