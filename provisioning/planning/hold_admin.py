"""The console's pages of what the breaker holds: who asked, who may release it, and whose accounts it is about."""

from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from broker.approvals.services import pending_of
from broker.directory.models import Person
from broker.errors import BrokerError
from broker.http import operator_actor
from provisioning.outbound.models import Hold
from provisioning.planning.models import Plan
from provisioning.planning.pages import ReadOnlyAdmin, in_sentences
from provisioning.planning.releasing import KIND, OPEN, ask_release, held_rows

PER_PAGE = 100


@admin.register(Hold)
class HoldAdmin(ReadOnlyAdmin):
    """Disables and deletions that wait, the newest first."""

    nothing_here = "Nothing is held back. What closes too many accounts at once waits here."
    list_display = ("name", "target", "state", "count", "accounts", "opened_at", "asked_by", "decided_by")
    list_display_links = ("name",)
    list_filter = ("state", "target")
    list_select_related = ("target",)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """GET: what waits. POST: ask a second operator for its release."""
        hold: Hold = self.found(request, object_id)
        if request.method == "POST":
            return self._ask(request, hold)
        approval = pending_of(KIND, hold.pk)
        page = Paginator(held_rows(hold).order_by("pk"), PER_PAGE).get_page(request.GET.get("p"))
        return self.page(
            request,
            "hold.html",
            title=f"Held at {hold.target}",
            original=hold,
            hold=hold,
            approval=approval,
            is_own=approval is not None and approval.requested_by_id == request.user.pk,
            share=f"{100 * hold.target.breaker_share:g}",
            plan=Plan.objects.filter(hold=hold.name).first(),
            page_of=page,
            rows=_named(list(page)),
            may_ask=hold.state in OPEN and approval is None and self.has_change_permission(request),
        )

    def _ask(self, request: HttpRequest, hold: Hold) -> HttpResponse:
        if not self.has_change_permission(request):
            raise PermissionDenied
        try:
            approval = ask_release(hold, actor=operator_actor(request))
        except BrokerError as error:
            messages.error(request, in_sentences(error))
            return HttpResponseRedirect(reverse("admin:outbound_hold_change", args=[hold.pk]))
        messages.success(request, "A second operator finds it among the approvals.")
        return HttpResponseRedirect(reverse("admin:approvals_approval_change", args=[approval.pk]))


def _named(rows: list[Any]) -> list[tuple[Any, Person | None]]:
    """The rows of the ledger with the people they are about."""
    ids = {row.pk: UUID(row.subject.partition(":")[2]) for row in rows if row.subject.startswith("person:")}
    people = Person.objects.in_bulk(set(ids.values()))
    return [(row, people.get(ids[row.pk]) if row.pk in ids else None) for row in rows]
