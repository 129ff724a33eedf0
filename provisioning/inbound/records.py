"""The columns of a record: the comparable forms by which it is found, read out of its document."""

import json
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from scim2_models import InvalidValueException

from broker import limits
from broker.directory.attributes import comparable, is_writable
from broker.parts import in_parts
from provisioning.inbound.models import KEY_CHARS, Record, RecordValue, ScimSource
from provisioning.scim.mapping import ENTERPRISE_SCHEMA

PEOPLE_PER_STATEMENT = 5_000


def live_records(source: ScimSource | int) -> QuerySet[Record]:
    """The records that exist for the source, or the one of this key."""
    return Record.objects.filter(source=source, deleted_at=None)


def known_people(source: ScimSource | int, people: Iterable[UUID]) -> set[UUID]:
    """Those of them of whom the source has told."""
    found = set[UUID]()
    for part in in_parts(people, PEOPLE_PER_STATEMENT):
        rows = live_records(source).filter(person__in=part).order_by()
        found.update(rows.values_list("person_id", flat=True))
    return found


def columns_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """The forms by which a record is found. Raises InvalidValueException."""
    name = document.get("name") or {}
    extension = document.get(ENTERPRISE_SCHEMA) or {}
    emails = document.get("emails") or []
    primary = next((one for one in emails if one.get("primary")), emails[0] if emails else {})
    if len(json.dumps(document)) > limits.SCIM_USER_CHARS:
        raise InvalidValueException(detail=f"a User has at most {limits.SCIM_USER_CHARS} characters")
    user_name = document.get("userName")
    if not isinstance(user_name, str) or not user_name.strip():
        raise InvalidValueException(detail="userName is missing or empty")
    return {
        "user_name": key("userName", user_name),
        "external_id": exact("externalId", document.get("externalId")),
        "display_name": key("displayName", document.get("displayName")),
        "given_name": key("name.givenName", name.get("givenName")),
        "family_name": key("name.familyName", name.get("familyName")),
        "nick_name": key("nickName", document.get("nickName")),
        "title": key("title", document.get("title")),
        "user_type": key("userType", document.get("userType")),
        "employee_number": key("employeeNumber", extension.get("employeeNumber")),
        "department": key("department", extension.get("department")),
        "active": document.get("active"),
        "email": key("emails.value", primary.get("value")),
        "email_type": key("emails.type", primary.get("type")),
    }


def key(attribute: str, value: Any) -> str | None:
    """The comparable form. Raises InvalidValueException for what no column and no page takes."""
    return None if value is None else exact(attribute, comparable(str(value)))


def exact(attribute: str, value: Any) -> str | None:
    if value is None or value == "":
        return None if attribute == "externalId" else value
    text = str(value)
    if len(text) > KEY_CHARS or not is_writable(attribute, text):
        raise InvalidValueException(detail=f"{attribute} is too long, or holds a control character")
    return text


def write_values(record: Record, document: Mapping[str, Any]) -> None:
    rows = [
        RecordValue(
            record=record,
            source_id=record.source_id,
            attribute=attribute,
            value=key(f"{attribute}.value", entry.get("value")),
            type=key(f"{attribute}.type", entry.get("type")),
            primary=entry.get("primary"),
        )
        for attribute in RecordValue.Attribute.values
        for entry in document.get(attribute) or ()
    ]
    if rows:
        RecordValue.objects.bulk_create(rows)
