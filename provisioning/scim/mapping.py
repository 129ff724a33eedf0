"""A person's attributes as a SCIM User and back (RFC 7643 sections 4.1 and 4.3), and groups.

The attribute names are those of `broker.directory.authority`; values are tuples of strings, `active` is "true" or
"false". What SCIM knows and that vocabulary does not (addresses, photos, ...) stays in the resource alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from scim2_models import EnterpriseUser, Group, GroupMember, User

Attributes = Mapping[str, tuple[str, ...]]
USER_SCHEMA = str(User.__schema__)
ENTERPRISE_SCHEMA = str(EnterpriseUser.__schema__)
GROUP_SCHEMA = str(Group.__schema__)

# One value each: {our name: SCIM's path}. A path with a dot lies in a complex attribute.
CORE_PATHS: dict[str, str] = {
    "user_name": "userName",
    "name": "displayName",
    "given_name": "name.givenName",
    "family_name": "name.familyName",
    "middle_name": "name.middleName",
    "nickname": "nickName",
    "title": "title",
    "user_type": "userType",
    "preferred_language": "preferredLanguage",
    "locale": "locale",
    "timezone": "timezone",
}
ENTERPRISE_PATHS: dict[str, str] = {
    "employee_number": "employeeNumber",
    "cost_center": "costCenter",
    "organization": "organization",
    "division": "division",
    "department": "department",
    "manager": "manager.value",
}
# Several values, the primary one first: {our name: SCIM's multi-valued attribute}.
PLURAL_PATHS: dict[str, str] = {"email": "emails", "phone_number": "phoneNumbers"}
ATTRIBUTES = frozenset({"active", *CORE_PATHS, *ENTERPRISE_PATHS, *PLURAL_PATHS})
"""Every attribute that a User can carry; others are left out when one is written."""


def attributes_of_user(user: User[EnterpriseUser]) -> dict[str, tuple[str, ...]]:
    """What a User says of a person: only attributes that have a value are in it.

    `name` is displayName, else name.formatted. Several e-mail addresses and telephone numbers come with the primary
    one first. `active` that is not said is "true" (RFC 7643 section 4.1.1 leaves it to us).
    """
    return attributes_of_document(user.model_dump())


def attributes_of_document(document: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """The same of a User's JSON, in SCIM's own spelling of names."""
    found: dict[str, tuple[str, ...]] = {"active": ("false",) if document.get("active") is False else ("true",)}
    extension = document.get(ENTERPRISE_SCHEMA) or {}
    for paths, place in ((CORE_PATHS, document), (ENTERPRISE_PATHS, extension)):
        for attribute, path in paths.items():
            value = _read(place, path)
            if value:
                found[attribute] = (value,)
    if "name" not in found and (formatted := _read(document, "name.formatted")):
        found["name"] = (formatted,)
    for attribute, path in PLURAL_PATHS.items():
        values = _primary_first(document.get(path) or ())
        if values:
            found[attribute] = values
    return found


def user_of_attributes(attributes: Attributes, *, external_id: str, remote_id: str | None = None) -> User[Any]:
    """The User that says this of a person. Attributes that SCIM has no place for are left out, empty ones too.

    Without a `user_name` the e-mail address serves. Of several values the first one is primary.
    """
    return User[EnterpriseUser].model_validate(
        document_of_attributes(attributes, external_id=external_id, remote_id=remote_id)
    )


def document_of_attributes(attributes: Attributes, *, external_id: str, remote_id: str | None = None) -> dict[str, Any]:
    """The same as canonical JSON: equal attributes give an equal document."""
    document: dict[str, Any] = {"schemas": [USER_SCHEMA]}
    if remote_id is not None:
        document["id"] = remote_id
    if external_id:
        document["externalId"] = external_id
    _write_all(document, CORE_PATHS, attributes)
    if "userName" not in document and attributes.get("email"):
        document["userName"] = attributes["email"][0]
    if name := attributes.get("name"):
        document.setdefault("name", {})["formatted"] = name[0]
    if active := attributes.get("active"):
        document["active"] = active[0] == "true"
    for attribute, path in PLURAL_PATHS.items():
        values = [value for value in attributes.get(attribute, ()) if value]
        if values:
            document[path] = [
                {"value": value, "type": "work" if number == 0 else "other", "primary": number == 0}
                for number, value in enumerate(values)
            ]
    extension: dict[str, Any] = {}
    _write_all(extension, ENTERPRISE_PATHS, attributes)
    if extension:
        document["schemas"].append(ENTERPRISE_SCHEMA)
        document[ENTERPRISE_SCHEMA] = extension
    return document


def group_of(
    display_name: str, *, external_id: str = "", remote_id: str | None = None, members: Sequence[str] | None = None
) -> Group:
    """A Group with these members (SCIM ids). None: the members are not spoken of."""
    return Group(
        id=remote_id,
        external_id=external_id or None,
        display_name=display_name,
        members=None if members is None else [GroupMember(value=member, type="User") for member in members],
    )


def _read(place: Mapping[str, Any], path: str) -> str:
    """The text at a path of one or two steps, empty where there is none."""
    head, _, tail = path.partition(".")
    value = place.get(head)
    if tail:
        value = value.get(tail) if isinstance(value, Mapping) else None
    return str(value) if value is not None else ""


def _write_all(place: dict[str, Any], paths: Mapping[str, str], attributes: Attributes) -> None:
    for attribute, path in paths.items():
        values = attributes.get(attribute) or ("",)
        if not values[0]:
            continue
        head, _, tail = path.partition(".")
        if tail:
            place.setdefault(head, {})[tail] = values[0]
        else:
            place[head] = values[0]


def _primary_first(entries: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Each value once: the primary one, then those for work, then the others, each in the order they came."""
    ordered = sorted((one for one in entries if one.get("value")), key=_rank)
    return tuple(dict.fromkeys(str(one["value"]) for one in ordered))


def _rank(entry: Mapping[str, Any]) -> tuple[bool, bool]:
    return entry.get("primary") is not True, str(entry.get("type") or "").lower() != "work"
