"""The console's form of a webhook, saved by the service like every party's."""

from typing import Any, ClassVar

from django import forms

from broker.notify import services
from broker.notify.models import Subscription
from broker.registry.forms import LinesField, PartyForm


class SubscriptionForm(PartyForm):
    """A webhook and what it is about."""

    type_lines = LinesField(
        label="Types of event",
        help_text="One on each line: person.deactivated, leaver.* for all that begin so, or * for every one.",
    )

    class Meta:
        model = Subscription
        fields = ("slug", "name", "owner", "url", "enabled")
        field_classes: ClassVar = {"url": forms.CharField}  # judged by values.web_address

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.is_new and "type_lines" in self.fields:
            self.initial["type_lines"] = self.instance.types

    def register(self) -> Subscription:
        """See PartyForm. The secret of a new one is shown by the page that follows."""
        fields = self.entered("name", "owner", "url", "enabled") | {"types": self.cleaned_data["type_lines"]}
        if self.is_new:
            return services.create_subscription(self.cleaned_data["slug"], actor=self.actor, **fields)[0]
        return services.change_subscription(self.row(), actor=self.actor, **fields)
