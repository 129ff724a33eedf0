"""Parties in the console. Every save goes through the registering services, with the operator as the actor."""

import json
from datetime import datetime
from typing import Any, ClassVar

from django.conf import settings
from django.contrib import admin
from django.db.models import Count, Max, OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.admin import StackedInline
from unfold.decorators import action

from broker.registry import forms
from broker.registry.client_admin import ClientAdmin
from broker.registry.flow_admin import FlowAdmin
from broker.registry.forms import PartyForm
from broker.registry.models import (
    Application,
    Client,
    Flow,
    IdentityProvider,
    Organisation,
    Resource,
    ServiceProvider,
)
from broker.registry.openid_form import OpenIDProviderForm
from broker.registry.party_admin import LiveFilter, PartyAdmin
from broker.registry.registering import applications, identity_providers, organisations, resources

SOON_DAYS = 60
"""Certificates and dates that end within these days are marked."""


@admin.register(Organisation)
class OrganisationAdmin(PartyAdmin):
    """Companies of the group, with their proved domains."""

    form = forms.OrganisationForm
    fixed = ("slug",)
    shown = ("created_at", "retired_at")
    retire_with = staticmethod(organisations.retire_organisation)
    list_display = ("slug", "name", "domain_names", "owner", "enabled", "identity_provider_count")
    list_filter = (LiveFilter, "enabled")
    search_fields = ("slug", "name", "domains__name")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Organisation]:
        live = Count("identity_providers", filter=Q(identity_providers__retired_at=None), distinct=True)
        return Organisation.objects.prefetch_related("domains").annotate(identity_provider_count=live)

    @admin.display(description="domains")
    def domain_names(self, organisation: Organisation) -> str:
        """The proved domains."""
        return ", ".join(domain.name for domain in organisation.domains.all() if domain.proved_at)

    @admin.display(description="identity providers", ordering="identity_provider_count")
    def identity_provider_count(self, organisation: Any) -> int:
        """How many live identity providers it has."""
        return int(organisation.identity_provider_count)


