"""Signing in to the console, and changing one's own password."""

from typing import cast

from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm
from django.contrib.auth.views import LoginView, PasswordChangeView
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse_lazy
from django.utils import timezone

from broker import limits
from broker.console import services
from broker.console.forms import OwnPasswordForm, SignInForm
from broker.console.middleware import SEEN_AT
from broker.console.models import Operator
from broker.http import actor_from, operator_actor

TOO_MANY_REQUESTS = 429


class SignInView(LoginView):
    """The console's entrance. django-axes counts failures by address and place, and answers through the backends."""

    authentication_form = SignInForm
    template_name = "admin/sign_in.html"

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        """Open a session under a new key, with an absolute end."""
        with transaction.atomic():
            response = super().form_valid(form)
            services.record_sign_in(form.get_user(), actor=actor_from(self.request))
        now = timezone.now()
        self.request.session.set_expiry(now + limits.OPERATOR_SESSION_ABSOLUTE)
        self.request.session[SEEN_AT] = now.isoformat()
        return response

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        """Refuse, and say so when the address is locked."""
        raw_email = form.cleaned_data.get("username")
        if not raw_email or not form.cleaned_data.get("password"):
            return super().form_invalid(form)
        lockout = _lockout_of(self.request)
        services.record_refused_sign_in(raw_email, lockout=lockout, actor=actor_from(self.request))
        if lockout is services.Lockout.NONE:
            return super().form_invalid(form)
        minutes = int(limits.OPERATOR_LOCKOUT.total_seconds() // 60)
        context = self.get_context_data(form=form, locked_minutes=minutes)
        response = self.render_to_response(context, status=TOO_MANY_REQUESTS)
        response["Retry-After"] = str(int(limits.OPERATOR_LOCKOUT.total_seconds()))
        return response


class OwnPasswordView(PasswordChangeView):
    """An operator's own password. The session goes on under a new key; the account's other sessions end."""

    form_class = OwnPasswordForm
    template_name = "admin/own_password.html"
    success_url = reverse_lazy("admin:index")

    def form_valid(self, form: PasswordChangeForm) -> HttpResponse:
        """Store the password, which the form has validated."""
        operator = cast(Operator, self.request.user)
        password = form.cleaned_data["new_password1"]
        services.change_own_password(operator, password=password, actor=operator_actor(self.request))
        update_session_auth_hash(self.request, operator)
        messages.success(self.request, "Your password is changed.")
        return HttpResponseRedirect(self.get_success_url())


def _lockout_of(request: HttpRequest) -> services.Lockout:
    """What axes left on the request: a mark when locked, and the count of failures when this one was counted."""
    if not getattr(request, "axes_locked_out", False):
        return services.Lockout.NONE
    was_counted = getattr(request, "axes_failures_since_start", None) is not None
    return services.Lockout.BEGINS if was_counted else services.Lockout.LASTING
