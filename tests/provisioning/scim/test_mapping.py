"""A person's attributes as a SCIM User and back."""

import pytest
from scim2_models import EnterpriseUser, User

from provisioning.scim.mapping import (
    ATTRIBUTES,
    ENTERPRISE_SCHEMA,
    attributes_of_document,
    attributes_of_user,
    document_of_attributes,
    group_of,
    user_of_attributes,
)

FULL = {
    "active": ("true",),
    "user_name": ("ada",),
    "email": ("ada@acme.example", "ada@home.example"),
    "name": ("Ada Lovelace",),
    "given_name": ("Ada",),
    "family_name": ("Lovelace",),
    "middle_name": ("King",),
    "nickname": ("Countess",),
    "title": ("Analyst",),
    "user_type": ("Employee",),
    "preferred_language": ("en",),
    "locale": ("en-GB",),
    "timezone": ("Europe/London",),
    "phone_number": ("+44 20 7946 0001",),
    "employee_number": ("1815",),
    "cost_center": ("4130",),
    "organization": ("Acme",),
    "division": ("Engines",),
    "department": ("Analysis",),
    "manager": ("26118915-6090-4610-87e4-49d8ca9f808d",),
}


def test_every_attribute_survives_the_way_there_and_back():
    assert FULL.keys() == ATTRIBUTES
    assert attributes_of_user(user_of_attributes(FULL, external_id="p-1")) == FULL


def test_equal_attributes_give_an_equal_document_in_any_order():
    turned = dict(reversed(FULL.items()))
    assert document_of_attributes(FULL, external_id="p") == document_of_attributes(turned, external_id="p")


def test_what_is_not_said_is_not_in_it_and_an_account_without_active_is_active():
    assert attributes_of_document({"userName": "ada"}) == {"user_name": ("ada",), "active": ("true",)}


def test_the_primary_address_comes_first_then_those_for_work_and_each_once():
    user = User[EnterpriseUser].model_validate(
        {
            "userName": "ada",
            "emails": [
                {"value": "a@home.example", "type": "home"},
                {"value": "b@work.example", "type": "work"},
                {"value": "c@old.example", "primary": True},
                {"value": "b@work.example", "type": "other"},
            ],
        }
    )
    assert attributes_of_user(user)["email"] == ("c@old.example", "b@work.example", "a@home.example")


@pytest.mark.parametrize(
    ("document", "name"),
    [
        ({"displayName": "Ada L.", "name": {"formatted": "Ada Lovelace"}}, ("Ada L.",)),
        ({"name": {"formatted": "Ada Lovelace"}}, ("Ada Lovelace",)),
        ({"displayName": ""}, None),
        ({"name": None}, None),
    ],
)
def test_the_name_is_the_display_name_else_the_formatted_one(document, name):
    assert attributes_of_document(document).get("name") == name


def test_an_inactive_account_is_written_as_a_boolean():
    document = document_of_attributes({"active": ("false",), "user_name": ("ada",)}, external_id="")
    assert document["active"] is False
    assert "externalId" not in document


def test_without_a_user_name_the_address_serves():
    assert user_of_attributes({"email": ("ada@acme.example",)}, external_id="p").user_name == "ada@acme.example"


def test_attributes_that_scim_has_no_place_for_are_left_out():
    document = document_of_attributes({"eppn": ("ada@acme.example",), "shoe_size": ("39",)}, external_id="p")
    assert document == {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "externalId": "p"}


def test_the_extension_is_named_only_where_it_is_used():
    plain = document_of_attributes({"user_name": ("ada",), "department": ()}, external_id="p")
    assert ENTERPRISE_SCHEMA not in plain["schemas"]
    assert ENTERPRISE_SCHEMA not in plain


def test_a_group_whose_members_are_not_spoken_of_has_none_to_wipe():
    assert "members" not in group_of("Staff").model_dump()
    assert group_of("Staff", members=[]).members == []
    assert [member.value for member in group_of("Staff", members=["a", "b"]).members or ()] == ["a", "b"]
