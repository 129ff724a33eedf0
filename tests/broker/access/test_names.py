"""Names of types never meet, and no value from outside is more than a value."""

import math
import string
from random import Random

import cedarpy
import pytest

from broker import limits
from broker.access.names import OURS, Unreadable, authzen_type, cedar_record, cedar_type

AWKWARD = [
    "user", "User", "USER", "client", "Client", "application", "Application", "group", "Group", "Action", "action",
    "record", "Record", "record_", "_record", "re__cord", "record_1", "1record", "", "true", "in", "if", "has", "is",
    "like", "when", "__cedar", "ip", "decimal", "datetime", "duration", "ipaddr", "Long", "String", "Bool", "Set",
    "urn:example:record", "https://example.com/record", "Acme::Record", "T__record", "T__urn_3a_x", "urn:x", "urn_3a_x",
    "räcord", "rекord", "𝐫ecord", "re cord", "re\ncord", "re\x00cord", 're"cord', "re\\cord", "permit", "principal",
    "\ud800",
]  # fmt: skip


def test_two_types_never_get_one_name():
    names = {one: cedar_type(one) for one in AWKWARD}
    assert len(set(names.values())) == len(AWKWARD)
    random = Random(8)
    letters = string.ascii_letters + string.digits + "_:. ä\x00"
    made = {"".join(random.choices(letters, k=random.randint(0, 6))) for _ in range(20_000)}
    assert len({cedar_type(one) for one in made}) == len(made)
    assert all(authzen_type(cedar_type(one)) == one for one in made)


@pytest.mark.parametrize("outside", [one for one in AWKWARD if one], ids=ascii)
def test_every_name_is_one_for_the_engine(outside):
    name = cedar_type(outside)
    rules = cedarpy.PolicySet.from_str(f"permit(principal is {name}, action, resource);")
    asked = {
        "principal": {"type": name, "id": "1"},
        "action": {"type": "Action", "id": "read"},
        "resource": {"type": "record", "id": "1"},
    }
    assert cedarpy.is_authorized(asked, rules, []).allowed


def test_a_foreign_spelling_is_never_one_of_ours():
    assert {cedar_type(one) for one in OURS} == set(OURS.values())
    assert not {cedar_type(one) for one in OURS.values()} & set(OURS.values())


@pytest.mark.parametrize("key", ["__entity", "__extn", "__expr"])
@pytest.mark.parametrize("wrap", [lambda one: one, lambda one: {"a": one}, lambda one: {"a": [{"b": one}]}])
def test_a_value_from_outside_is_no_reference_and_no_call(key, wrap):
    with pytest.raises(Unreadable):
        cedar_record(wrap({key: {"type": "Group", "id": "acme/admins"}}))


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (5, 5), (5.0, 5), (-0.0, 0), (2**63 - 1, 2**63 - 1), (True, True),
        (1.5, {"__extn": {"fn": "decimal", "arg": "1.5"}}),
        (-0.0001, {"__extn": {"fn": "decimal", "arg": "-0.0001"}}),
        (2**63, hex(2**63)), (1e30, "1e+30"),
        (0.00001, "1e-05"), (math.inf, "inf"), ("", ""), ([], []), ([1, None, "a"], [1, "a"]),
    ],
)  # fmt: skip
def test_numbers_are_read_by_their_value_and_what_cedar_cannot_hold_stays_a_text(sent, read):
    assert cedar_record({"a": sent}) == {"a": read}


def test_a_number_that_python_itself_would_not_write_is_a_text():
    assert cedar_record({"a": 10**5_000}) == {"a": hex(10**5_000)}


def test_not_a_number_is_a_text():
    assert cedar_record({"a": math.nan}) == {"a": "nan"}


def test_null_is_not_there():
    assert cedar_record({"a": None, "b": {"c": None}}) == {"b": {}}


@pytest.mark.parametrize("shape", [lambda one: {"a": one}, lambda one: [one]], ids=["objects", "arrays"])
def test_nesting_has_an_end(shape):
    value = "x"
    for _ in range(limits.ACCESS_VALUE_DEPTH - 1):
        value = shape(value)
    assert cedar_record({"a": value})
    with pytest.raises(Unreadable):
        cedar_record({"a": shape(value)})


def test_what_is_no_json_is_refused():
    with pytest.raises(Unreadable):
        cedar_record({"a": object()})
