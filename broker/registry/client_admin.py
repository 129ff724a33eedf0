"""Clients in the console: whose they are, by what they prove it, and what is known of each credential's use."""

from datetime import timedelta
from typing import Any, ClassVar, cast

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Max, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import action
from unfold.widgets import UnfoldAdminIntegerFieldWidget

from broker import limits
from broker.http import operator_actor
from broker.registry.client_form import ClientForm, means_as_text
from broker.registry.credentials import due_credentials, list_credentials
from broker.registry.models import Client, ClientSecret
from broker.registry.party_admin import LiveFilter, PartyAdmin
from broker.registry.registering import clients
from broker.registry.secret_rotation import rotate_secret
from broker.registry.secrets import end_secret, issue_secret
from broker.registry.values import BadValue

SOON_DAYS = max(limits.CREDENTIAL_EXPIRY_NOTICES)
"""A credential that ends within these days is marked."""


class OverlapForm(forms.Form):
    """How long the secret in use goes on beside a new one."""

    overlap_days = forms.IntegerField(
        label="Days that the secret in use goes on at most",
        min_value=1,
        max_value=limits.CLIENT_SECRET_OVERLAP_MAX.days,
        initial=limits.CLIENT_SECRET_OVERLAP.days,
        widget=UnfoldAdminIntegerFieldWidget,
    )


