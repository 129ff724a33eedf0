"""The subject of a verified assertion, by the stored rule of its identity provider."""

import unicodedata
from collections.abc import Mapping
from dataclasses import astuple, dataclass

from lxml import etree

from broker import limits
from broker.errors import BrokerError
from federation.checks import Compared
from federation.saml import names
from federation.saml.elements import find_child, get_child, text_of
from federation.saml.expectation import ResponseExpectation
from federation.saml.structure import SUBJECT
from federation.saml.verified import NameID

NAME_ID = names.clark(names.SAML, "NameID")

KEY_FORMATS = (
    names.NAME_ID_PERSISTENT,
    names.NAME_ID_EMAIL,
    names.NAME_ID_UNSPECIFIED,
    names.NAME_ID_X509,
    names.NAME_ID_WINDOWS,
    names.NAME_ID_KERBEROS,
)
"""Formats whose values may be a person's key. A transient one is new each time and never is."""

# Control, format (bidirectional marks, zero width), surrogate, line and paragraph separator: two subjects that
# look alike must not be two people.
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


@dataclass(frozen=True, slots=True)
class SubjectCase:
    """What an assertion says of its subject, and the rule that picks from it."""

    name_id: NameID | None
    attributes: Mapping[str, tuple[str, ...]]
    expectation: ResponseExpectation


def read_name_id(assertion: etree._Element) -> NameID | None:
    """The NameID as it came; without a Format it is unspecified (SAML core 8.3.1)."""
    element = find_child(get_child(assertion, SUBJECT), NAME_ID)
    if element is None:
        return None
    return NameID(
        value=text_of(element),
        format=element.get("Format") or names.NAME_ID_UNSPECIFIED,
        name_qualifier=element.get("NameQualifier", ""),
        sp_name_qualifier=element.get("SPNameQualifier", ""),
    )


def subject_of(case: SubjectCase) -> tuple[str, str]:
    """Subject and its format (the NameID's, or the attribute's name). Raises saml.subject."""
    rule = case.expectation.subject
    if rule.attribute is None:
        name_id = _name_id(case)
        return name_id.value, name_id.format
    value = _only_value(case, rule.attribute)
    if rule.companion is None:
        return value, rule.attribute
    companion = _only_value(case, rule.companion)
    # The slash divides them: in the companion another one would make two readings.
    if "/" in companion:
        raise BrokerError("saml.subject", expected=f"{rule.companion} without a slash", actual=companion)
    return f"{companion}/{value}", rule.attribute


def check_name_id_format(case: SubjectCase) -> Compared:
    """A NameID is a key only in a format that names a person lastingly."""
    if case.expectation.subject.attribute is not None:
        return "any NameID: an attribute is the subject", _format(case.name_id)
    if _name_id(case).format not in KEY_FORMATS:
        raise BrokerError("saml.subject", expected="a lasting NameID format", actual=_format(case.name_id))
    return "a lasting NameID format", _format(case.name_id)


def check_name_id_qualifiers(case: SubjectCase) -> Compared:
    """A NameID belongs to its qualifiers: of another namespace the same value is another person (SAML core 2.2.2)."""
    if case.expectation.subject.attribute is not None:
        return "any qualifiers: an attribute is the subject", "not looked at"
    name_id = _name_id(case)
    expected = (case.expectation.issuer, case.expectation.audience)
    actual = (name_id.name_qualifier or expected[0], name_id.sp_name_qualifier or expected[1])
    if actual != expected:
        raise BrokerError("saml.subject", detail="qualifiers", expected=expected, actual=actual)
    return expected, actual


def check_name_id_lengths(case: SubjectCase) -> Compared:
    """A NameID is stored for the logout even where an attribute is the subject."""
    expected = f"at most {limits.SAML_NAME_ID_CHARS} characters"
    longest = 0 if case.name_id is None else max(map(len, astuple(case.name_id)))
    if longest > limits.SAML_NAME_ID_CHARS:
        raise BrokerError("saml.subject", expected=expected, actual=longest)
    return expected, longest


def check_subject_text(case: SubjectCase) -> Compared:
    """One spelling only: canonical Unicode, no space around it, nothing invisible, not too long."""
    subject, _ = subject_of(case)
    # In bytes: a database's index has no room for more of a key.
    expected = f"1 to {limits.SAML_NAME_ID_CHARS} bytes of visible characters in NFC"
    if (
        not 0 < len(subject.encode()) <= limits.SAML_NAME_ID_CHARS
        or subject != subject.strip()
        or not unicodedata.is_normalized("NFC", subject)
        or any(unicodedata.category(character) in _INVISIBLE for character in subject)
    ):
        raise BrokerError("saml.subject", expected=expected, actual=ascii(subject))
    return expected, subject


SUBJECT_CHECKS = (check_name_id_lengths, check_name_id_format, check_name_id_qualifiers, check_subject_text)


def _name_id(case: SubjectCase) -> NameID:
    if case.name_id is None:
        raise BrokerError("saml.subject", expected="a NameID", actual="none")
    return case.name_id


def _format(name_id: NameID | None) -> str:
    return "no NameID" if name_id is None else name_id.format


def _only_value(case: SubjectCase, name: str) -> str:
    values = case.attributes.get(name, ())
    if len(values) != 1 or not values[0]:
        raise BrokerError("saml.subject", expected=f"one value of {name}", actual=f"{len(values)} values")
    return values[0]
