"""What the console's pages of the directory have in common: rows that no form changes."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from unfold.admin import ModelAdmin

from broker.console_rows import ReadOnly
from broker.errors import BrokerError


class ReadOnlyAdmin(ReadOnly, ModelAdmin):
    """Rows that no hand changes."""

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Whether this account may do more than look."""
        return bool(request.user.has_perm(f"{self.opts.app_label}.change_{self.opts.model_name}"))

    def page(self, request: HttpRequest, template: str, **context: Any) -> HttpResponse:
        """A page of its own within the console."""
        standing = {**self.admin_site.each_context(request), "opts": self.opts}
        return TemplateResponse(request, f"admin/directory/{template}", standing | context)


def told(error: BrokerError) -> str:
    """A refusal in a sentence for operators."""
    return f"{error.refusal.meaning} Expected: {error.expected}. Actual: {error.actual}."
