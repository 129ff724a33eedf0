"""Single-sign-on sessions in the console: read, and ended."""

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import action

from broker import limits
from broker.console_rows import ReadOnly
from broker.delivery.models import Delivery
from broker.http import operator_actor
from broker.sessions.models import Participant, Session
from broker.sessions.services import end_session


class LiveFilter(admin.SimpleListFilter):
    """Live sessions, or those that are over."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("live", "live"), ("over", "over")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Session]) -> QuerySet[Session]:
        now = timezone.now()
        live = Q(ended_at=None, expires_at__gt=now, last_used_at__gt=now - limits.SESSION_IDLE)
        if self.value() == "live":
            return queryset.filter(live)
        return queryset.exclude(live) if self.value() == "over" else queryset


class ParticipantInline(TabularInline):
    """The applications that take part, and what the ledger knows of telling them of the end."""

    model = Participant
    fields = ("application", "client", "joined_at", "last_used_at", "told")
    readonly_fields = ("told",)
    extra = 0
    hide_title = True
    can_delete = False

    @admin.display(description="told of the end (UTC)")
    def told(self, participant: Participant) -> SafeString | str:
        """Each row of the ledger with its state and time. Without any the application cannot be told, or knows."""
        rows = Delivery.objects.filter(reference=participant.reference).order_by("pk")
        if rows:
            return format_html_join(SafeString("<br>"), '<span class="{}">{}</span>', map(_as_told, rows))
        session, now = participant.session, timezone.now()
        if session.ended_at is None:
            is_live = session.is_live(now=now, idle_since=now - limits.SESSION_IDLE)
            return "the session goes on" if is_live else "not told: the session ran out, nobody ended it"
        if now - session.ended_at < limits.LOGOUT_MISSED_WITHIN:
            return "not told yet"
        return "cannot be told: it names no address for it"

    def has_add_permission(self, request: HttpRequest, obj: Any) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def _as_told(row: Delivery) -> tuple[str, str]:
    """A class and a text: how far this row is."""
    match row.state:
        case Delivery.State.CONFIRMED:
            return "", f"acknowledged {row.settled_at:%Y-%m-%d %H:%M:%S}"
        case Delivery.State.DEAD | Delivery.State.SKIPPED:
            return "cs-bad", f"not acknowledged ({row.reason})"
        case Delivery.State.SUPERSEDED:
            return "", "told by a later message"
    reason = f", last answer {row.reason}" if row.reason else ""
    return "", f"waiting since {row.created_at:%Y-%m-%d %H:%M:%S}{reason}"


@admin.register(Session)
class SessionAdmin(ReadOnly, ModelAdmin):
    """Who is signed on, through whom, since when. The cookie's hash is not among the fields."""

    list_display = (
        "id",
        "person",
        "identity_provider",
        "applications",
        "state",
        "started_at",
        "last_used_at",
        "expires_at",
    )
    list_filter = (LiveFilter, "identity_provider")
    list_select_related = ("person", "identity_provider")
    search_fields = ("id", "person__id", "person__name")
    exclude = ("handle_hash",)
    inlines: ClassVar = [ParticipantInline]
    ordering = ("-started_at",)
    actions: ClassVar = ["end"]
    list_per_page = 50
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Session]:
        return Session.objects.prefetch_related("participants__application")

    @admin.display(description="applications")
    def applications(self, session: Session) -> str:
        """What takes part in it."""
        return ", ".join(sorted(one.application.slug for one in session.participants.all())) or "none"

    @admin.display(description="state")
    def state(self, session: Session) -> str:
        """Live, ended with its reason, or run out."""
        now = timezone.now()
        if session.ended_at:
            return f"ended ({session.end_reason})"
        return "live" if session.is_live(now=now, idle_since=now - limits.SESSION_IDLE) else "run out"

    @action(description="End the sessions", permissions=["operate"])
    def end(self, request: HttpRequest, queryset: QuerySet[Session]) -> None:
        """The next request with their cookies meets a sign-on; grants without offline access end with them."""
        actor = operator_actor(request)
        sessions = queryset.select_related("identity_provider")
        ended = sum(end_session(session, reason="operator", actor=actor) for session in sessions)
        messages.success(request, f"{ended} sessions are ended.")

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Whether this account may do more than look."""
        return bool(request.user.has_perm("sso_sessions.change_session"))
