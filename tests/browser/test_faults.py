"""Each fault of the demonstration: the code on the page, and expected and actual under its trace id in the console."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from playwright.sync_api import Request, expect

from tests.browser.demonstration import Demonstration
from tests.browser.visitor import SEND_FORM, Visitor, find_row, text_of


@dataclass(frozen=True, slots=True)
class Expectation:
    """A fault by its label: the refusal's code, the check that fails, and what its two sides hold."""

    fault: str
    code: str
    check: str
    expected: str
    actual: str


EXPECTATIONS = (
    Expectation("Expired assertion", "saml.expired", "assertion bearer confirmation", "NotOnOrAfter after 20", "T"),
    Expectation(
        "Wrong audience", "saml.audience", "assertion audience", "/saml/sp/acme-idp/metadata", "another.example"
    ),
    Expectation("Clock five minutes ahead", "saml.not_yet_valid", "response age", "1 minute", "20"),
    Expectation("Unknown key", "saml.signature", "assertion signature signature value", "SHA-256", "RSA"),
    Expectation("Altered after signing", "saml.signature", "assertion signature digest", "", ""),
    Expectation("A foreign domain's e-mail", "authority.scope", "authority", "acme.example", "globex.example"),
    Expectation("A refusal of ours", "saml.status", "status", "status:Success", "status:AuthnFailed"),
)


@pytest.mark.parametrize("wanted", EXPECTATIONS, ids=lambda wanted: wanted.fault)
def test_a_fault_shows_its_code_to_the_person_and_its_evidence_to_the_operator(
    visitor: Visitor,
    olga: Visitor,
    demonstration: Demonstration,
    switch_fault: Callable[[str], None],
    wanted: Expectation,
) -> None:
    name = wanted.fault.lower().replace(" ", "-").replace("'", "")
    switch_fault(wanted.fault)
    visitor.sign_on(demonstration.crm)
    assert visitor.page.url.startswith(demonstration.broker)
    assert text_of(visitor.page, "Code") == wanted.code
    trace_id = text_of(visitor.page, "Trace id")
    visitor.look(f"refusal-{name}")
    visitor.page.goto(f"{demonstration.broker}/")
    expect(visitor.page.get_by_role("heading", name="You are not signed on here")).to_be_visible()

    olga.page.get_by_role("link", name="Traces").click()
    olga.page.get_by_label("The trace id of an error page").fill(trace_id)
    olga.page.keyboard.press("Enter")
    olga.page.get_by_role("link", name=trace_id).click()
    assert text_of(olga.page, "Code") == wanted.code
    evidence = olga.page.get_by_role("table").filter(has_text="What failed")
    expect(find_row(evidence, wanted.check)).to_be_visible()
    expected, actual = find_row(evidence, wanted.check).get_by_role("cell").all_inner_texts()
    assert expected != actual
    assert wanted.expected in expected
    assert wanted.actual in actual
    among_all = olga.page.get_by_role("table").filter(has_text="Result")
    expect(find_row(among_all, wanted.check)).to_contain_text("failed")
    olga.look(f"console-trace-{name}")


def test_an_honest_answer_in_each_shape_that_the_switches_offer_is_accepted(
    visitor: Visitor, demonstration: Demonstration, switch_fault: Callable[[str], None]
) -> None:
    for shape in ("The response around it", "Both", "Encrypt the assertion"):
        switch_fault(shape)
        visitor.sign_on(demonstration.crm, how="?how=fresh")
        assert visitor.page.url == f"{demonstration.crm}/", shape


def test_the_way_back_from_a_refusal_needs_no_mouse(
    visitor: Visitor, demonstration: Demonstration, switch_fault: Callable[[str], None]
) -> None:
    switch_fault("Expired assertion")
    visitor.sign_on(demonstration.crm)
    visitor.tab_to(visitor.page.get_by_role("link", name="Skip to the content"))
    visitor.tab_to(visitor.page.get_by_role("link", name="Back to the application"))
    visitor.page.keyboard.press("Enter")
    expect(visitor.page.get_by_role("heading", name="You are not signed on")).to_be_visible()
    assert visitor.page.url.startswith(f"{demonstration.crm}/callback")
    visitor.look("crm-refused")


def test_an_address_that_is_none_has_a_page_with_code_and_trace_id(visitor: Visitor) -> None:
    visitor.page.goto(f"{visitor.demonstration.broker}/nothing")
    assert text_of(visitor.page, "Code") == "request.not_found"
    assert text_of(visitor.page, "Trace id")
    visitor.look("refusal-not-found")


def test_an_answer_that_is_sent_twice_is_refused(visitor: Visitor, demonstration: Demonstration) -> None:
    answers: list[Request] = []
    visitor.context.on("request", lambda request: answers.append(request) if request.url.endswith("/acs") else None)
    visitor.sign_on(demonstration.crm)
    visitor.page.goto(f"{demonstration.identity_provider}/faults")
    (answer,) = answers
    visitor.page.evaluate(SEND_FORM, [answer.url, answer.post_data_json])
    visitor.page.wait_for_url(f"{demonstration.broker}/**")
    assert text_of(visitor.page, "Code") == "saml.replayed"
    visitor.look("refusal-replayed")
