"""The default map from attributes' names to our claims (interop.md 11)."""

import pytest

from federation.saml.attribute_names import CLAIM_OF_ATTRIBUTE, NAMES_OF_CLAIM


@pytest.mark.parametrize(
    ("name", "claim"),
    [
        ("urn:oid:0.9.2342.19200300.100.1.3", "email"),
        ("http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress", "email"),
        ("mail", "email"),
        ("urn:oid:2.5.4.42", "given_name"),
        ("http://schemas.xmlsoap.org/ws/2005/05/identity/claims/surname", "family_name"),
        ("http://schemas.microsoft.com/identity/claims/displayname", "name"),
        ("urn:oid:2.16.840.1.113730.3.1.241", "name"),
        ("http://schemas.microsoft.com/ws/2008/06/identity/claims/groups", "groups"),
        ("urn:oid:1.3.6.1.4.1.5923.1.5.1.1", "groups"),
        ("employeeNumber", "employee_id"),
        ("urn:oid:1.3.6.1.4.1.5923.1.1.1.6", "eppn"),
        ("urn:oid:1.3.6.1.4.1.5923.1.1.1.9", "scoped_affiliation"),
        ("urn:oasis:names:tc:SAML:attribute:pairwise-id", "pairwise_id"),
    ],
)
def test_usual_name_means_our_claim(name: str, claim: str) -> None:
    assert CLAIM_OF_ATTRIBUTE[name] == claim


def test_no_name_means_two_claims() -> None:
    assert sum(len(names) for names in NAMES_OF_CLAIM.values()) == len(CLAIM_OF_ATTRIBUTE)
