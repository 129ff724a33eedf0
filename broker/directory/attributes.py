"""What can be said of a person: the names of attributes, where each lives, and which values can be kept.

Names are those of OpenID Connect where it has one. `active` is ("true",) or ("false",); every attribute is a tuple of
texts, and () says that there is none.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from broker import limits
from broker.directory.identifiers import comparable
from broker.directory.models import Group, Identifier, Person
from broker.errors import BrokerError

Values = tuple[str, ...]
Claims = Mapping[str, Values]

ACTIVE = "active"
TRUE, FALSE = ("true",), ("false",)
NAMES = ("name", "given_name", "family_name")
"""Columns of the person."""
IDENTIFIERS = tuple(Identifier.Kind.values)
"""Rows of their own, since each is one person's at a time."""
VOCABULARY = (
    ACTIVE,
    "user_name",
    "email",
    "eppn",
    *NAMES,
    "middle_name",
    "nickname",
    "title",
    "user_type",
    "preferred_language",
    "locale",
    "timezone",
    "phone_number",
    "employee_number",
    "cost_center",
    "organization",
    "division",
    "department",
    "manager",
)
"""What feeds and targets have in common. Logins may bring further claims."""
SINGLE = frozenset({ACTIVE, *NAMES, *IDENTIFIERS})
"""What has one value, in one line."""
ELSEWHERE = frozenset({"groups"})
"""What is no attribute of a person."""
_NAME = re.compile(r"[^\s\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
_COLUMNS: dict[str, Any] = {
    **{name: Person._meta.get_field(name) for name in NAMES},
    "groups": Group._meta.get_field("name"),
    **dict.fromkeys(IDENTIFIERS, Identifier._meta.get_field("comparable")),
}
_ROOM: dict[str, int] = {name: column.max_length for name, column in _COLUMNS.items()}
_LINES = frozenset("\t\n\r")


def has_room_for(claim: str, value: str) -> bool:
    """Whether the column of a claim holds this value: SQLite would take a longer one, and PostgreSQL refuses it."""
    room = _ROOM.get(claim)
    stored = comparable(value) if claim in IDENTIFIERS else value
    return room is None or max(len(value), len(stored)) <= room


def is_writable(name: str, value: str) -> bool:
    """Whether a value holds no character that no database keeps, or that only hides; lines only where there may be."""
    for letter in value:
        category = unicodedata.category(letter)
        if category == "Cs" or (category == "Cc" and (name in SINGLE or letter not in _LINES)):
            return False
    return True


def check_claims(claims: Claims) -> None:
    """Raise BrokerError when something cannot be kept: authority.attribute, authority.value, authority.too_large."""
    if len(claims) > limits.DIRECTORY_ATTRIBUTES:
        raise _too_large("attributes", limits.DIRECTORY_ATTRIBUTES, len(claims))
    total = 0
    for name, values in claims.items():
        check_name(name)
        check_values(name, values)
        total += sum(len(value) for value in values)
    if total > limits.DIRECTORY_CHARS:
        raise _too_large("characters in all", limits.DIRECTORY_CHARS, total)


def check_name(name: str) -> None:
    """Raise BrokerError("authority.attribute") unless something of a person can be kept under this name."""
    if name in ELSEWHERE or len(name) > limits.DIRECTORY_ATTRIBUTE_CHARS or not _NAME.fullmatch(name):
        raise BrokerError("authority.attribute", expected="the name of an attribute", actual=name[:100])


def check_values(name: str, values: Sequence[str]) -> None:
    """Raise BrokerError when the values of one attribute cannot be kept."""
    if len(values) > limits.DIRECTORY_VALUES:
        raise _too_large(f"values of {name}", limits.DIRECTORY_VALUES, len(values))
    if name in SINGLE and len(values) > 1:
        raise BrokerError("authority.value", detail=name, expected="one value", actual=f"{len(values)} values")
    if name == ACTIVE and tuple(values) not in (TRUE, FALSE):
        raise BrokerError("authority.value", detail=name, expected='"true" or "false"', actual="something else")
    for value in values:
        if not isinstance(value, str):
            raise BrokerError("authority.value", detail=name, expected="texts", actual=type(value).__name__)
        if len(value) > limits.DIRECTORY_VALUE_CHARS or not has_room_for(name, value):
            room = _ROOM.get(name) or limits.DIRECTORY_VALUE_CHARS
            raise _too_large(f"characters of {name}", room, len(value))
        if not is_writable(name, value):
            raise BrokerError(
                "authority.value", detail=name, expected="no control characters", actual="a control character"
            )
        if not value.strip() and name in SINGLE:
            raise BrokerError("authority.value", detail=name, expected="a value, or none", actual="an empty value")


def _too_large(what: str, limit: int, actual: int) -> BrokerError:
    return BrokerError("authority.too_large", expected=f"at most {limit} {what}", actual=actual)
