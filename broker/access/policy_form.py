"""The console's forms of policies and of what they may speak of."""

from typing import Any, ClassVar

from django import forms
from unfold.widgets import UnfoldAdminTextareaWidget

from broker.access.declaring import change_schema, current_schema
from broker.access.models import Policy, PolicySchema
from broker.access.registering import add_version, change_policy, newest_version, register_policy
from broker.registry.forms import LinesField, PartyForm


class PolicyForm(PartyForm):
    """A policy, and the text of its newest version."""

    resource_types = LinesField(
        label="Confined to types of resource",
        required=False,
        help_text="One on each line. Rules that reach beyond are refused. Empty: any type.",
    )
    applications = LinesField(
        label="Confined to sign-ons at",
        required=False,
        help_text="Short names of applications, one on each line. Empty: any application.",
    )
    rules = forms.CharField(
        strip=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 18, "class": "cs-code", "spellcheck": "false"}),
        help_text="Cedar. Saving another text adds a version, which holds nowhere yet: it can be tried beside what is "
        "in force, and a second operator brings it into force.",
    )

    class Meta:
        model = Policy
        fields = ("slug", "name", "owner", "description", "resource_types", "applications")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        newest = None if self.is_new else newest_version(self.instance)
        if newest is not None and "rules" in self.fields:
            self.initial["rules"] = newest.source
        if "owner" in self.fields:
            self.fields["owner"].required = True

    def register(self) -> Policy:
        """See PartyForm."""
        fields: Any = self.entered("name", "owner", "description", "resource_types", "applications")
        if self.is_new:
            policy = register_policy(self.cleaned_data["slug"], actor=self.actor, **fields)
        else:
            policy = change_policy(self.row(), actor=self.actor, **fields)
        newest = newest_version(policy)
        rules = self.cleaned_data["rules"].replace("\r\n", "\n")
        # A browser drops the last line break of a text; that alone is no other text.
        if newest is None or newest.source.rstrip() != rules.rstrip():
            add_version(policy, rules, actor=self.actor)
        return policy


class SchemaForm(PartyForm):
    """What policies may speak of. Saving makes a new schema; the old one stays as it was."""

    class Meta:
        model = PolicySchema
        fields = ("source", "person_properties", "client_properties")
        labels: ClassVar = {
            "source": "Types and actions",
            "person_properties": "What callers send of a user",
            "client_properties": "What callers send of a client",
        }
        help_texts: ClassVar = {
            "source": "Declarations of types of resource and of actions, as Cedar writes a schema.",
            "person_properties": "Members of a record, such as role?: String, level?: Long",
        }
        widgets: ClassVar = {
            name: UnfoldAdminTextareaWidget(attrs={"rows": rows, "class": "cs-code", "spellcheck": "false"})
            for name, rows in (("source", 16), ("person_properties", 3), ("client_properties", 3))
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.is_new:
            standing = current_schema()
            self.initial = {name: getattr(standing, name) for name in self._meta.fields or ()} | dict(self.initial)

    def register(self) -> PolicySchema:
        """See PartyForm."""
        return change_schema(actor=self.actor, **{name: self.cleaned_data[name] for name in self._meta.fields or ()})
