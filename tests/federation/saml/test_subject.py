"""Who an answer is about: by the stored rule, in one spelling only."""

import pytest

from broker import limits
from federation.saml.guard import SubjectRule
from federation.saml.subject import KEY_FORMATS
from tests.fakes.fake_idp import EMAIL, PERSISTENT, TRANSIENT, UNSPECIFIED
from tests.federation.saml.desk import AUDIENCE, ENTITY_ID, Desk

OBJECT_ID = "http://schemas.microsoft.com/identity/claims/objectidentifier"
TENANT_ID = "http://schemas.microsoft.com/identity/claims/tenantid"


@pytest.mark.parametrize("name_id_format", KEY_FORMATS)
def test_lasting_format_is_a_key_and_is_kept_as_it_came(desk: Desk, name_id_format: str) -> None:
    verified = desk.verify(desk.respond(name_id_format=name_id_format))
    assert (verified.subject, verified.subject_format) == ("alice", name_id_format)


def test_name_id_without_a_format_is_unspecified(desk: Desk) -> None:
    assert desk.verify(desk.respond(name_id_format=None)).subject_format == UNSPECIFIED


@pytest.mark.parametrize(
    "name_id_format", [TRANSIENT, "urn:oasis:names:tc:SAML:2.0:nameid-format:entity", "urn:x", " "]
)
def test_other_format_is_no_key(desk: Desk, name_id_format: str) -> None:
    assert desk.code(desk.respond(name_id_format=name_id_format)) == "saml.subject"


def test_transient_name_id_is_carried_but_not_the_key_when_an_attribute_is_the_rule(desk: Desk) -> None:
    raw = desk.respond(name_id_format=TRANSIENT, subject="_t1", attributes={"uid": "alice"})
    verified = desk.verify(raw, subject=SubjectRule("uid"))
    assert verified.subject == "alice"
    assert verified.name_id is not None
    assert verified.name_id.value == "_t1"


def test_object_identifier_is_a_key_only_together_with_its_tenant(desk: Desk) -> None:
    rule = SubjectRule(OBJECT_ID, companion=TENANT_ID)
    raw = desk.respond(attributes={OBJECT_ID: "o-1", TENANT_ID: "t-1"})
    assert desk.verify(raw, subject=rule).subject == "t-1/o-1"
    assert desk.code(desk.respond(attributes={OBJECT_ID: "o-1"}), subject=rule) == "saml.subject"
    assert desk.code(desk.respond(attributes={OBJECT_ID: "2", TENANT_ID: "1/"}), subject=rule) == "saml.subject"


def test_rule_with_a_companion_alone_makes_no_sense() -> None:
    with pytest.raises(ValueError, match="companion"):
        SubjectRule(companion=TENANT_ID)


@pytest.mark.parametrize("values", [[], [""], ["alice", "bob"], ["alice", "alice"]])
def test_attribute_that_is_the_subject_has_exactly_one_value(desk: Desk, values: list[str]) -> None:
    assert desk.code(desk.respond(attributes={"uid": values}), subject=SubjectRule("uid")) == "saml.subject"


@pytest.mark.parametrize("name", ["UID", "uid ", "urn:uid"])
def test_attribute_is_found_by_its_exact_name_and_never_by_its_friendly_name(desk: Desk, name: str) -> None:
    raw = desk.respond(attributes={name: "victim"}, friendly_names={name: "uid"})
    assert desk.code(raw, subject=SubjectRule("uid")) == "saml.subject"


LOOKALIKES = {
    "space before": " alice",
    "space behind": "alice ",
    "line end": "alice\n",
    "no-break space": "alice\N{NO-BREAK SPACE}",
    "ideographic space": "\N{IDEOGRAPHIC SPACE}alice",
    "tab inside": "ali\tce",
    "line end inside": "ali\nce",
    "carriage return inside": "ali\rce",
    "next line": "ali\x85ce",
    "delete": "ali\x7fce",
    "zero width space": "ali\N{ZERO WIDTH SPACE}ce",
    "zero width joiner": "ali\N{ZERO WIDTH JOINER}ce",
    "right-to-left override": "\N{RIGHT-TO-LEFT OVERRIDE}ecila",
    "byte order mark": "alice\N{ZERO WIDTH NO-BREAK SPACE}",
    "soft hyphen": "ali\N{SOFT HYPHEN}ce",
    "line separator": "ali\N{LINE SEPARATOR}ce",
    "decomposed": "Zoe\N{COMBINING DIAERESIS}",
    "compatibility singleton": "\N{ANGSTROM SIGN}sa",
    "empty": "",
    "only space": "  ",
    "too long": "a" * (limits.SAML_NAME_ID_CHARS + 1),
}


@pytest.mark.parametrize("name", LOOKALIKES)
def test_subject_that_only_looks_like_another_is_refused(desk: Desk, name: str) -> None:
    text = LOOKALIKES[name]
    assert desk.code(desk.respond(subject=text)) == "saml.subject"
    assert desk.code(desk.respond(attributes={"uid": text}), subject=SubjectRule("uid")) == "saml.subject"


@pytest.mark.parametrize(
    "text",
    [
        "Alice",
        "ALICE",
        "\N{CYRILLIC SMALL LETTER A}lice",
        "alice@example.org",
        "Zo\N{LATIN SMALL LETTER E WITH DIAERESIS}",
    ],
)
def test_subject_is_kept_letter_by_letter(desk: Desk, text: str) -> None:
    assert desk.verify(desk.respond(subject=text)).subject == text


def test_subject_of_the_greatest_length_is_accepted(desk: Desk) -> None:
    text = "a" * limits.SAML_NAME_ID_CHARS
    assert desk.verify(desk.respond(subject=text)).subject == text


@pytest.mark.parametrize("field", ["subject", "name_qualifier", "sp_name_qualifier"])
def test_name_id_is_bounded_even_where_it_is_not_the_subject(desk: Desk, field: str) -> None:
    rule, attributes = SubjectRule("uid"), {"uid": "alice"}
    longest = "x" * limits.SAML_NAME_ID_CHARS
    assert desk.verify(desk.respond(attributes=attributes, **{field: longest}), subject=rule).subject == "alice"
    assert desk.code(desk.respond(attributes=attributes, **{field: longest + "x"}), subject=rule) == "saml.subject"


@pytest.mark.parametrize("name_id_format", [PERSISTENT, EMAIL])
@pytest.mark.parametrize(
    "qualifiers", [{"name_qualifier": "https://other.example"}, {"sp_name_qualifier": "https://other.example"}]
)
def test_name_id_of_another_namespace_is_not_the_same_person(
    desk: Desk, qualifiers: dict[str, str], name_id_format: str
) -> None:
    assert desk.code(desk.respond(name_id_format=name_id_format, **qualifiers)) == "saml.subject"


def test_qualifiers_that_say_the_obvious_change_nothing(desk: Desk) -> None:
    plain = desk.verify(desk.respond()).subject
    assert desk.verify(desk.respond(name_qualifier=ENTITY_ID, sp_name_qualifier=AUDIENCE)).subject == plain
    assert desk.verify(desk.respond(name_qualifier="", sp_name_qualifier="")).subject == plain
