"""What is asked outside the approved flows: the first of its kind makes a proposed flow, the rest is counted."""

import hashlib
import json
import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import structlog
from django.db import Error, transaction
from django.db.models import F
from prometheus_client import Counter

from broker import limits
from broker.actors import Actor
from broker.events import catalogue
from broker.events.services import record
from broker.registry.models import Client, Flow, FlowEvidence, Resource

log = structlog.get_logger(__name__)
KINDS_REMEMBERED = 10_000
LONG_AGO = datetime.min.replace(tzinfo=UTC)
TO_A_REGISTERED_FLOW = frozenset({"flow.not_approved", "flow.ended"})
"""Why a request was outside although its flow is registered with all that was asked: nothing new is proposed."""
COUNTED = Counter(
    "countersign_outside_flow_total",
    "Requests outside the approved flows, by the client's enforcement and the reason",
    ["enforcement", "code"],
)


class Asked(Protocol):
    """What is read of a question to the register."""

    @property
    def client(self) -> Client: ...
    @property
    def grant(self) -> str: ...
    @property
    def resource(self) -> Resource: ...
    @property
    def scopes(self) -> tuple[str, ...]: ...
    @property
    def subject_class(self) -> Flow.SubjectClass: ...
    @property
    def impersonation(self) -> bool: ...
    @property
    def now(self) -> datetime: ...


@dataclass(slots=True)
class _Seen:
    written_at: datetime
    unwritten: int = 0


class EvidenceMemory:
    """Which kinds this process wrote down and when, so that a client that hammers does not write at each request."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: OrderedDict[str, _Seen] = OrderedDict()
        self._full: dict[int, datetime] = {}
        """{client: when it was found to have all the kinds that are kept}"""

    def note(self, asked: Asked, flow: Flow | None, *, code: str, actor: Actor) -> None:
        """Count one request outside the approved flows. `flow` is the registered one, which does not allow it.

        It is written at most once in `limits.FLOW_EVIDENCE_INTERVAL` for each kind, in a commit of its own. A failure
        to write is logged: it neither lets a request through nor stops one.
        """
        COUNTED.labels(asked.client.enforcement, code).inc()
        digest = kind_digest(asked)
        with self._lock:
            seen = self._seen.get(digest)
            if seen is not None and asked.now - seen.written_at < limits.FLOW_EVIDENCE_INTERVAL:
                seen.unwritten += 1
                return
            if seen is None and asked.now - self._full.get(asked.client.pk, LONG_AGO) < limits.FLOW_EVIDENCE_INTERVAL:
                return
            count = 1 + (seen.unwritten if seen else 0)
            self._seen[digest] = _Seen(asked.now)
            self._seen.move_to_end(digest)
            if len(self._seen) > KINDS_REMEMBERED:
                self._seen.popitem(last=False)
        try:
            if not _write(asked, flow, digest=digest, count=count, code=code, actor=actor):
                with self._lock:
                    self._full[asked.client.pk] = asked.now
                log.warning("flow evidence not kept: too many kinds", client=asked.client.pk, code=code)
        except Error as error:
            log.warning("flow evidence not written", client=asked.client.pk, code=code, error=type(error).__name__)

    def forget(self) -> None:
        """Forget what was written, as a new process would."""
        with self._lock:
            self._seen.clear()
            self._full.clear()


evidence = EvidenceMemory()


def kind_digest(asked: Asked) -> str:
    """The name of a kind of request: SHA-256 in hex over client, grant, resource, scopes, subject and impersonation."""
    kind = [
        asked.client.pk,
        asked.grant,
        asked.resource.pk,
        sorted(set(asked.scopes)),
        asked.subject_class,
        asked.impersonation,
    ]
    return hashlib.sha256(json.dumps(kind).encode()).hexdigest()


@transaction.atomic
def _write(asked: Asked, flow: Flow | None, *, digest: str, count: int, code: str, actor: Actor) -> bool:
    """Whether it was written: of one client no more than `limits.FLOW_EVIDENCE_KINDS` are kept."""
    known = FlowEvidence.objects.filter(digest=digest)
    if known.update(count=F("count") + count, last_seen_at=asked.now):
        return True
    # Two processes may both come first: the client's row lets one of them wait and find what the other wrote.
    Client.objects.select_for_update().get(pk=asked.client.pk)
    if known.update(count=F("count") + count, last_seen_at=asked.now):
        return True
    if FlowEvidence.objects.filter(flow__client=asked.client).count() >= limits.FLOW_EVIDENCE_KINDS:
        return False
    if flow is None or code not in TO_A_REGISTERED_FLOW:
        flow = _propose(asked)
        record(
            catalogue.FLOW_PROPOSED,
            actor=actor,
            subject=("flow", flow.pk),
            code=code,
            client=asked.client.client_id,
            grant=asked.grant,
            resource=asked.resource.identifier,
            scopes=list(asked.scopes),
            enforcement=asked.client.enforcement,
        )
    FlowEvidence.objects.create(
        flow=flow,
        digest=digest,
        code=code,
        enforcement=asked.client.enforcement,
        scopes=list(asked.scopes),
        subject_class=asked.subject_class,
        impersonation=asked.impersonation,
        first_seen_at=asked.now,
        last_seen_at=asked.now,
        count=count,
        address=actor.address,
        trace_id=actor.trace_id,
    )
    return True


def _propose(asked: Asked) -> Flow:
    """Where no scope was asked for, the operator who completes the proposal says which."""
    return Flow.objects.create(
        client=asked.client,
        grant=asked.grant,
        resource=asked.resource,
        scopes=sorted(set(asked.scopes)),
        subject_class=asked.subject_class,
        impersonation=asked.impersonation,
        is_draft=True,
        proposed_by=asked.client.client_id,
    )
