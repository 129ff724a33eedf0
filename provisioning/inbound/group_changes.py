"""What a PATCH or PUT asks of a group, as sets of members: the group itself is not loaded to be changed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from scim2_models import InvalidPathException, InvalidValueException, PatchOp
from scim2_models.path import AttrPath, CompareOperator, Comparison, FilterNode, LogicalExpr, LogicalOperator, ValuePath

from provisioning.scim.mapping import GROUP_SCHEMA


@dataclass(slots=True)
class GroupChange:
    """What becomes of a group. `replaced` None: the members stay, but for those `added` and `removed`.

    A name or external id of None was not spoken of; an external id of "" is taken away.
    """

    display_name: str | None = None
    external_id: str | None = None
    replaced: dict[str, None] | None = None
    added: dict[str, None] = field(default_factory=dict)
    removed: dict[str, None] = field(default_factory=dict)

    def add(self, values: Iterable[str]) -> None:
        """These come in."""
        for value in values:
            self.removed.pop(value, None)
            if self.replaced is None:
                self.added[value] = None
            else:
                self.replaced[value] = None

    def remove(self, values: Iterable[str]) -> None:
        """These go."""
        for value in values:
            self.added.pop(value, None)
            if self.replaced is None:
                self.removed[value] = None
            else:
                self.replaced.pop(value, None)

    def replace(self, values: Iterable[str]) -> None:
        """These and nobody else."""
        self.replaced, self.added, self.removed = dict.fromkeys(values), {}, {}


def change_of_document(document: Mapping[str, Any]) -> GroupChange:
    """Of a PUT. Members that it does not speak of stay: only an empty list empties a group."""
    change = GroupChange(display_name=_text("displayName", document.get("displayName")))
    change.external_id = str(document.get("externalId") or "")
    if document.get("members") is not None:
        change.replace(values_of(document["members"]))
    return change


def change_of_patch(patch: "PatchOp[Any]") -> GroupChange:
    """Of a PATCH, its operations in their order. Raises InvalidPathException, InvalidValueException."""
    change = GroupChange()
    for operation in patch.operations or ():
        verb = operation.op.value
        node = operation.path.ast if operation.path is not None else None
        if node is None:
            if not isinstance(operation.value, Mapping):
                raise InvalidValueException(detail="an operation without a path has an object as its value")
            for name, value in operation.value.items():
                _apply(change, verb, _plain(name), value)
        elif isinstance(node, AttrPath) and node.sub_attr is None:
            _apply(change, verb, _plain(str(operation.path)), operation.value)
        elif isinstance(node, ValuePath) and _plain(str(node.attr_path)) == "members" and node.sub_attr is None:
            chosen = _chosen(node.val_filter)
            if verb == "remove":
                change.remove(chosen)
            else:
                change.add(chosen)
        else:
            raise InvalidPathException(path=str(operation.path), detail="members are chosen by their value alone")
    return change


def values_of(members: Any) -> list[str]:
    """The ids of members, each once. Raises InvalidValueException."""
    entries = members if isinstance(members, list) else [members]
    found: dict[str, None] = {}
    for entry in entries:
        value = entry
        if isinstance(entry, Mapping):
            value = next((one for name, one in entry.items() if name.lower() == "value"), None)
        elif not isinstance(entry, str):
            value = getattr(entry, "value", None)
        if not isinstance(value, str) or not value:
            raise InvalidValueException(detail="each member has a value, the id of a User")
        found[value] = None
    return list(found)


def _apply(change: GroupChange, verb: str, name: str, value: Any) -> None:
    if name == "members":
        if verb == "add":
            change.add(values_of(value))
        elif verb == "replace":
            change.replace([] if value is None else values_of(value))
        elif value is None:
            change.replace(())
        else:
            change.remove(values_of(value))
    elif name == "displayname":
        change.display_name = _text("displayName", None if verb == "remove" else value)
    elif name == "externalid":
        change.external_id = "" if verb == "remove" or value is None else _text("externalId", value)
    elif name not in {"schemas", "id", "meta"}:
        raise InvalidPathException(path=name[:200], detail=f"{name[:200]} is nothing that a Group has")


def _chosen(node: FilterNode) -> list[str]:
    """The values that a choice names. Raises InvalidPathException for one that is not by value."""
    if isinstance(node, Comparison):
        is_value = node.attr_path.attr.lower() == "value" and node.attr_path.sub_attr is None
        if is_value and node.op == CompareOperator.eq and isinstance(node.value, str):
            return [node.value]
    if isinstance(node, LogicalExpr) and node.op == LogicalOperator.or_:
        return [value for term in node.terms for value in _chosen(term)]
    raise InvalidPathException(detail='members are chosen by their value alone: members[value eq "…"]')


def _plain(name: str) -> str:
    lower = name.lower()
    return lower.removeprefix(f"{GROUP_SCHEMA}:".lower())


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise InvalidValueException(detail=f"{name} is missing or empty")
    return value
