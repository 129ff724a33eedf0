"""The pages of the wizard: the source, the preview with its form, and switching on."""

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from broker.errors import BrokerError
from broker.http import operator_actor
from broker.registry.services import find_identity_provider
from broker.registry.values import BadValue
from federation.connecting.forms import ConnectionForm, SourceForm, suggestions
from federation.connecting.found import FoundProvider, find_in, find_openid
from federation.connecting.services import enable_connection as enable

TITLE = "Connect an identity provider"


@require_http_methods(["GET", "POST"])
def connect(request: HttpRequest) -> HttpResponse:
    """GET and POST /admin/connections/new/: where it describes itself; by POST the preview of it."""
    _require(request, "registry.add_identityprovider")
    if request.method == "GET":
        return _page(request, "source", form=SourceForm())
    form = SourceForm(request.POST, request.FILES)
    if not form.is_valid():
        return _page(request, "source", form=form)
    found = form.found
    return _preview(request, ConnectionForm(found=found, actor=operator_actor(request), initial=suggestions(found)))


@require_POST
def save(request: HttpRequest) -> HttpResponse:
    """POST /admin/connections/new/save/: register it, not enabled, and go on to its test."""
    _require(request, "registry.add_identityprovider")
    found = _found_again(request)
    if found is None:
        return HttpResponseRedirect(reverse("connect_identity_provider"))
    form = ConnectionForm(request.POST, found=found, actor=operator_actor(request))
    if not form.is_valid():
        return _preview(request, form)
    try:
        identity_provider = form.save()
    except BadValue as error:
        form.add_error(None, str(error))
        return _preview(request, form)
    messages.success(request, f"{identity_provider} is registered and not enabled yet. Test it now.")
    return HttpResponseRedirect(reverse("test_connection", args=[identity_provider.slug]))


@require_POST
def enable_connection(request: HttpRequest, slug: str) -> HttpResponse:
    """POST /admin/connections/<slug>/enable/: from now on people are sent there."""
    _require(request, "registry.change_identityprovider")
    identity_provider = find_identity_provider(slug)
    if identity_provider is None:
        raise Http404
    enable(identity_provider, actor=operator_actor(request))
    messages.success(request, f"{identity_provider} is enabled.")
    return HttpResponseRedirect(reverse("admin:registry_identityprovider_change", args=[identity_provider.pk]))


def _found_again(request: HttpRequest) -> FoundProvider | None:
    """What the preview showed: the same metadata, or the discovery document of the same issuer, read anew."""
    try:
        if issuer := request.POST.get("issuer"):
            return find_openid(issuer)
        # Browsers send the lines of a text with CR LF, whatever they were.
        text = request.POST.get("metadata", "").replace("\r\n", "\n")
        return find_in(text, metadata_url=request.POST.get("metadata_url", ""))
    except (BrokerError, BadValue) as error:
        messages.error(request, f"What was found cannot be read again: {error}")
        return None


def _preview(request: HttpRequest, form: ConnectionForm) -> HttpResponse:
    return _page(request, "preview", form=form, found=form.found)


def _page(request: HttpRequest, name: str, **context: object) -> HttpResponse:
    shared = {**admin.site.each_context(request), "title": TITLE}
    return TemplateResponse(request, f"admin/connections/{name}.html", {**shared, **context})


def _require(request: HttpRequest, permission: str) -> None:
    if not request.user.has_perm(permission):
        raise PermissionDenied
