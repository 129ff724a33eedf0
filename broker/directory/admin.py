"""People in the console: read, closed and opened again; links can be taken away. Logins and HR write the rest."""

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import Count, Max, QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import action

from broker.actors import Actor, ActorKind
from broker.directory.linking import unlink_identity
from broker.directory.models import Group, Identifier, LinkedIdentity, Membership, Person
from broker.directory.services import deactivate_person, reactivate_person
from broker.http import actor_from

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


class ReadOnlyAdmin(ModelAdmin):
    """Rows that no hand changes."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Whether this account may do more than look."""
        return bool(request.user.has_perm(f"{self.opts.app_label}.change_{self.opts.model_name}"))


@admin.register(Person)
class PersonAdmin(ReadOnlyAdmin):
    """People, with what identifies them and where they last signed on."""

    list_display = ("name", "id", "organisation", "is_active", "identifier_values", "last_login", "created_at")
    list_filter = ("organisation", "is_active")
    list_select_related = ("organisation",)
    search_fields = ("id", "name", "identifiers__comparable", "external_id", "linked_identities__subject")
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

    @admin.display(description="last sign-on")
    def last_login(self, person: Any) -> Any:
        """When the person last signed on, through whichever identity provider."""
        return person.last_login

    @action(description="Close the accounts", permissions=["operate"])
    def close_accounts(self, request: HttpRequest, queryset: QuerySet[Person]) -> None:
        """Every door closes at once: sessions, tokens and console accounts ask at each use."""
        for person in queryset:
            deactivate_person(person, reason=REASON, actor=operator_actor(request))
        messages.success(request, f"{len(queryset)} accounts are closed.")

    @action(description="Open the accounts again", permissions=["operate"])
    def open_accounts(self, request: HttpRequest, queryset: QuerySet[Person]) -> None:
        """Sessions and tokens of before stay ended."""
        for person in queryset:
            reactivate_person(person, reason=REASON, actor=operator_actor(request))
        messages.success(request, f"{len(queryset)} accounts are open.")


@admin.register(Group)
class GroupAdmin(ReadOnlyAdmin):
    """Groups as identity providers name them."""

    list_display = ("name", "identity_provider", "member_count")
    list_filter = ("identity_provider",)
    list_select_related = ("identity_provider",)
    search_fields = ("name",)

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


def operator_actor(request: HttpRequest) -> Actor:
    """The operator behind a console request."""
    return actor_from(request).acting_as(ActorKind.OPERATOR, request.user.get_username())
