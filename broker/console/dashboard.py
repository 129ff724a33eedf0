"""The overview: what went well and what did not today, what ends soon, what nobody owns, how the book stands."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlencode

from django.db.models import Count, QuerySet
from django.urls import NoReverseMatch, reverse

from broker.console.book import BookState, read_book
from broker.console.concerns import Concern, read_concerns
from broker.console.expiries import list_expiries
from broker.console.flow_state import FlowState, read_flows
from broker.events.catalogue import LOGIN_REFUSED, LOGIN_SUCCEEDED, REQUEST_REFUSED, TOKEN_REFUSED
from broker.events.models import Event
from broker.refusals import CATALOGUE
from broker.registry.models import Application, Client, IdentityProvider, Organisation
from broker.traces.models import Trace

EXPIRY_HORIZON = timedelta(days=60)
ROWS_MAX = 10
MEANINGS = {refusal.code: refusal.meaning for refusal in CATALOGUE}


@dataclass(frozen=True, slots=True)
class CodeCount:
    """How often one code was the reason of a refusal."""

    code: str
    count: int
    link: str


@dataclass(slots=True)
class ConnectionCount:
    """One identity provider's sign-ons of today. An empty slug: refused before one was chosen."""

    slug: str
    succeeded: int = 0
    refused: int = 0
    link: str = ""
    codes: list[CodeCount] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Ending:
    """Something that ends within the horizon, or has ended (`days` below 0)."""

    kind: str
    owner: str
    name: str
    days: int
    ends_at: datetime
    link: str


@dataclass(frozen=True, slots=True)
class RefusalRow:
    """A recent refusal; `link` leads to its trace while that is kept."""

    at: datetime
    code: str
    meaning: str
    connection: str
    application: str
    trace_id: str
    link: str


@dataclass(frozen=True, slots=True)
class Unowned:
    """A party without an owner."""

    kind: str
    name: str
    link: str


@dataclass(frozen=True, slots=True)
class ConcernRow:
    """A number of people, deliveries or targets, with the page that lists them."""

    text: str
    number: int
    is_bad: bool
    link: str


@dataclass(frozen=True, slots=True)
class Dashboard:
    """Everything that the overview shows. Empty lists are said as such by the page."""

    since: datetime
    succeeded: int
    refused: int
    connections: list[ConnectionCount]
    concerns: list[ConcernRow]
    concerned: int
    """How many rows stand behind the concerns."""
    endings: list[Ending]
    things_with_an_end: int
    refusals: list[RefusalRow]
    unowned: list[Unowned]
    unowned_count: int
    parties: int
    flows: FlowState
    book: BookState
    book_is_late: bool

    @property
    def attempts(self) -> int:
        return self.succeeded + self.refused


def read_dashboard(*, now: datetime) -> Dashboard:
    """Read the overview at `now`; the day begins at midnight UTC."""
    since = now.replace(hour=0, minute=0, second=0, microsecond=0)
    connections = _connections(since)
    expiries = list_expiries()
    unowned = _unowned_parties()
    book = read_book()
    concerns = read_concerns(now=now)
    return Dashboard(
        since=since,
        succeeded=sum(row.succeeded for row in connections),
        refused=sum(row.refused for row in connections),
        connections=connections,
        concerns=[_row(concern) for concern in concerns.rows],
        concerned=concerns.watched,
        endings=[
            Ending(
                expiry.kind,
                expiry.owner,
                expiry.name,
                expiry.days_left(now),
                expiry.ends_at,
                _link(expiry.place[0], expiry.place[1]),
            )
            for expiry in expiries
            if expiry.ends_at - now < EXPIRY_HORIZON
        ],
        things_with_an_end=len(expiries),
        refusals=_latest_refusals(),
        unowned=[
            Unowned(str(party._meta.verbose_name), str(party), _link(_page(party), str(party.pk)))
            for rows in unowned
            for party in rows[:ROWS_MAX]
        ],
        unowned_count=sum(rows.count() for rows in unowned),
        parties=sum(
            model.objects.filter(retired_at=None).count()
            for model in (Organisation, IdentityProvider, Application, Client)
        ),
        flows=read_flows(now=now),
        book=book,
        book_is_late=book.is_late(now=now),
    )


def _connections(since: datetime) -> list[ConnectionCount]:
    counted = (
        Event.objects.filter(at__gte=since, type__in=[LOGIN_SUCCEEDED.name, LOGIN_REFUSED.name])
        .order_by()
        .values_list("type", "connection", "code")
        .annotate(count=Count("id"))
    )
    rows: dict[str, ConnectionCount] = defaultdict(lambda: ConnectionCount(""))
    for event_type, slug, code, count in counted:
        row = rows[slug]
        row.slug = slug
        row.link = _traces(since, connection=slug)
        if event_type == LOGIN_SUCCEEDED.name:
            row.succeeded += count
        else:
            row.refused += count
            row.codes.append(CodeCount(code, count, _traces(since, connection=slug, code=code)))
    for row in rows.values():
        row.codes.sort(key=lambda counted: -counted.count)
    return sorted(rows.values(), key=lambda row: (-row.refused, -row.succeeded, row.slug))


def _latest_refusals() -> list[RefusalRow]:
    types = [LOGIN_REFUSED.name, TOKEN_REFUSED.name, REQUEST_REFUSED.name]
    events = list(Event.objects.filter(type__in=types)[:ROWS_MAX])
    kept = set(Trace.objects.filter(pk__in=[event.trace_id for event in events]).values_list("pk", flat=True))
    return [
        RefusalRow(
            event.at,
            event.code,
            MEANINGS.get(event.code, ""),
            event.connection,
            event.application,
            event.trace_id,
            _link("admin:traces_trace_change", event.trace_id) if event.trace_id in kept else "",
        )
        for event in events
    ]


def _unowned_parties() -> list[QuerySet[Organisation] | QuerySet[Application] | QuerySet[Client]]:
    return [
        Organisation.objects.filter(retired_at=None, owner=""),
        Application.objects.filter(retired_at=None, owner=""),
        # An application's client is its application's owner's.
        Client.objects.filter(retired_at=None, owner="", application=None),
    ]


def _row(concern: Concern) -> ConcernRow:
    """What is bad only when there is some of it."""
    address = reverse(concern.page)
    link = f"{address}?{concern.query}" if concern.query else address
    return ConcernRow(concern.text, concern.number, concern.is_bad and concern.number > 0, link)


def _traces(since: datetime, **filters: str) -> str:
    query = {**filters, "started_at__gte": since.isoformat()}
    return f"{reverse('admin:traces_trace_changelist')}?{urlencode(query)}"


def _page(party: Organisation | Application | Client) -> str:
    return f"admin:{party._meta.app_label}_{party._meta.model_name}_change"


def _link(page: str, key: str) -> str:
    try:
        return reverse(page, args=[key])
    except NoReverseMatch:
        return ""
