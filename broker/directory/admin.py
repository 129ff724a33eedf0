"""People in the console: read, closed and opened again; links can be taken away. Logins and HR write the rest."""

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import Count, Max, QuerySet
from django.http import HttpRequest, HttpResponse
from unfold.admin import TabularInline
from unfold.decorators import action

from broker.directory.authority import explain_person
from broker.directory.authority_admin import AuthorityRuleAdmin, ConflictAdmin
from broker.directory.evidence import with_addresses
from broker.directory.linking import unlink_identity
from broker.directory.looking import ReadOnlyAdmin
from broker.directory.models import (
    AuthorityRule,
    Conflict,
    Group,
    Identifier,
    LinkedIdentity,
    Membership,
    Person,
)
from broker.directory.services import deactivate_person, reactivate_person
from broker.http import operator_actor

REASON = "operator"


class ReadOnlyInline(TabularInline):
    """Rows beside their owner, to look at."""

    extra = 0
    hide_title = True
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class IdentifierInline(ReadOnlyInline):
    model = Identifier
    fields = ("kind", "value", "since")


class LinkedIdentityInline(ReadOnlyInline):
    model = LinkedIdentity
    fields = ("identity_provider", "issuer", "subject", "linked_at", "linked_by", "last_used_at")


class MembershipInline(ReadOnlyInline):
    model = Membership
    fields = ("group", "since")


@admin.register(Person)
class PersonAdmin(ReadOnlyAdmin):
    """People, with what identifies them and where they last signed on."""

    list_display = ("name", "id", "organisation", "is_active", "identifier_values", "last_login", "created_at")
    list_filter = ("organisation", "is_active")
    list_select_related = ("organisation",)
    search_fields = ("id", "name", "identifiers__comparable", "external_id", "linked_identities__subject")
    fields = ("name", "id", "organisation", "external_id", "is_active", "version", "created_at", "updated_at")
    change_form_template = "admin/directory/person.html"
    inlines: ClassVar = [IdentifierInline, LinkedIdentityInline, MembershipInline]
    actions: ClassVar = ["close_accounts", "open_accounts"]
    list_per_page = 50
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Person]:
        last_login = Max("linked_identities__last_used_at")
        return Person.objects.prefetch_related("identifiers").annotate(last_login=last_login)

    @admin.display(description="identifiers")
    def identifier_values(self, person: Person) -> str:
        """The e-mail address and the like."""
        return ", ".join(identifier.value for identifier in person.identifiers.all())

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The person, and every value with its source, time and evidence: the one in force, and those that lost."""
        person = self.get_object(request, object_id)
        explained = with_addresses(explain_person(person)) if person is not None else []
        extra = {**(extra_context or {}), "explained": explained}
        answer: HttpResponse = super().change_view(request, object_id, form_url, extra)
        return answer

    @admin.display(description="last sign-on")
    def last_login(self, person: Any) -> Any:
        """When the person last signed on, through whichever identity provider."""
        return person.last_login

    @action(description="Close the accounts", permissions=["operate"])
    def close_accounts(self, request: HttpRequest, queryset: QuerySet[Person]) -> None:
        """Every door closes at once: sessions, tokens and console accounts ask at each use."""
        for person in queryset:
            deactivate_person(person, reason=REASON, actor=operator_actor(request))
        messages.success(request, f"{_accounts(len(queryset))} closed.")

    @action(description="Open the accounts again", permissions=["operate"])
    def open_accounts(self, request: HttpRequest, queryset: QuerySet[Person]) -> None:
        """Sessions and tokens of before stay ended."""
        people = [reactivate_person(person, reason=REASON, actor=operator_actor(request)) for person in queryset]
        closed = sum(not person.is_active for person in people)
        if closed < len(people):
            messages.success(request, f"{_accounts(len(people) - closed)} open.")
        if closed:
            text = f"{closed} stay closed: a source with authority says so. See the conflicts."
            messages.warning(request, text)


@admin.register(Group)
class GroupAdmin(ReadOnlyAdmin):
    """Groups as identity providers and feeds name them."""

    list_display = ("name", "source", "member_count", "updated_at")
    list_filter = ("source",)
    search_fields = ("name", "external_id")
    fields = (
        "name",
        "source",
        "identity_provider",
        "uid",
        "external_id",
        "member_count",
        "version",
        "created_at",
        "updated_at",
    )
    readonly_fields = ("uid", "member_count")
    list_per_page = 50

    def get_queryset(self, request: HttpRequest) -> QuerySet[Group]:
        return Group.objects.annotate(member_count=Count("memberships"))

    @admin.display(description="members")
    def member_count(self, group: Any) -> Any:
        """How many people are in it."""
        return group.member_count


@admin.register(LinkedIdentity)
class LinkedIdentityAdmin(ReadOnlyAdmin):
    """Which subject of which identity provider is which person."""

    list_display = ("subject", "identity_provider", "issuer", "person", "linked_at", "linked_by", "last_used_at")
    list_filter = ("identity_provider",)
    list_select_related = ("identity_provider", "person")
    search_fields = ("subject", "person__id", "person__name")
    actions: ClassVar = ["unlink"]
    show_full_result_count = False

    @action(description="Take the links away", permissions=["operate"])
    def unlink(self, request: HttpRequest, queryset: QuerySet[LinkedIdentity]) -> None:
        """The subject's next login meets the rules of a new one."""
        links = list(queryset)
        with transaction.atomic():
            for linked in links:
                unlink_identity(linked, actor=operator_actor(request))
        messages.success(request, f"{len(links)} links are gone.")


admin.site.register(Conflict, ConflictAdmin)
admin.site.register(AuthorityRule, AuthorityRuleAdmin)


def _accounts(number: int) -> str:
    return f"{number} {'account is' if number == 1 else 'accounts are'}"
