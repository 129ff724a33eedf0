"""The console's form of an enforcement point, saved by the service like every party's."""

from typing import Any

from broker.access import points
from broker.access.models import EnforcementPoint
from broker.registry.forms import LinesField, PartyForm


class EnforcementPointForm(PartyForm):
    """A client that asks for decisions, and its types of resource. What is declared comes by configuration files."""

    type_lines = LinesField(
        label="Types of resource",
        help_text="One on each line, with the actions on it: record: read, write. "
        "Of application and api, the client's own alone.",
    )

    class Meta:
        model = EnforcementPoint
        fields = ("client",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.is_new and "type_lines" in self.fields:
            self.initial["type_lines"] = type_lines(self.instance)

    def register(self) -> EnforcementPoint:
        """See PartyForm."""
        types: dict[str, list[str]] = {}
        for line in self.cleaned_data["type_lines"]:
            name, _, actions = line.partition(":")
            types[name.strip()] = [action.strip() for action in actions.split(",") if action.strip()]
        if self.is_new:
            return points.register_point(self.cleaned_data["client"], actor=self.actor, resource_types=types)
        return points.change_point(self.row(), actor=self.actor, resource_types=types)


def type_lines(point: EnforcementPoint) -> list[str]:
    """The types with their actions, one on each line."""
    return [f"{name}: {', '.join(actions)}" for name, actions in point.resource_types.items()]
