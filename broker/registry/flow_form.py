"""The console's form of a flow: what an operator says of it before it is proposed."""

from typing import Any

from django import forms
from unfold.widgets import (
    INPUT_CLASSES,
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminEmailInputWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from broker.registry.forms import LinesField
from broker.registry.models import Flow
from broker.registry.registering.flow_drafts import APPROVABLE, FlowWish

PURPOSE_CHARS = 300


class FlowForm(forms.Form):
    """Everything that is approved of a flow. Client, grant and resource stand; `standing` is the one it replaces."""

    scopes = forms.MultipleChoiceField(label="Scopes", widget=UnfoldAdminCheckboxSelectMultipleWidget)
    subject_class = forms.ChoiceField(
        label="Tokens speak for", choices=Flow.SubjectClass.choices, widget=UnfoldAdminSelectWidget
    )
    impersonation = forms.BooleanField(
        label="Impersonation",
        required=False,
        widget=UnfoldBooleanWidget,
        help_text="Whether the client may become the person, so that no actor is named. A second operator approves it.",
    )
    purpose = forms.CharField(label="Purpose", max_length=PURPOSE_CHARS, widget=UnfoldAdminTextInputWidget)
    data_classes = LinesField(
        label="Data classes",
        widget=UnfoldAdminTextareaWidget({"rows": 3}),
        help_text="One on each line, like invoices. With person in the name a second operator approves it.",
    )
    owner = forms.EmailField(
        label="Owner", widget=UnfoldAdminEmailInputWidget, help_text="Who answers for it, and is told of its end."
    )
    expires = forms.DateField(
        label="Last day",
        widget=forms.DateInput({"type": "date", "class": " ".join(INPUT_CLASSES)}, format="%Y-%m-%d"),
        help_text="In UTC.",
    )

    def __init__(self, *args: Any, flow: Flow, standing: Flow | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        known = flow.resource.scopes
        self.fields["scopes"].choices = [  # type: ignore[attr-defined]  # of a field that has choices
            (scope, f"{scope}: {meaning}") for scope, meaning in known.items()
        ]
        if not self.is_bound:
            self.initial = {name: getattr(flow, name) or getattr(standing, name, None) for name in APPROVABLE}
            # A wish that goes beyond the standing flow widens it: taking its place must not take anything away.
            wished = dict.fromkeys([*(standing.scopes if standing else ()), *flow.scopes])
            self.initial["scopes"] = [scope for scope in wished if scope in known]

    def wish(self) -> FlowWish:
        """What was entered, for `propose_flow`."""
        entered = self.cleaned_data
        return FlowWish(
            scopes=list(entered["scopes"]),
            subject_class=entered["subject_class"],
            impersonation=entered["impersonation"],
            purpose=entered["purpose"],
            data_classes=entered["data_classes"],
            owner=entered["owner"],
            expires=entered["expires"],
        )