@admin.register(IdentityProvider)
class IdentityProviderAdmin(PartyAdmin):
    """Upstream identity providers, with what their metadata or their discovery document says."""

    form = forms.IdentityProviderForm
    openid_form = OpenIDProviderForm
    openid_shown = (
        "protocol",
        "issuer",
        "discovery_shown",
        "discovered_at",
        "discovery_problem",
        "id",
        "created_at",
        "retired_at",
    )
    fixed = ("organisation", "slug")
    shown = (
        "protocol",
        "issuer",
        "sso_url",
        "sso_binding",
        "certificate_list",
        "scopes_shown",
        "metadata_url",
        "metadata_shown",
        "id",
        "created_at",
        "retired_at",
    )
    retire_with = staticmethod(identity_providers.retire_identity_provider)
    change_form_outer_before_template = "admin/registry/connect_instead.html"
    actions_list: ClassVar = ["connect"]
    actions_detail: ClassVar = ["test", "retire"]
    list_display = ("slug", "name", "organisation", "enabled", "certificate_ends", "last_login", "issuer")
    list_filter = (LiveFilter, "enabled", "organisation")
    list_select_related = ("organisation",)
    search_fields = ("slug", "name", "issuer", "home_realm_domains__name")

    def get_queryset(self, request: HttpRequest) -> QuerySet[IdentityProvider]:
        # The directory stands on this floor too: its links are reached by the relation, not by an import.
        links = IdentityProvider._meta.get_field("linked_identities").related_model._default_manager
        of_this = links.filter(identity_provider=OuterRef("pk")).order_by().values("identity_provider")
        last_login = Subquery(of_this.annotate(at=Max("last_used_at")).values("at"))
        return IdentityProvider.objects.annotate(last_login=last_login)

    def get_form(  # the two protocols have little in common
        self,
        request: HttpRequest,
        obj: IdentityProvider | None = None,
        change: bool = False,  # noqa: FBT001, FBT002 - Django's signature
        **kwargs: Any,
    ) -> type[PartyForm]:
        """The form of the provider's protocol."""
        if _is_openid(obj):
            kwargs["form"] = self.openid_form
        return super().get_form(request, obj, change=change, **kwargs)

    def get_fields(self, request: HttpRequest, obj: IdentityProvider | None = None) -> tuple[str, ...]:
        if _is_openid(obj):
            return (*self.openid_form.base_fields, *self.openid_shown)
        return super().get_fields(request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: IdentityProvider | None = None) -> tuple[str, ...]:
        if _is_openid(obj):
            return (*self.fixed, *self.openid_shown)
        return super().get_readonly_fields(request, obj)

    @action(description="Connect an identity provider", icon="add_link", permissions=["add"])
    def connect(self, request: HttpRequest) -> HttpResponse:
        """On to the pages that lead through it."""
        return HttpResponseRedirect(reverse(settings.CONNECTION_PAGES["connect"]))

    @action(description="Test", icon="network_check", permissions=["change"])
    def test(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """On to the page that tries it out."""
        identity_provider = get_object_or_404(IdentityProvider, pk=object_id, retired_at=None)
        return HttpResponseRedirect(reverse(settings.CONNECTION_PAGES["test"], args=[identity_provider.slug]))

    @admin.display(description="last sign-on")
    def last_login(self, identity_provider: Any) -> Any:
        """When somebody last signed on through it."""
        return identity_provider.last_login

    @admin.display(description="certificate ends")
    def certificate_ends(self, identity_provider: IdentityProvider) -> SafeString | str:
        """The end of the last certificate, with the days left."""
        ends = [datetime.fromisoformat(one["not_after"]) for one in identity_provider.certificates]
        return _days_left(max(ends)) if ends else "none"

    @admin.display(description="certificates")
    def certificate_list(self, identity_provider: IdentityProvider) -> SafeString | str:
        """Each signing certificate: subject, fingerprint, end."""
        rows = [
            (one["subject"], one["fingerprint"], _days_left(datetime.fromisoformat(one["not_after"])))
            for one in identity_provider.certificates
        ]
        return format_html_join("", '<p>{}</p><p class="cs-message">{}</p><p>{}</p>', rows) or "none"

    @admin.display(description="metadata as registered")
    def metadata_shown(self, identity_provider: IdentityProvider) -> SafeString:
        """The XML, folded."""
        return _folded(identity_provider.metadata)

    @admin.display(description="scopes in its metadata")
    def scopes_shown(self, identity_provider: IdentityProvider) -> str:
        """The domains that its metadata says it speaks for."""
        return ", ".join(identity_provider.asserted_scopes) or "none given"

    @admin.display(description="discovery document, as far as we use it")
    def discovery_shown(self, identity_provider: IdentityProvider) -> SafeString:
        """Each member with its value."""
        rows = ((name, json.dumps(value)) for name, value in identity_provider.discovery.items())
        return format_html_join("", '<p>{}</p><p class="cs-message">{}</p>', rows)

    @admin.display(description="scopes")
    def scope_lines(self, identity_provider: IdentityProvider) -> str:
        """For viewers, who see no form."""
        return " ".join(identity_provider.scopes)

    @admin.display(description="our secret there")
    def new_secret(self, identity_provider: IdentityProvider) -> str:
        """For viewers, who see no form: whether there is one."""
        return "sealed" if identity_provider.client_secret_sealed else "none"

    @admin.display(description="document read last")
    def read_anew(self, identity_provider: IdentityProvider) -> Any:
        """For viewers, who see no form."""
        return identity_provider.discovered_at

    @admin.display(description="e-mail domains")
    def home_realm(self, identity_provider: IdentityProvider) -> str:
        """For viewers, who see no form."""
        return ", ".join(forms.home_realm_names(identity_provider))


class ServiceProviderInline(StackedInline):
    """An application's SAML face, as it was configured."""

    model = ServiceProvider
    fields = (
        "entity_id", "name_id", "sign", "encrypt", "require_signed_requests", "idp_initiated", "metadata_shown",
    )  # fmt: skip
    readonly_fields = fields
    can_delete = False
    extra = 0

    @admin.display(description="metadata")
    def metadata_shown(self, face: ServiceProvider) -> SafeString:
        """The XML, folded."""
        return _folded(face.metadata)

    def has_add_permission(self, request: HttpRequest, obj: Any) -> bool:
        return False


@admin.register(Application)
class ApplicationAdmin(PartyAdmin):
    """Business systems downstream."""

    form = forms.ApplicationForm
    fixed = ("slug",)
    shown = ("created_at", "retired_at")
    inlines: ClassVar = [ServiceProviderInline]
    retire_with = staticmethod(applications.retire_application)
    list_display = ("slug", "name", "kind", "owner", "enabled", "faces")
    list_filter = (LiveFilter, "enabled", "kind")
    search_fields = ("slug", "name", "owner")

    def get_inlines(self, request: HttpRequest, obj: Application | None) -> list[type[StackedInline]]:
        """The SAML face, where there is one."""
        return self.inlines if obj is not None and getattr(obj, "service_provider", None) else []

    def get_queryset(self, request: HttpRequest) -> QuerySet[Application]:
        return Application.objects.select_related("service_provider").prefetch_related("clients")

    @admin.display(description="faces")
    def faces(self, application: Application) -> str:
        """How it signs people on."""
        live = [one for one in application.clients.all() if one.kind == Client.Kind.SIGN_ON and not one.retired_at]
        saml = ["SAML"] if getattr(application, "service_provider", None) else []
        return ", ".join([f"OpenID ({client.client_id})" for client in live] + saml) or "none"


@admin.register(Resource)
class ResourceAdmin(PartyAdmin):
    """APIs for which access tokens are issued."""

    form = forms.ResourceForm
    fixed = ("identifier",)
    retire_with = staticmethod(resources.retire_resource)
    list_display = ("identifier", "scope_names", "token_algorithm", "token_lifetime")
    search_fields = ("identifier",)

    @admin.display(description="scopes")
    def scope_names(self, resource: Resource) -> str:
        """The names of its scopes."""
        return ", ".join(resource.scopes)

    @admin.display(description="scopes")
    def scope_lines(self, resource: Resource) -> str:
        """For viewers, who see no form."""
        return "\n".join(forms.scope_lines(resource))


admin.site.register(Client, ClientAdmin)
admin.site.register(Flow, FlowAdmin)


def _is_openid(identity_provider: IdentityProvider | None) -> bool:
    return identity_provider is not None and identity_provider.protocol == IdentityProvider.Protocol.OIDC


def _folded(text: str) -> SafeString:
    """A long text that opens when it is asked for."""
    return format_html(
        '<details><summary>{} characters</summary><p class="cs-message">{}</p></details>', len(text), text
    )


def _days_left(end: datetime) -> SafeString:
    """A date and how far it is away; marked when it is near or past."""
    days = (end - timezone.now()).days
    left = f"{days} days left" if days >= 0 else f"ended {-days} days ago"
    return format_html('<span class="{}">{} ({})</span>', "cs-bad" if days < SOON_DAYS else "", end.date(), left)
