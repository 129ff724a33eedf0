"""What we say of ourselves: schemas, resource types and capabilities (RFC 7643 sections 5 to 7), and nothing untrue."""

from functools import cache
from typing import Any, cast

from scim2_models import (
    AuthenticationScheme,
    Bulk,
    ChangePassword,
    EnterpriseUser,
    ETag,
    Filter,
    Group,
    Pagination,
    Patch,
    Required,
    Resource,
    ResourceType,
    Schema,
    ScimPolicy,
    ScimProvider,
    ServiceProviderConfig,
    Sort,
    User,
)

from broker import limits
from broker.directory.attributes import comparable
from provisioning.inbound.models import ScimSource

UNWRITABLE = frozenset({"password", "roles", "entitlements", "x509Certificates"})
"""What the core schema knows and nobody may write here: passwords, and privileges that nothing would follow from."""


def key_of(binding: Any, value: str) -> str:
    """The form in which values are compared: look-alikes collide, unless the attribute is exact about case."""
    return value if binding.case_exact else comparable(value)


_STRICT = ScimPolicy(comparison_key=key_of)
_TOLERANT = ScimPolicy(
    comparison_key=key_of,
    remove_value_as_filter=ScimPolicy.RemoveValue.apply,
    unmatched_path_filter=ScimPolicy.UnmatchedPathFilter.create,
)


@cache
def schemas() -> tuple[Schema, ...]:
    """User, its enterprise extension and Group, as far as we keep them."""
    user, group, enterprise = User.to_schema(), Group.to_schema(), EnterpriseUser.to_schema()
    user.attributes = [one for one in user.attributes or () if one.name not in UNWRITABLE]
    for one in enterprise.attributes or ():
        for inner in one.sub_attributes or ():
            if inner.name == "$ref":
                inner.required = Required.false  # nobody sends it
    for one in group.attributes or ():
        # RFC 7643 section 4.2 gives members no display.
        if one.sub_attributes:
            one.sub_attributes = [inner for inner in one.sub_attributes if inner.name != "display"]
        for inner in one.sub_attributes or ():
            if inner.name == "$ref":
                inner.reference_types = ["User"]
            elif inner.name == "type":
                inner.canonical_values = ["User"]
    return user, group, enterprise


@cache
def configuration() -> ServiceProviderConfig:
    """What is offered, and within which bounds."""
    return ServiceProviderConfig(
        patch=Patch(supported=True),
        bulk=Bulk(supported=True, max_operations=limits.SCIM_BULK_OPERATIONS, max_payload_size=limits.SCIM_BODY_BYTES),
        filter=Filter(supported=True, max_results=limits.SCIM_PAGE),
        change_password=ChangePassword(supported=False),
        sort=Sort(supported=True),
        etag=ETag(supported=True),
        pagination=Pagination(
            cursor=True,
            index=True,
            default_pagination_method=Pagination.DefaultPaginationMethod.index,
            default_page_size=limits.SCIM_PAGE_DEFAULT,
            max_page_size=limits.SCIM_PAGE,
            cursor_timeout=int(limits.SCIM_CURSOR_LIFETIME.total_seconds()),
        ),
        authentication_schemes=[
            AuthenticationScheme(
                type=AuthenticationScheme.Type.oauthbearertoken,
                name="Bearer token",
                description="The token of a source, in the Authorization header (RFC 6750 section 2.1).",
                spec_uri="https://www.rfc-editor.org/rfc/rfc6750",
                primary=True,
            )
        ],
    )


@cache
def provider(dialect: str) -> ScimProvider:
    """The description with what this dialect's senders may write differently."""
    tolerant = dialect in {ScimSource.Dialect.ENTRA, ScimSource.Dialect.OKTA}
    user_type = ResourceType.from_resource(User[EnterpriseUser])
    group_type = ResourceType.from_resource(Group)
    return ScimProvider.from_discovery(
        schemas(), [user_type, group_type], configuration(), _TOLERANT if tolerant else _STRICT
    )


def resource_type(name: str, dialect: str = ScimSource.Dialect.GENERIC) -> ResourceType:
    """The resource type of that name: User or Group."""
    return next(one for one in provider(dialect).resource_types if one.name == name)


def model_of(name: str, dialect: str = ScimSource.Dialect.GENERIC) -> type[Resource[Any]]:
    """The model of that resource type, extensions included."""
    return cast(type[Resource[Any]], provider(dialect).model_for(resource_type(name, dialect)))


@cache
def writable(name: str) -> dict[str, Any]:
    """{attribute in lower case: the same of its sub-attributes} of a User or Group, extensions under their URN."""
    user, group, enterprise = schemas()
    known: dict[str, Any] = {"schemas": {}, "id": {}, "externalid": {}, "meta": {}}
    for attribute in (user if name == "User" else group).attributes or ():
        known[str(attribute.name).lower()] = _inner(attribute)
    if name == "Group":
        known["members"]["display"] = {}  # left out before it is read
    if name == "User":
        known[str(enterprise.id).lower()] = {str(one.name).lower(): _inner(one) for one in enterprise.attributes or ()}
    return known


def _inner(attribute: Any) -> dict[str, Any]:
    return {str(one.name).lower(): {} for one in attribute.sub_attributes or ()}
