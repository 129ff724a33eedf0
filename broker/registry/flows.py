"""May today's request be issued? The flow register is the only source of permission."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from broker import limits
from broker.actors import Actor
from broker.errors import BrokerError
from broker.registry.flow_evidence import evidence
from broker.registry.models import Client, Flow, Resource
from broker.registry.registering.own_resources import own_resources
from broker.registry.services import flows_of
from broker.traces.collector import Collector
from broker.wording import in_words

FAR_FUTURE = datetime(9999, 12, 31, tzinfo=UTC)
OUTSIDE_FLOW = "outside-flow"
FLOW_ENDS = "flow-ends"
BROWNED_OUT = "flow.browned_out"


@dataclass(frozen=True, slots=True)
class FlowQuestion:
    """What one request wants: `grant` as the register names it, a refresh under the grant that began it.

    No `scopes` ask for all that the flow allows. `impersonation`: the token would name the person and no actor.
    """

    client: Client
    grant: str
    resource: Resource
    scopes: tuple[str, ...]
    subject_class: Flow.SubjectClass
    now: datetime
    impersonation: bool = False


@dataclass(frozen=True, slots=True)
class Permit:
    """What may be issued at most. `flow_id` is None outside every flow, let through by observe or warn.

    `scopes` is never empty. No token outlives `ends_at`. `warnings` are short stable texts for a response header:
    `flow-ends=2026-12-01`, `outside-flow`.
    """

    flow_id: int | None
    scopes: tuple[str, ...]
    ends_at: datetime
    warnings: tuple[str, ...] = ()


def permit(question: FlowQuestion, *, actor: Actor, trace: Collector) -> Permit:
    """What today's request may be given. Call it outside of a transaction: what it notes outlives the refusal.

    An enforced client is refused outside its flows, an observed or warned one gets what it asked for, as long as it
    is neither impersonation nor an API of our own, and no operator ended the flow. The first request of its kind is
    noted as a proposed flow. Raises BrokerError: flow.scope_unknown, and the code of each of `CHECKS`.
    """
    _check_scopes_known(question, trace)
    flow = _registered(question)
    try:
        for check in CHECKS:
            check(question, flow, trace)
    except BrokerError as refusal:
        if refusal.code != BROWNED_OUT:
            evidence.note(question, flow, code=refusal.code, actor=actor)
        scopes = _scopes_outside(question, flow)
        if not scopes or _is_enforced(question, flow):
            raise
        trace.note("issued all the same", enforcement=question.client.enforcement, code=refusal.code)
        is_warned = question.client.enforcement == Client.Enforcement.WARN
        return Permit(None, scopes, FAR_FUTURE, (OUTSIDE_FLOW,) if is_warned else ())
    return _inside(question, _found(flow))


def still_permits(question: FlowQuestion, *, trace: Collector) -> None:
    """Whether what was issued before stands in the register as it is now; nothing is noted, nothing is proposed.

    `scopes` are those of the token. A brown-out is for who asks anew. Raises BrokerError as `permit` does.
    """
    _check_scopes_known(question, trace)
    flow = _registered(question)
    try:
        for check in CHECKS:
            if check is not check_not_browned_out:
                check(question, flow, trace)
    except BrokerError:
        if _is_enforced(question, flow):
            raise
        trace.note("stands all the same", enforcement=question.client.enforcement)


def check_registered(question: FlowQuestion, flow: Flow | None, trace: Collector) -> None:
    """There is a flow of this client, grant and resource."""
    wanted = f"{question.client.client_id} {question.grant} {question.resource.identifier}"
    actual = "a flow" if flow else "none"
    _judge(trace, "flow.registered", flow is not None, "flow.none", expected=wanted, actual=actual)


def check_approved(question: FlowQuestion, flow: Flow | None, trace: Collector) -> None:
    """Somebody approved it."""
    del question
    state = _found(flow).state
    approved = Flow.State.APPROVED
    _judge(trace, "flow.approved", state == approved, "flow.not_approved", expected=approved, actual=state)


def check_subject_class(question: FlowQuestion, flow: Flow | None, trace: Collector) -> None:
    """It is for tokens of this kind of subject."""
    allowed, wanted = _found(flow).subject_class, question.subject_class
    _judge(trace, "flow.subject_class", allowed == wanted, "flow.subject_class", expected=allowed, actual=wanted)


def check_impersonation(question: FlowQuestion, flow: Flow | None, trace: Collector) -> None:
    """A client that becomes the person does so by an explicit flow (RFC 8693 section 1.1)."""
    allowed, wanted = _found(flow).impersonation, question.impersonation
    _judge(trace, "flow.impersonation", allowed or not wanted, "flow.impersonation", expected=allowed, actual=wanted)


def check_scopes(question: FlowQuestion, flow: Flow | None, trace: Collector) -> None:
    """The flow allows each scope that was asked for; where none was, it allows one that the resource still has."""
    allowed = _allowed(question, _found(flow))
    passed = bool(allowed) and set(question.scopes) <= set(allowed)
    asked = " ".join(question.scopes) or "(all of the flow)"
    _judge(trace, "flow.scopes", passed, "flow.scope", expected=" ".join(allowed) or "none", actual=asked)


def check_not_ended(question: FlowQuestion, flow: Flow | None, trace: Collector) -> None:
    """Its last day, in UTC, is not over, and no operator ended it."""
    ends_at = _end(_found(flow))
    passed = question.now < ends_at
    _judge(trace, "flow.not_ended", passed, "flow.ended", expected=f"before {ends_at.isoformat()}", actual=question.now)


def check_not_browned_out(question: FlowQuestion, flow: Flow | None, trace: Collector) -> None:
    """On its last day the first minutes of each hour are refused, so that somebody notices while it can be mended."""
    into_hour = question.now - question.now.replace(minute=0, second=0, microsecond=0)
    is_near = _end(_found(flow)) - question.now <= limits.FLOW_BROWN_OUT_BEFORE
    passed = not is_near or not _is_enforced(question, flow) or into_hour >= limits.FLOW_BROWN_OUT_WINDOW
    expected = f"later than {in_words(limits.FLOW_BROWN_OUT_WINDOW)} into the hour, on the last day"
    _judge(trace, "flow.not_browned_out", passed, BROWNED_OUT, expected=expected, actual=into_hour)


CHECKS: tuple[Callable[[FlowQuestion, Flow | None, Collector], None], ...] = (
    check_registered,  # the ones below may rely on there being a flow
    check_approved,
    check_subject_class,
    check_impersonation,
    check_scopes,
    check_not_ended,
    check_not_browned_out,
)


def _check_scopes_known(question: FlowQuestion, trace: Collector) -> None:
    """In no mode anything is issued that the resource does not know: no flow could ever allow it."""
    unknown = [scope for scope in question.scopes if scope not in question.resource.scopes]
    known = " ".join(question.resource.scopes) or "none"
    _judge(trace, "flow.scopes_known", not unknown, "flow.scope_unknown", expected=known, actual=" ".join(unknown))


def _judge(trace: Collector, name: str, passed: bool, code: str, *, expected: object, actual: object) -> None:  # noqa: FBT001 - what the sentence is about
    trace.check(name, passed=passed, expected=expected, actual=actual)
    if not passed:
        raise BrokerError(code, detail=name, expected=expected, actual=actual)


def _registered(question: FlowQuestion) -> Flow | None:
    flows = flows_of(question.client.pk, question.resource.pk)
    return next((flow for flow in flows if flow.grant == question.grant), None)


def _is_enforced(question: FlowQuestion, flow: Flow | None) -> bool:
    """An unknown mode is enforced, and so is what an operator decided, and what nobody may do by oversight.

    Our own APIs have no estate that has to move in: who may manage us is registered first.
    """
    was_ended = flow is not None and flow.ended_at is not None
    is_lenient = question.client.enforcement in (Client.Enforcement.OBSERVE, Client.Enforcement.WARN)
    is_ours = question.resource.identifier in own_resources()
    return not is_lenient or question.impersonation or was_ended or is_ours


def _scopes_outside(question: FlowQuestion, flow: Flow | None) -> tuple[str, ...]:
    if question.scopes:
        return tuple(dict.fromkeys(question.scopes))
    return tuple(question.resource.scopes) if flow is None else _allowed(question, flow)


def _inside(question: FlowQuestion, flow: Flow) -> Permit:
    ends_at = _end(flow)
    is_near = ends_at - question.now <= limits.FLOW_ENDING_BEFORE
    scopes = tuple(dict.fromkeys(question.scopes)) or _allowed(question, flow)
    return Permit(flow.pk, scopes, ends_at, (f"{FLOW_ENDS}={flow.expires}",) if is_near else ())


def _allowed(question: FlowQuestion, flow: Flow) -> tuple[str, ...]:
    return tuple(scope for scope in flow.scopes if scope in question.resource.scopes)


def _end(flow: Flow) -> datetime:
    """A flow without an end is no approved one; should there be one, it ends at once."""
    return flow.ends_at or datetime.min.replace(tzinfo=UTC)


def _found(flow: Flow | None) -> Flow:
    if flow is None:
        raise BrokerError("flow.none")
    return flow
