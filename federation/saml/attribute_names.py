"""The usual names of attributes, and the claim of ours that each one means.

Identity providers send OIDs, WS-Federation's and Microsoft's URIs, or short names. An operator's own mapping
comes before this table; what neither knows is shown in the trace.
"""

from collections.abc import Mapping
from types import MappingProxyType

_OID = "urn:oid:"
_WS_FEDERATION = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/"
_MICROSOFT = "http://schemas.microsoft.com/identity/claims/"
_MICROSOFT_2008 = "http://schemas.microsoft.com/ws/2008/06/identity/claims/"

NAMES_OF_CLAIM: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "email": (
            _OID + "0.9.2342.19200300.100.1.3",
            "urn:mace:dir:attribute-def:mail",
            _WS_FEDERATION + "emailaddress",
            "mail",
            "email",
            "emailAddress",
            "Email",
            "EmailAddress",
            "emailaddress",
            "user.email",
            "User.email",
        ),
        "given_name": (
            _OID + "2.5.4.42",
            "urn:mace:dir:attribute-def:givenName",
            _WS_FEDERATION + "givenname",
            "givenName",
            "given_name",
            "firstName",
            "first_name",
            "FirstName",
            "User.FirstName",
            "givenname",
        ),
        "family_name": (
            _OID + "2.5.4.4",
            "urn:mace:dir:attribute-def:sn",
            _WS_FEDERATION + "surname",
            "sn",
            "surname",
            "family_name",
            "lastName",
            "last_name",
            "LastName",
            "User.LastName",
        ),
        "name": (
            _OID + "2.16.840.1.113730.3.1.241",
            "urn:mace:dir:attribute-def:displayName",
            _MICROSOFT + "displayname",
            "displayName",
            "displayname",
            "display_name",
            "DisplayName",
            "name",
        ),
        "groups": (
            _OID + "1.3.6.1.4.1.5923.1.5.1.1",
            "urn:mace:dir:attribute-def:isMemberOf",
            _MICROSOFT_2008 + "groups",
            "http://schemas.xmlsoap.org/claims/Group",
            "groups",
            "group",
            "Groups",
            "isMemberOf",
            "memberOf",
        ),
        "roles": (
            _MICROSOFT_2008 + "role",
            "roles",
            "role",
            "Role",
        ),
        "employee_id": (
            _OID + "2.16.840.1.113730.3.1.3",
            "urn:mace:dir:attribute-def:employeeNumber",
            "employeeNumber",
            "employeenumber",
            "employee_number",
            "employeeID",
            "employeeId",
            "employeeid",
            "employee_id",
            _WS_FEDERATION + "employeeid",
        ),
        "department": (
            _OID + "2.5.4.11",
            "urn:mace:dir:attribute-def:ou",
            _WS_FEDERATION + "department",
            "department",
            "departmentNumber",
            "ou",
        ),
        "title": (
            _OID + "2.5.4.12",
            "urn:mace:dir:attribute-def:title",
            _WS_FEDERATION + "jobtitle",
            "title",
            "jobTitle",
        ),
        "phone_number": (
            _OID + "2.5.4.20",
            "urn:mace:dir:attribute-def:telephoneNumber",
            _WS_FEDERATION + "otherphone",
            "telephoneNumber",
            "phone",
            "phone_number",
        ),
        "locale": (
            _OID + "2.16.840.1.113730.3.1.39",
            "urn:mace:dir:attribute-def:preferredLanguage",
            "preferredLanguage",
            "locale",
        ),
        "preferred_username": (
            _OID + "0.9.2342.19200300.100.1.1",
            "urn:mace:dir:attribute-def:uid",
            _WS_FEDERATION + "name",
            "uid",
            "username",
            "userName",
            "preferred_username",
        ),
        "eppn": (
            _OID + "1.3.6.1.4.1.5923.1.1.1.6",
            "urn:mace:dir:attribute-def:eduPersonPrincipalName",
            "eduPersonPrincipalName",
            "eppn",
        ),
        "upn": (
            _WS_FEDERATION + "upn",
            "userPrincipalName",
            "upn",
            "UPN",
        ),
        "scoped_affiliation": (
            _OID + "1.3.6.1.4.1.5923.1.1.1.9",
            "urn:mace:dir:attribute-def:eduPersonScopedAffiliation",
            "eduPersonScopedAffiliation",
        ),
        "affiliation": (
            _OID + "1.3.6.1.4.1.5923.1.1.1.1",
            "urn:mace:dir:attribute-def:eduPersonAffiliation",
            "eduPersonAffiliation",
        ),
        "entitlement": (
            _OID + "1.3.6.1.4.1.5923.1.1.1.7",
            "urn:mace:dir:attribute-def:eduPersonEntitlement",
            "eduPersonEntitlement",
        ),
        "subject_id": (
            "urn:oasis:names:tc:SAML:attribute:subject-id",
            "subject-id",
        ),
        "pairwise_id": (
            "urn:oasis:names:tc:SAML:attribute:pairwise-id",
            "pairwise-id",
        ),
        "object_id": (_MICROSOFT + "objectidentifier",),
        "tenant_id": (_MICROSOFT + "tenantid",),
    }
)
"""Our claim -> names that mean it, the most exact first."""

CLAIM_OF_ATTRIBUTE: Mapping[str, str] = MappingProxyType(
    {name: claim for claim, names in NAMES_OF_CLAIM.items() for name in names}
)
"""The name of an attribute -> our claim."""

FRIENDLY_NAME_OF_CLAIM: Mapping[str, str] = MappingProxyType(
    {
        "email": "mail",
        "given_name": "givenName",
        "family_name": "sn",
        "name": "displayName",
        "groups": "isMemberOf",
        "roles": "role",
        "employee_id": "employeeNumber",
        "department": "ou",
        "title": "title",
        "phone_number": "telephoneNumber",
        "locale": "preferredLanguage",
        "preferred_username": "uid",
        "eppn": "eduPersonPrincipalName",
        "upn": "upn",
        "scoped_affiliation": "eduPersonScopedAffiliation",
        "affiliation": "eduPersonAffiliation",
        "entitlement": "eduPersonEntitlement",
        "subject_id": "subject-id",
        "pairwise_id": "pairwise-id",
        "object_id": "objectidentifier",
        "tenant_id": "tenantid",
    }
)
"""Our claim -> what people call the attribute, the first of `NAMES_OF_CLAIM`, under which we release it."""