class ClientAdmin(PartyAdmin):
    """OAuth clients: applications' OpenID faces and integrations."""

    form = ClientForm
    fixed = ("client_id", "kind")
    shown = ("credentials_shown", "created_at", "retired_at")
    retire_with = staticmethod(clients.retire_client)
    actions_detail: ClassVar = ["rotate_secret", "end_older_secrets", "retire"]
    list_display = (
        "client_id", "kind", "application", "owner_shown", "enabled", "authentication", "last_used", "next_end",
    )  # fmt: skip
    list_filter = (LiveFilter, "enabled", "kind", "authentication")
    list_select_related = ("application",)
    search_fields = ("client_id", "owner", "application__slug")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Client]:  # noqa: ARG002 - Django's signature
        last_use = Max("credential_uses__last_used_at")
        return Client.objects.prefetch_related("secrets").annotate(last_use=last_use)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """What is known of its credentials stands above the form, which is long."""
        fields = super().get_fields(request, obj)
        first = (*self.fixed, "credentials_shown")
        return fields if obj is None else (*first, *(name for name in fields if name not in first))

    def get_urls(self) -> list[URLPattern]:
        """One page more: the end of one secret."""
        end = self.admin_site.admin_view(self.end_secret_view)
        pattern = path("<path:object_id>/end-secret/<int:secret_id>/", end, name="registry_client_end_secret")
        return [pattern, *super().get_urls()]

    @admin.display(description="owner", ordering="owner")
    def owner_shown(self, client: Client) -> SafeString | str:
        """Who answers for it; marked where nobody does. A sign-on client's owner is its application's."""
        owner = client.owner or (client.application.owner if client.application else "")
        return owner or format_html('<span class="cs-bad">{}</span>', "no owner")

    @admin.display(description="last used (UTC)", ordering="last_use")
    def last_used(self, client: Any) -> str:
        """When it last authenticated, to the minute."""
        return f"{client.last_use:%Y-%m-%d %H:%M}" if client.last_use else "never"

    @admin.display(description="next end")
    def next_end(self, client: Client) -> SafeString | str:
        """The days to the nearest end of a live credential; marked when it is near or past."""
        now = timezone.now()
        ends = [one.due_at for _, one in due_credentials([client], now=now) if one.is_live and one.due_at]
        if not ends:
            return "none"
        days = (min(ends) - now).days
        left = f"{days} days" if days >= 0 else f"{-days} days ago"
        return format_html('<span class="{}">{}</span>', "cs-bad" if days < SOON_DAYS else "", left)

    @admin.display(description="credentials")
    def credentials_shown(self, client: Client) -> SafeString:
        """Each credential with its evidence. No secret: only rows, kids, thumbprints and subjects."""
        now = timezone.now()
        listed = [(one, one.days_left(now)) for one in list_credentials(client, now=now)]
        context = {"client": client, "credentials": listed, "soon": SOON_DAYS, "is_retired": client.retired_at}
        return SafeString(render_to_string("admin/registry/credentials.html", context))

    @admin.display(description="redirect URIs")
    def redirect_lines(self, client: Client) -> str:
        """For viewers, who see no form."""
        return "\n".join(client.redirect_uris)

    @admin.display(description="redirect URIs after sign-out")
    def post_logout_lines(self, client: Client) -> str:
        """For viewers, who see no form."""
        return "\n".join(client.post_logout_redirect_uris)

    @admin.display(description="its public keys")
    def key_text(self, client: Client) -> str:
        """For viewers, who see no form."""
        return str(means_as_text(client)["key_text"])

    @admin.display(description="the name in its certificate")
    def tls_lines(self, client: Client) -> str:
        """For viewers, who see no form."""
        return "\n".join(means_as_text(client)["tls_lines"])

    @admin.display(description="its self-signed certificates")
    def certificate_text(self, client: Client) -> str:
        """For viewers, who see no form."""
        return str(means_as_text(client)["certificate_text"])

    @admin.display(description="the workload that stands for it")
    def workload_lines(self, client: Client) -> str:
        """For viewers, who see no form."""
        return "\n".join(means_as_text(client)["workload_lines"])

    def response_add(self, request: HttpRequest, obj: Client, post_url_continue: str | None = None) -> HttpResponse:
        """The page with the new client's secret. Not a message: messages travel in a cookie."""
        client = Client.objects.get(pk=obj.pk)
        if clients.has_secret_authentication(client):
            return self._secret_page(request, client, issue_secret(client, actor=operator_actor(request)))
        return cast(HttpResponse, super().response_add(request, obj, post_url_continue))

    @action(description="Rotate the secret", icon="key", url_path="rotate-secret", permissions=["change"])
    def rotate_secret(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask by GET how long the one in use goes on; by POST issue a new one and show it once."""
        client = get_object_or_404(Client, pk=object_id, retired_at=None)
        form = OverlapForm(request.POST if request.method == "POST" else None)
        if form.is_bound and form.is_valid():
            overlap = timedelta(days=form.cleaned_data["overlap_days"])
            try:
                value = rotate_secret(client, overlap=overlap, actor=operator_actor(request))
            except BadValue as error:
                messages.error(request, f"The secret of {client} is not rotated: {error}.")
                return HttpResponseRedirect(self.address("change", client.pk))
            return self._secret_page(request, client, value)
        explanation = (
            "The new secret lives beside the one in use. That one ends when nobody has used it for "
            f"{limits.CLIENT_SECRET_UNUSED.days} days, or at its date."
        )
        return self._question(request, client, "Rotate the secret", explanation, form=form)

    @action(description="End older secrets", icon="key_off", url_path="end-older-secrets", permissions=["change"])
    def end_older_secrets(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask by GET; by POST end every secret but the newest."""
        client = get_object_or_404(Client, pk=object_id, retired_at=None)
        if request.method == "POST":
            for secret in list(client.secrets.order_by("-created_at", "-pk"))[1:]:
                end_secret(secret, reason="operator", actor=operator_actor(request))
            return HttpResponseRedirect(self.address("change", client.pk))
        return self._question(request, client, "End older secrets", "Only the newest one works from now on.")

    def end_secret_view(self, request: HttpRequest, object_id: str, secret_id: int) -> HttpResponse:
        """Ask by GET; by POST end that one secret."""
        client = get_object_or_404(Client, pk=object_id, retired_at=None)
        secret = get_object_or_404(ClientSecret, pk=secret_id, client=client)
        if not self.has_change_permission(request, client):
            raise PermissionDenied
        if request.method == "POST":
            end_secret(secret, reason="operator", actor=operator_actor(request))
            return HttpResponseRedirect(self.address("change", client.pk))
        explanation = f"Whoever still uses secret {secret.pk} is refused from now on."
        return self._question(request, client, "End this secret", explanation)

    def _secret_page(self, request: HttpRequest, client: Client, secret: str) -> HttpResponse:
        return self._page(request, client, title="Client secret", secret=secret)

    def _question(
        self, request: HttpRequest, client: Client, title: str, explanation: str, *, form: forms.Form | None = None
    ) -> HttpResponse:
        question = f"{title} of {client}?"
        return self._page(request, client, title=title, question=question, explanation=explanation, form=form)

    def _page(self, request: HttpRequest, client: Client, **context: object) -> HttpResponse:
        shared = {**self.admin_site.each_context(request), "opts": self.opts, "client": client}
        page = {**shared, **context, "back": self.address("change", client.pk)}
        return TemplateResponse(request, "admin/registry/secret.html", page)
