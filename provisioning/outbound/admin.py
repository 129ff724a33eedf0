"""Targets in the console: how they are, what they can do, and every account and group that we keep there."""

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.decorators import action

from broker.console_rows import ReadOnly
from broker.delivery.models import Lane
from broker.delivery.progress import progress
from broker.http import operator_actor
from broker.registry.party_admin import LiveFilter, PartyAdmin
from broker.registry.values import BadValue
from provisioning.outbound import registering
from provisioning.outbound.connectors.base import Capabilities, TargetError
from provisioning.outbound.forms import CredentialForm, TargetForm
from provisioning.outbound.health import Health, health_of
from provisioning.outbound.models import CatchUp, RemoteAccount, RemoteGroup, Target
from provisioning.outbound.probing import probe


@admin.register(Target)
class TargetAdmin(PartyAdmin):
    """The applications' SCIM services."""

    form = TargetForm
    fixed = ("application", "slug")
    shown = (
        "standing",
        "caught_up",
        "lane_state",
        "credential_state",
        "abilities",
        "evidence",
        "created_at",
        "retired_at",
    )
    retire_with = staticmethod(registering.retire_target)
    actions_detail: ClassVar = ["probe", "rotate", "retire"]
    list_display = (
        "slug",
        "application",
        "owner",
        "accounts_standing",
        "lane_word",
        "waiting",
        "dead",
        "last_confirmed",
        "enabled",
    )
    list_filter = (LiveFilter, "enabled", "leaver_policy", "group_strategy")
    list_select_related = ("application",)
    search_fields = ("slug", "name", "owner", "application__slug")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """The credential is entered once; afterwards it is replaced on its own page."""
        names = super().get_fields(request, obj)
        return names if obj is None else tuple(name for name in names if name != "credential")

    @admin.display(description="what is told of a person")
    def mapping_lines(self, target: Target) -> str:
        """For viewers, who see no form."""
        return "\n".join(f"{path}: {rule}" for path, rule in target.mapping.items())

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """The list, with the health of its targets read at once."""
        found = super().get_changelist_instance(request)
        health = health_of(found.result_list)
        for target in found.result_list:
            target.held_health = health[target.pk]
        return found

    @admin.display(description="accounts")
    def accounts_standing(self, target: Target) -> SafeString:
        """Those that stand of those that should; and what should be closed and is not."""
        health = _health(target)
        style = "cs-bad" if not health.is_well else "cs-good" if health.expected else ""
        text = f"{health.standing} of {health.expected}"
        if health.closing:
            text += f", {health.closing} not closed yet"
        if health.lied:
            text += f", {health.lied} only said to be closed"
        return format_html('<span class="{}">{}</span>', style, text)

    @admin.display(description="lane")
    def lane_word(self, target: Target) -> SafeString | str:
        """Whether anything goes there."""
        state = _health(target).lane
        if not state:
            return "never used"
        word = Lane.State(state).label
        return word if state == Lane.State.OPEN else format_html('<span class="cs-bad">{}</span>', word)

    @admin.display(description="waiting")
    def waiting(self, target: Target) -> int:
        """Deliveries that are not decided."""
        return _health(target).waiting

    @admin.display(description="dead")
    def dead(self, target: Target) -> int:
        """Deliveries that were given up."""
        return _health(target).dead

    @admin.display(description="last confirmed")
    def last_confirmed(self, target: Target) -> str:
        """When the target last confirmed something."""
        at = _health(target).last_confirmed
        return f"{at:%Y-%m-%d %H:%M} UTC" if at else "never"

    @admin.display(description="accounts there")
    def standing(self, target: Target) -> SafeString:
        """The same as in the list, with the way to each account."""
        address = reverse("admin:outbound_remoteaccount_changelist")
        return format_html(
            '{}, <a href="{}?target__id__exact={}">all accounts</a>', self.accounts_standing(target), address, target.pk
        )

    @admin.display(description="caught up")
    def caught_up(self, target: Target) -> SafeString | str:
        """How far it was caught up with, and what became of what was asked for."""
        found = CatchUp.objects.filter(target=target).first()
        if found is None:
            return "never needed: it was not switched off, or emptied, while it held accounts"
        sent = progress(reference=found.reference)
        stage = "caught up with" if found.stage == CatchUp.Stage.ENDED else found.get_stage_display()
        return format_html(
            '{}; people looked at: {}; <a href="{}?queue=all&amp;q={}">deliveries</a> asked for: {}, confirmed: {},'
            " open: {}, of them held: {}, dead: {}; by {} at {} UTC",
            "switched off again before the end" if found.code else stage,
            found.people,
            reverse("admin:delivery_delivery_changelist"),
            found.reference,
            found.enqueued,
            sent.confirmed + sent.skipped,
            sent.open,
            sent.held,
            sent.dead,
            found.asked_by,
            f"{found.asked_at:%Y-%m-%d %H:%M}",
        )

    @admin.display(description="lane")
    def lane_state(self, target: Target) -> SafeString | str:
        """The way to the lane, and what waits in it."""
        lane = Lane.objects.filter(name=target.lane).first()
        if lane is None:
            return "never used"
        health = _health(target)
        return format_html(
            '<a href="{}">{}</a>: {}, {} waiting, {} dead, last confirmed {}',
            reverse("admin:delivery_lane_change", args=[lane.pk]),
            target.lane,
            lane.get_state_display(),
            health.waiting,
            health.dead,
            self.last_confirmed(target),
        )

    @admin.display(description="credential")
    def credential_state(self, target: Target) -> str:
        """That there is one and since when, never what it is."""
        if not target.credential_sealed:
            return "none: nothing can be sent"
        at = target.credential_changed_at
        return f"sealed, since {at:%Y-%m-%d %H:%M} UTC" if at else "sealed"

    @admin.display(description="what it can do")
    def abilities(self, target: Target) -> str:
        """What the last probe proved."""
        if target.probe_problem:
            return f"the last probe failed: {target.probe_problem}"
        if target.probed_at is None:
            return "not probed yet; the first delivery does it"
        can = Capabilities.of(target.capabilities)
        parts = [
            f"changes accounts by {can.method.upper()}",
            f"finds them by {'externalId' if can.finds_external_id else 'userName only'}",
            "closes them" if can.closes else "DOES NOT close them",
            "deletes them" if can.deletes else "does not delete them",
            f"lists by {can.paging}",
            "checks versions (If-Match)" if can.wants_if_match else "checks no versions",
            f"takes bulks of {can.bulk_operations}" if can.bulk else "takes no bulk",
            f"changes groups by {can.group_method.upper()}" if can.group_method else "groups were not probed",
        ]
        return f"{'; '.join(parts)} (probed {target.probed_at:%Y-%m-%d %H:%M} UTC)"

    @admin.display(description="evidence of the probe")
    def evidence(self, target: Target) -> SafeString | str:
        """Each step and its result."""
        steps = [(one["step"], one["result"]) for one in Capabilities.of(target.capabilities).evidence]
        return format_html_join("", "<div>{}: {}</div>", steps) or "none"

    @action(description="Probe", icon="troubleshoot", url_path="probe", permissions=["change"])
    def probe(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask by GET; by POST try out what the target can do."""
        target = self._target(request, object_id)
        if request.method != "POST":
            return self._page(request, target, "admin/outbound/probe.html", "Probe the target")
        try:
            probe(target, actor=operator_actor(request))
        except TargetError as error:
            messages.error(request, f"{error.refusal.meaning} {error.detail} {error.refusal.remedy}".strip())
        else:
            messages.success(request, f"{target} was probed.")
        return HttpResponseRedirect(self.address("change", target.pk))

    @action(description="Replace the credential", icon="key", url_path="credential", permissions=["change"])
    def rotate(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask by GET; by POST seal another credential."""
        target = self._target(request, object_id)
        form = CredentialForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            try:
                is_new = registering.rotate_credential(
                    target, form.cleaned_data["credential"], actor=operator_actor(request)
                )
            except BadValue as error:
                form.add_error("credential", str(error))
            else:
                said = "has another credential from now on" if is_new else "had this credential already"
                messages.success(request, f"{target} {said}.")
                return HttpResponseRedirect(self.address("change", target.pk))
        return self._page(request, target, "admin/outbound/credential.html", "Replace the credential", form=form)

    def _target(self, request: HttpRequest, object_id: str) -> Target:
        target = get_object_or_404(Target.objects.select_related("application"), pk=object_id)
        if not self.has_change_permission(request, target):
            raise PermissionDenied
        return target

    def _page(self, request: HttpRequest, target: Target, template: str, title: str, **more: Any) -> HttpResponse:
        back = self.address("change", target.pk)
        page = {"opts": self.opts, "title": title, "target": target, "back": back, **more}
        return TemplateResponse(request, template, {**self.admin_site.each_context(request), **page})


class _ReadOnly(ReadOnly, ModelAdmin):
    """What deliveries write, and the console shows."""

    actions = None
    list_per_page = 50
    show_full_result_count = False

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return tuple(str(name) for name in self.fields or ())

    def _deliveries(self, lane: str, subject: str) -> SafeString:
        address = reverse("admin:delivery_delivery_changelist")
        return format_html('<a href="{}?queue=all&amp;lane={}&amp;q={}">{}</a>', address, lane, subject, subject)


@admin.register(RemoteAccount)
class RemoteAccountAdmin(_ReadOnly):
    """Accounts at targets: what should be there, what was sent, what was read back."""

    nothing_here = "No account is kept yet. Register a target, and say who belongs there."
    list_display = ("person", "target", "aim", "state", "read_as", "read_at", "adopted", "lied_at")
    list_filter = ("target", "aim", "state", "was_adopted")
    list_select_related = ("person", "target")
    search_fields = ("person__id__exact", "remote_id__exact", "person__name")
    search_help_text = "A person's id or name, or the target's own id"
    fields = (
        "target",
        "person",
        "aim",
        "wanted_at",
        "state",
        "remote_id",
        "adopted",
        "sent_at",
        "read_at",
        "read_as",
        "as_wanted",
        "lied_at",
        "answer_digest",
        "etag",
        "deliveries",
    )

    @admin.display(description="read back as", ordering="read_active")
    def read_as(self, account: RemoteAccount) -> SafeString | str:
        """Active or closed: which of them is well depends on what should be there."""
        if account.read_active is None:
            return "not read" if account.read_at is None else "not there"
        word = "active" if account.read_active else "closed"
        is_wanted = account.read_active == (account.aim == RemoteAccount.Aim.PRESENT)
        style = "" if account.aim == RemoteAccount.Aim.LEFT else "cs-good" if is_wanted else "cs-bad"
        return format_html('<span class="{}">{}</span>', style, word)

    @admin.display(description="adopted", ordering="was_adopted")
    def adopted(self, account: RemoteAccount) -> str:
        """Whether it was there before us."""
        return "yes, it was there before us" if account.was_adopted else "no"

    @admin.display(description="read as wanted")
    def as_wanted(self, account: RemoteAccount) -> str:
        """Whether what was last read is what should be there."""
        if not account.read_digest:
            return "not read yet"
        return "yes" if account.read_digest == account.wanted_digest else "no"

    @admin.display(description="deliveries")
    def deliveries(self, account: RemoteAccount) -> SafeString:
        """The way to what was sent."""
        return self._deliveries(account.target.lane, f"person:{account.person_id}")


@admin.register(RemoteGroup)
class RemoteGroupAdmin(_ReadOnly):
    """Groups at targets, with the members that were read back."""

    list_display = ("name", "target", "aim", "state", "read_members", "awaited_members", "foreign_members", "read_at")
    list_filter = ("target", "aim", "state")
    list_select_related = ("target",)
    search_fields = ("name", "group_uid__exact", "remote_id__exact")
    fields = (
        "target",
        "name",
        "group_uid",
        "aim",
        "wanted_at",
        "state",
        "remote_id",
        "was_adopted",
        "sent_at",
        "read_at",
        "read_name",
        "read_members",
        "awaited_members",
        "foreign_members",
        "answer_digest",
        "deliveries",
    )

    @admin.display(description="deliveries")
    def deliveries(self, group: RemoteGroup) -> SafeString:
        """The way to what was sent."""
        return self._deliveries(group.target.lane, f"group:{group.group_uid}")


def _health(target: Target) -> Health:
    held: Health | None = getattr(target, "held_health", None)
    return held or health_of([target])[target.pk]
