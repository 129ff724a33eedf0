"""The console's pages of watches: how often a target is reconciled, and what may be done about drift."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from broker import limits
from broker.http import operator_actor
from broker.wording import in_words
from provisioning.planning.models import Watch
from provisioning.planning.watching import watch_target


class WatchForm(forms.ModelForm):
    """Interval and policy."""

    class Meta:
        model = Watch
        fields = ("target", "interval", "policy")

    def clean_interval(self) -> Any:
        """Not so often that a target does nothing else."""
        interval = self.cleaned_data["interval"]
        if interval < limits.RECONCILE_INTERVAL_LEAST:
            raise forms.ValidationError(f"At least {in_words(limits.RECONCILE_INTERVAL_LEAST)}, as HH:MM:SS.")
        return interval


@admin.register(Watch)
class WatchAdmin(ModelAdmin):
    """One row per target that has a rule of its own."""

    form = WatchForm
    list_display = ("target", "interval", "policy", "changed_by", "changed_at")
    list_select_related = ("target",)
    actions = None

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        """A watch stays with its target."""
        return ("target",) if obj is not None else ()

    def save_model(self, request: HttpRequest, obj: Watch, form: Any, change: bool) -> None:  # noqa: FBT001 - Django's
        """Through the service that everyone uses."""
        watch = watch_target(
            obj.target, interval=obj.interval, policy=Watch.Policy(obj.policy), actor=operator_actor(request)
        )
        obj.pk = watch.pk
