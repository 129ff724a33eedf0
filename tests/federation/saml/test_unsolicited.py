"""Answers without a request: accepted only where they are expected so, and then with no InResponseTo anywhere."""

from typing import Any

import pytest

from federation.saml.expectation import NoRequest
from tests.fakes.fake_idp import FLAWS, NS, Draft, build_assertion
from tests.federation.saml.desk import ACS_URL, AUDIENCE, NOW, REQUEST_ID, Desk

UNSOLICITED: dict[str, Any] = {"request_id": NoRequest.UNSOLICITED}
OF_THE_REQUEST = {
    "wrong_in_response_to", "wrong_confirmation_in_response_to", "no_confirmation_in_response_to",
}  # fmt: skip


@pytest.mark.parametrize("encrypt", [None, "gcm"])
@pytest.mark.parametrize("sign", ["response", "assertion", "both"])
def test_an_answer_without_a_request_is_accepted_where_none_is_expected(desk: Desk, sign: str, encrypt: Any) -> None:
    raw = desk.respond(request_id=None, sign=sign, encrypt=encrypt)
    assert desk.verify(raw, **UNSOLICITED).subject == "alice"
    names = [entry["name"] for entry in desk.trace.entries if entry["type"] == "check"]
    assert {"response in response to", "assertion no other request", "assertion bearer confirmation"} <= set(names)


@pytest.mark.parametrize("sign", ["response", "assertion", "both"])
def test_an_answer_without_a_request_is_none_to_our_request(desk: Desk, sign: str) -> None:
    assert desk.code(desk.respond(request_id=None, sign=sign)) == "saml.in_response_to"


@pytest.mark.parametrize("sign", ["response", "assertion", "both"])
@pytest.mark.parametrize("request_id", [REQUEST_ID, "_another", ""])
def test_an_answer_to_somebodys_request_is_not_one_that_nobody_asked_for(
    desk: Desk, sign: str, request_id: str
) -> None:
    """A stolen answer to another browser's request must not come in by this door."""
    assert desk.code(desk.respond(request_id=request_id, sign=sign), **UNSOLICITED) == "saml.in_response_to"


@pytest.mark.parametrize(
    "told",
    [
        {"in_response_to": None, "confirmation_in_response_to": REQUEST_ID},
        {"in_response_to": REQUEST_ID, "confirmation_in_response_to": None},
    ],
    ids=["in the confirmation alone", "on the response alone"],
)
@pytest.mark.parametrize("sign", ["response", "assertion", "both"])
def test_in_response_to_in_one_place_alone_is_refused(desk: Desk, sign: str, told: dict[str, Any]) -> None:
    assert desk.code(desk.respond(sign=sign, **told), **UNSOLICITED) == "saml.in_response_to"


def with_further_confirmation(draft: Draft, *, method: str) -> Any:
    """A good confirmation, and beside it one that names a request."""
    assertion = build_assertion(draft)
    first = assertion.find(".//saml:SubjectConfirmation", NS)
    assert first is not None
    further = type(first).__copy__(first)
    further.set("Method", method)
    told = further.find("saml:SubjectConfirmationData", NS)
    assert told is not None
    told.set("InResponseTo", REQUEST_ID)
    parent = first.getparent()
    assert parent is not None
    parent.append(further)
    return assertion


@pytest.mark.parametrize("method", ["bearer", "holder-of-key", "sender-vouches"])
def test_a_further_confirmation_with_a_request_is_refused_too(desk: Desk, method: str) -> None:
    raw = desk.respond(
        request_id=None,
        sign="assertion",
        assertion_builder=lambda draft: with_further_confirmation(
            draft, method=f"urn:oasis:names:tc:SAML:2.0:cm:{method}"
        ),
    )
    assert desk.code(raw, **UNSOLICITED) == "saml.in_response_to"
    failed = [entry["name"] for entry in desk.trace.entries if entry["type"] == "check" and not entry["passed"]]
    assert failed == ["assertion no other request"]


@pytest.mark.parametrize("flaw", sorted(FLAWS.keys() - OF_THE_REQUEST))
def test_every_other_check_is_made_all_the_same(desk: Desk, flaw: str) -> None:
    raw = desk.idp.response(request_id=None, acs_url=ACS_URL, audience=AUDIENCE, now=NOW, flaw=flaw)
    assert desk.code(raw, **UNSOLICITED) == FLAWS[flaw]


@pytest.mark.parametrize("request_id", ["", None])
def test_nothing_else_says_that_there_was_no_request(desk: Desk, request_id: Any) -> None:
    with pytest.raises(ValueError, match="request_id"):
        desk.verify(desk.respond(request_id=None), request_id=request_id)
