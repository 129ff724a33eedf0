"""The console's forms of authority: a rule, and the moment from which a source wins."""

from django import forms
from unfold.widgets import INPUT_CLASSES, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from broker.registry.forms import LinesField

_MOMENT = "%Y-%m-%dT%H:%M"


class MomentForm(forms.Form):
    """When something begins, and why. `expected` is the number that the simulation showed."""

    valid_from = forms.DateTimeField(
        label="From",
        required=False,
        input_formats=[_MOMENT],
        widget=forms.DateTimeInput({"type": "datetime-local", "class": " ".join(INPUT_CLASSES)}, format=_MOMENT),
        help_text="In UTC. Empty: at once.",
    )
    note = forms.CharField(label="Note", required=False, max_length=500, widget=UnfoldAdminTextInputWidget)
    expected = forms.IntegerField(required=False, min_value=0, widget=forms.HiddenInput)


class RuleForm(MomentForm):
    """Which sources speak for an attribute."""

    attribute = forms.CharField(
        label="Attribute", max_length=128, widget=UnfoldAdminTextInputWidget, help_text="For example title or email."
    )
    sources = LinesField(
        label="Sources",
        required=False,
        widget=UnfoldAdminTextareaWidget({"rows": 4}),
        help_text="One on each line, the best first: scim:workday, csv:payroll, operator, idp:acme-entra, or idp:* for "
        "all identity providers. One that is not named has no authority. None at all: the usual order.",
    )
    field_order = ("attribute", "sources", "valid_from", "note", "expected")
