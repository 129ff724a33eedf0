"""The admin site as the security team sees it."""

from typing import Any, cast

from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.views import LogoutView
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from unfold.sites import UnfoldAdminSite

from broker.console.dashboard import read_dashboard
from broker.console.views import OwnPasswordView, SignInView


class ConsoleSite(UnfoldAdminSite):
    """The console: every room's `admin.py` registers here."""

    site_title = "Countersign"
    site_header = "Countersign"
    index_title = "Overview"

    @method_decorator(never_cache)
    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The sign-in page, or the overview for those who are in."""
        if request.method == "GET" and self.has_permission(request):
            return HttpResponseRedirect(reverse("admin:index"))
        context = {**self.each_context(request), "title": "Sign in", **(extra_context or {})}
        if REDIRECT_FIELD_NAME not in {**request.GET, **request.POST}:
            context[REDIRECT_FIELD_NAME] = reverse("admin:index")
        return cast(HttpResponse, SignInView.as_view(extra_context=context)(request))

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """One's own password."""
        context = {**self.each_context(request), "title": "Change your password", **(extra_context or {})}
        return cast(HttpResponse, OwnPasswordView.as_view(extra_context=context)(request))

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:  # noqa: ARG002 - Django's signature
        """End the console session (POST), and show the sign-in page."""
        return LogoutView.as_view(next_page=reverse("admin:login"))(request)

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """The overview."""
        context = {"dashboard": read_dashboard(now=timezone.now()), **(extra_context or {})}
        return cast(TemplateResponse, super().index(request, context))
