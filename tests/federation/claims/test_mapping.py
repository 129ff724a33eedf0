"""Attributes become claims by the provider's own mapping first, then by the usual names."""

import pytest

from federation.claims.mapping import map_claims
from federation.saml.attribute_names import NAMES_OF_CLAIM
from tests.factories import make_identity_provider

pytestmark = pytest.mark.django_db

OID_MAIL = "urn:oid:0.9.2342.19200300.100.1.3"
WS_MAIL = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress"


@pytest.mark.parametrize("name", [OID_MAIL, WS_MAIL, "mail", "email"])
def test_the_usual_names_need_no_mapping(name):
    mapped = map_claims(make_identity_provider(), {name: ("a@acme.example",)})
    assert mapped.claims["email"] == ("a@acme.example",)
    assert mapped.unmapped == ()


def test_the_own_mapping_comes_first_and_alone():
    identity_provider = make_identity_provider(claims={"email": ["workMail", "mail"]})
    attributes = {"mail": ("second@acme.example",), "workMail": ("first@acme.example",), WS_MAIL: ("x@acme.example",)}
    mapped = map_claims(identity_provider, attributes)
    assert mapped.claims["email"] == ("first@acme.example",)


def test_a_mapped_claim_without_its_attribute_is_empty_and_not_guessed():
    identity_provider = make_identity_provider(claims={"email": ["workMail"]})
    assert map_claims(identity_provider, {"mail": ("private@acme.example",)}).claims["email"] == ()


def test_what_no_rule_maps_is_named():
    assert map_claims(make_identity_provider(), {"shoeSize": ("44",)}).unmapped == ("shoeSize",)


def test_a_single_valued_claim_takes_the_first_value_and_no_space():
    mapped = map_claims(make_identity_provider(), {"mail": (" ", " a@acme.example ", "b@acme.example")})
    assert mapped.claims["email"] == ("a@acme.example",)


def test_groups_keep_every_value_once():
    mapped = map_claims(make_identity_provider(claims={"groups": ["g"]}), {"g": ("a", "b", "a")})
    assert mapped.claims["groups"] == ("a", "b")


@pytest.mark.parametrize("claim", ["groups", "roles", "entitlement", "affiliation", "scoped_affiliation"])
def test_a_claim_that_grants_something_is_empty_when_it_is_left_out(claim):
    assert map_claims(make_identity_provider(), {}).claims[claim] == ()
    assert claim not in map_claims(make_identity_provider(), {}, incomplete=frozenset(NAMES_OF_CLAIM[claim])).claims


def test_several_employee_numbers_stay_several():
    """Persons are matched by one: which of several came first must not decide whose account it is."""
    mapped = map_claims(make_identity_provider(), {"employeeNumber": ("1", "2")})
    assert mapped.claims["employee_id"] == ("1", "2")


@pytest.mark.parametrize(
    ("claim", "value", "is_kept"),
    [
        ("name", "Alice\nMallory", False),
        ("email", "a\x00@acme.example", False),
        ("roles", "admin\x1b", False),
        ("roles", "\ud800", False),
        ("roles", "two\nlines", True),
    ],
    ids=ascii,
)
def test_a_value_that_no_database_or_screen_should_hold_is_left_out_and_named(claim, value, is_kept):
    mapped = map_claims(make_identity_provider(claims={claim: ["a"]}), {"a": (value,)})
    assert (mapped.claims[claim], mapped.left_out) == (((value,), ()) if is_kept else ((), (claim,)))
