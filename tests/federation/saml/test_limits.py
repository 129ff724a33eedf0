"""The SAML rows of broker/limits.py: what is at the limit passes, what is above it does not."""

import copy
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from lxml import etree

from broker import limits
from broker.errors import BrokerError
from broker.traces.collector import Collector
from federation.saml.bindings import read_form
from federation.saml.guard import ResponseExpectation, SubjectRule, decode_post, verify_response
from federation.saml.metadata import read_identity_provider
from federation.saml.parsing import parse_message
from tests.fakes.fake_idp import NS, FakeIdentityProvider, instant
from tests.fakes.fake_sp import FakeServiceProvider
from tests.fakes.saml_keys import key_pair
from tests.federation.saml import application
from tests.federation.saml.application import Application
from tests.federation.saml.desk import NOW, Desk
from tests.federation.saml.test_signing import KEY

DESK = Desk()


def answer(**options: Any) -> None:
    DESK.verify(DESK.respond(**options))


def encrypted_keys(count: int) -> None:
    root = etree.fromstring(DESK.respond(sign="assertion", encrypt="gcm"))
    holder = root.find(".//ds:KeyInfo", NS)
    assert holder is not None
    for _ in range(count - 1):
        holder.append(copy.deepcopy(holder[0]))
    DESK.verify(etree.tostring(root))


def metadata(**options: Any) -> None:
    entity_id = options.pop("entity_id", "https://idp.example")
    raw = FakeIdentityProvider(entity_id, key_name="metadata").metadata(**options).encode()
    read_identity_provider(raw)


def metadata_of(size: int) -> None:
    raw = FakeIdentityProvider().metadata().encode()
    read_identity_provider(raw + b" " * (size - len(raw)))


def namespaces(count: int) -> bytes:
    return b"".join(b" xmlns:n%d='urn:n'" % i for i in range(count))


def take_our_answer(age: timedelta) -> None:
    """Our answer, judged by our own guard as late as its skew just still forgives."""
    sp = FakeServiceProvider()
    expectation = ResponseExpectation(
        issuer=application.IDP,
        verification_certificates=[KEY.certificate],
        audience=sp.entity_id,
        acs_url=sp.acs_urls[0],
        request_id="_1",
        now=application.NOW + age + limits.SAML_SKEW - timedelta(seconds=1),
        decryption_keys=[],
        subject=SubjectRule(),
    )
    verify_response(application.answer(sp), expectation, trace=Collector())


# row -> (use so much of it, the code above it)
COUNTS: dict[str, tuple[Callable[[int], object], str]] = {
    "SAML_MESSAGE_BYTES": (lambda n: parse_message(b"<a>" + b" " * (n - 7) + b"</a>"), "saml.too_large"),
    "SAML_POST_BYTES": (lambda n: decode_post("A" * n), "saml.too_large"),
    "SAML_DEPTH": (lambda n: parse_message(b"<a>" * n + b"</a>" * n), "saml.structure"),
    "SAML_ELEMENTS": (lambda n: parse_message(b"<a>" + b"<b/>" * (n - 1) + b"</a>"), "saml.structure"),
    "SAML_ELEMENT_ATTRIBUTES": (
        lambda n: parse_message(b"<a" + b"".join(b" b%d=''" % i for i in range(n)) + b"/>"),
        "saml.structure",
    ),
    "SAML_NAMESPACES": (
        lambda n: parse_message(b"<a xmlns='urn:a'>" * 2 + b"<b%b/>" % namespaces(n - 2) * 9 + b"</a>" * 2),
        "saml.structure",
    ),
    "SAML_PREFIXES": (lambda n: answer(prefix_list=" ".join(["saml"] * n)), "saml.structure"),
    "SAML_ATTRIBUTES": (lambda n: answer(attributes={f"a{i}": "" for i in range(n)}), "saml.attributes"),
    "SAML_ATTRIBUTE_VALUES": (lambda n: answer(attributes={"a": [""] * n}), "saml.attributes"),
    "SAML_ATTRIBUTE_VALUE_CHARS": (lambda n: answer(attributes={"a": "x" * n}), "saml.attributes"),
    "SAML_NAME_ID_CHARS": (lambda n: answer(subject="x" * n), "saml.subject"),
    "SAML_METADATA_BYTES": (metadata_of, "saml.metadata"),
    "SAML_ENTITY_ID_CHARS": (lambda n: metadata(entity_id="urn:" + "x" * (n - 4)), "saml.metadata"),
    "SAML_CERTIFICATES": (lambda n: metadata(keys=[key_pair(f"k{i}", kind="p256") for i in range(n)]), "saml.metadata"),
    "SAML_ENCRYPTED_KEYS": (encrypted_keys, "saml.structure"),
    "SAML_RELAY_STATE_CHARS": (
        lambda n: read_form({"SAMLRequest": ["AA=="], "RelayState": ["x" * n]}),
        "saml_idp.relay_state",
    ),
}
TIMES: dict[str, tuple[Callable[[timedelta], object], str]] = {
    "SAML_SKEW": (lambda t: answer(not_before=instant(NOW + t)), "saml.not_yet_valid"),
    "SAML_SKEW_MAX": (lambda t: DESK.verify(DESK.respond(), skew=t), ""),
    "SAML_REQUEST_AGE": (lambda t: Application().by_redirect(now=application.NOW - t), "saml_idp.stale"),
    "SAML_ASSERTION_LIFETIME": (take_our_answer, "saml.expired"),
    "SAML_ANSWER_AGE": (lambda t: answer(issue_instant=instant(NOW - t)), "saml.stale"),
}


@pytest.mark.parametrize("row", COUNTS)
def test_count_at_the_limit_passes_and_one_more_does_not(row: str) -> None:
    use, code = COUNTS[row]
    limit = getattr(limits, row)
    use(limit)
    with pytest.raises(BrokerError) as caught:
        use(limit + 1)
    assert caught.value.code == code


@pytest.mark.parametrize("row", TIMES)
def test_time_at_the_limit_passes_and_a_second_more_does_not(row: str) -> None:
    use, code = TIMES[row]
    limit = getattr(limits, row)
    use(limit)
    # A setting above its ceiling is our own fault, and no refusal of an answer.
    with pytest.raises(BrokerError if code else ValueError) as caught:
        use(limit + timedelta(seconds=1))
    assert getattr(caught.value, "code", "") == code


def test_every_saml_row_is_tested_here() -> None:
    assert {name for name in vars(limits) if name.startswith("SAML_")} == COUNTS.keys() | TIMES.keys()
