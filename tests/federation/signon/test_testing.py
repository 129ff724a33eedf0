"""Trying an identity provider out: the way of a real sign-on, and nothing left behind but a trace."""

import io
import json
import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db.models import Model
from django.test import Client as DjangoClient
from django.utils import timezone

from broker import limits
from broker.directory.models import Group, Identifier, LinkedIdentity, Membership, Person
from broker.events.models import Event
from broker.registry.cache import raise_version
from broker.registry.models import IdentityProvider
from broker.sessions.models import Participant, Session
from broker.tokens.models import Grant
from broker.traces.models import Trace
from federation.signon.management.commands.test_identity_provider import Command
from federation.signon.models import LoginRequest
from federation.signon.results import read_result
from tests.broker.console.conftest import console, make_operator, sign_in, viewer_console
from tests.factories import link, make_application, make_client, make_identity_provider, make_keys, make_person
from tests.fakes.fake_idp import FLAWS
from tests.flows.conftest import fake_op
from tests.flows.openid_stage import make_openid_company
from tests.flows.stage import ATTRIBUTES, Browser, Company, answer_of, make_company

__all__ = ["console", "fake_op", "make_operator", "sign_in", "viewer_console"]
pytestmark = pytest.mark.django_db
LEFT_BEHIND: tuple[type[Model], ...] = (
    Session,
    Participant,
    Person,
    LinkedIdentity,
    Identifier,
    Group,
    Membership,
    Grant,
)


@pytest.fixture
def company() -> Company:
    """Acme, whose identity provider is not enabled yet."""
    return make_company(enabled=False)


def begin(console: DjangoClient, slug: str = "acme-idp") -> tuple[Browser, Any]:
    """The operator opens the test's page and follows its link; returns the browser and the way to the provider."""
    browser = Browser(console)
    page = browser.get(f"/admin/connections/{slug}/test/")
    assert page.status_code == 200
    address = re.search(r'href="([^"]*/signon/test\?flow=[^"]+)"', page.content.decode())
    assert address
    return browser, browser.get(address[1])


def finish(company: Company, browser: Browser, sent: Any, **options: Any) -> Any:
    """The provider answers; returns the page on which the operator ends up."""
    return company.answer(browser, sent, **options)


def test_a_provider_that_is_not_enabled_is_tried_out_and_nothing_is_left_behind(console, company):
    browser, sent = begin(console)
    assert sent["Location"].startswith(company.fake.sso_url)
    page = finish(company, browser, sent, attributes={**ATTRIBUTES, "mail": ["alice@acme.example"], "shoe": ["42"]})
    text = page.content.decode()
    assert page.status_code == 200
    assert "The test passed." in text
    assert [model.__name__ for model in LEFT_BEHIND if model._default_manager.exists()] == []
    assert settings.SSO_COOKIE_NAME not in browser.http.cookies
    result = read_result(Trace.objects.get().pk)
    assert result
    assert (result.outcome, result.code, result.connection) == ("succeeded", "", "acme-idp")
    assert result.claims["email"] == "alice@acme.example"
    assert result.unmapped == "shoe"
    assert result.account == {"subject": "alice", "outcome": "new: the first sign-on would record a person"}
    assert all(check["passed"] for check in result.checks)
    assert {"assertion audience", "once", "authority"} <= {check["name"] for check in result.checks}
    assert list(result.releases.values()) == [
        {
            "email": "alice@acme.example",
            "email_verified": "true",
            "name": "Alice Ålesund",
            "given_name": "Alice",
            "family_name": "Ålesund",
            "groups": "engineering, on call",
        }
    ]
    for shown in ("alice@acme.example", "shoe", "assertion audience", "engineering, on call", result.trace_id):
        assert shown in text


def test_a_test_is_an_event_of_the_operator_who_began_it(console, company):
    finish(company, *begin(console))
    event = Event.objects.get(type="connection.tested")
    assert (event.actor_kind, event.actor_id, event.connection, event.code) == (
        "operator",
        "ada@acme.example",
        "acme-idp",
        "",
    )
    assert not Event.objects.filter(type__in=["login.succeeded", "login.refused", "person.created"]).exists()
    assert Event.objects.filter(type="trace.read", subject_id=event.trace_id).exists()


@pytest.mark.parametrize("flaw", sorted(FLAWS))
def test_a_flaw_fails_the_test_as_it_would_fail_the_sign_on(console, company, flaw):
    page = finish(company, *begin(console), flaw=flaw)
    code = FLAWS[flaw]
    assert page.status_code == 200
    assert "The test failed:" in page.content.decode()
    assert code in page.content.decode()
    event = Event.objects.get(type="connection.tested")
    assert event.code == code
    result = read_result(event.trace_id)
    assert result
    assert (result.outcome, result.code) == ("refused", code)
    assert result.failed
    assert page.content.decode().count(result.failed["name"]) > 1, "above the list, too"
    assert not Event.objects.filter(type="login.refused").exists()
    assert not LinkedIdentity.objects.exists()


def test_an_openid_provider_is_tried_out_in_the_same_way(console, fake_op):
    company = make_openid_company(fake_op, enabled=False)
    browser, sent = begin(console, "globex")
    page = company.answer(browser, sent)
    assert "The test passed." in page.content.decode()
    assert [model.__name__ for model in LEFT_BEHIND if model._default_manager.exists()] == []
    result = read_result(Trace.objects.get().pk)
    assert result
    assert all(check["passed"] for check in result.checks)
    assert any("nonce" in check["name"] for check in result.checks)
    assert Event.objects.get(type="connection.tested").connection == "globex"


def test_an_openid_providers_error_fails_the_test_with_its_code(console, fake_op):
    company = make_openid_company(fake_op, enabled=False)
    browser, _ = begin(console, "globex")
    state = LoginRequest.objects.get().relay_state
    answer = browser.get(company.callback_url, state=state, error="access_denied", iss=fake_op.issuer)
    page = browser.follow(answer)
    assert "The test failed:" in page.content.decode()
    assert Event.objects.get(type="connection.tested").code == "oidc.refused"


def test_an_answer_counts_once_whether_it_was_a_test_or_not(console, company):
    """An assertion of a test cannot be brought again, and neither can one of a sign-on be brought to a test."""
    browser, sent = begin(console)
    finish(company, browser, sent, assertion_id="_the-same", response_id="_1")
    again = finish(company, *begin(console), assertion_id="_the-same", response_id="_2")
    assert "saml.replayed" in again.content.decode()


def test_values_outside_the_domains_are_shown_as_dropped(console, company):
    finish(company, *begin(console), attributes={"mail": ["alice@globex.example"]})
    result = read_result(Trace.objects.get().pk)
    assert result
    assert result.dropped == [{"claim": "email", "scopes": "globex.example"}]
    assert "email" not in result.claims


def test_a_provider_that_refuses_what_lies_outside_fails_the_test(console):
    company = make_company(enabled=False, outside_authority="refuse")
    page = finish(company, *begin(console), attributes={"mail": ["alice@globex.example"]})
    assert "authority.scope" in page.content.decode()


def test_a_closed_account_fails_the_test_and_a_known_one_is_named(console, company):
    person = make_person(organisation=company.identity_provider.organisation, name="Before")
    link(person, company.identity_provider, "alice")
    finish(company, *begin(console))
    result = read_result(Trace.objects.get().pk)
    assert result
    assert result.account["outcome"].startswith("known")
    person.refresh_from_db()
    assert person.name == "Before"
    assert LinkedIdentity.objects.get().last_used_at is None
    Person.objects.update(is_active=False)
    page = finish(company, *begin(console))
    assert "account.inactive" in page.content.decode()


def test_where_unknown_people_are_refused_the_test_says_so_and_not_what_was_dropped_before(console):
    company = make_company(enabled=False, unknown_person="refuse")
    page = finish(company, *begin(console), attributes={"mail": ["alice@globex.example"]})
    assert "account.unknown" in page.content.decode()
    result = read_result(Trace.objects.get().pk)
    assert result
    assert result.failed
    assert result.failed["name"] == "account.unknown"


def test_a_match_with_hr_is_foretold(console):
    company = make_company(
        enabled=False, match_claim="employee_id", match_person="external_id", claims={"employee_id": ["number"]}
    )
    make_person(organisation=company.identity_provider.organisation, external_id="4711")
    finish(company, *begin(console), attributes={"number": ["4711"]})
    result = read_result(Trace.objects.get().pk)
    assert result
    assert result.account["outcome"].startswith("matched")
    assert not LinkedIdentity.objects.exists()


def test_no_claim_name_makes_the_trace_stumble(console):
    company = make_company(enabled=False, claims={"text": ["mail"], "self": ["sn"], "application": ["mail"]})
    finish(company, *begin(console))
    result = read_result(Trace.objects.get().pk)
    assert result
    assert result.claims["text"] == "alice@acme.example"
    assert result.claims["self"] == "Ålesund"


def test_only_the_browser_that_began_may_finish(console, company):
    _, sent = begin(console)
    page = company.answer(Browser(), sent)
    assert page.status_code == 400
    assert "signon.other_browser" in page.content.decode()
    assert not Event.objects.filter(type="connection.tested").exists()
    assert LoginRequest.objects.get().state == "answered"


def test_only_the_browser_of_the_page_may_begin(console, company):
    console.get("/admin/connections/acme-idp/test/")
    login = LoginRequest.objects.get()
    page = Browser().get("/signon/test", flow=login.relay_state)
    assert "signon.other_browser" in page.content.decode()
    login.refresh_from_db()
    assert login.state == "choosing"


@pytest.mark.parametrize("flow", ["", "x", "\x00", "A" * 32, "A" * 5000])
def test_no_handle_begins_a_test_that_was_not_prepared(db, flow):
    page = Browser().get("/signon/test", flow=flow)
    assert page.status_code == 400
    assert "signon.unknown" in page.content.decode()


def test_a_sign_on_is_no_test_and_a_test_is_no_sign_on(console):
    company = make_company()
    browser = Browser(console)
    company.ask(browser)
    sign_on = LoginRequest.objects.get()
    assert "signon.unknown" in browser.get("/signon/test", flow=sign_on.relay_state).content.decode()
    begin(console)
    test = LoginRequest.objects.get(purpose="test")
    make_identity_provider(slug="other")
    for answer in (
        browser.get("/signon/choose", flow=test.relay_state),
        browser.post("/signon/choose", {"flow": test.relay_state, "identity_provider": "other"}),
    ):
        assert "The test failed" in browser.follow(answer).content.decode() or answer.status_code == 302
    test.refresh_from_db()
    assert test.identity_provider == company.identity_provider


def test_a_test_does_not_open_a_disabled_provider_for_sign_ons(console, company):
    """While a test runs, nobody else's answer comes in."""
    browser, sent = begin(console)
    client = make_client()
    other = LoginRequest.objects.create(
        trace_id="ABCDE-12345",
        relay_state="B" * 32,
        browser_hash="x",
        state="waiting",
        application=client.application,
        client=client,
        asked={},
        identity_provider=company.identity_provider,
        created_at=timezone.now(),
        expires_at=timezone.now() + timedelta(minutes=5),
    )
    answer = browser.post(company.acs_url, {"SAMLResponse": "QQ==", "RelayState": other.relay_state})
    assert "signon.identity_provider_disabled" in answer.content.decode()
    assert company.ask(Browser(), idp_hint="acme-idp").status_code == 403
    assert "The test passed." in finish(company, browser, sent).content.decode()


def test_a_session_of_the_operators_browser_stays_as_it_is(console):
    company = make_company()
    browser = Browser(console)
    answer_of(company.sign_on(browser, subject="bob", attributes={"mail": ["bob@acme.example"]}))
    before = (Session.objects.values().get(), browser.http.cookies[settings.SSO_COOKIE_NAME].value)
    finish(company, *begin(console))
    assert (Session.objects.values().get(), browser.http.cookies[settings.SSO_COOKIE_NAME].value) == before


def test_a_test_runs_out_like_a_sign_on(console, company, make_operator, sign_in):
    with time_machine.travel(timezone.now(), tick=False) as clock:
        browser, sent = begin(console)
        clock.shift(limits.LOGIN_REQUEST_LIFETIME + timedelta(seconds=1))
        page = company.answer(browser, sent)
    assert "saml.unsolicited" in page.content.decode()


def test_a_retired_provider_cannot_be_tested(console, company):
    console.get("/admin/connections/acme-idp/test/")
    login = LoginRequest.objects.get()
    IdentityProvider.objects.update(retired_at=timezone.now())
    raise_version()
    assert console.get("/admin/connections/acme-idp/test/").status_code == 404
    page = Browser(console).follow(console.get("/signon/test", {"flow": login.relay_state}))
    assert "signon.no_identity_provider" in page.content.decode()


def test_viewers_read_results_and_begin_nothing(console, viewer_console, company):
    finish(company, *begin(console))
    trace = Trace.objects.get()
    page = viewer_console.get(f"/admin/connections/tests/{trace.pk}/")
    assert page.status_code == 200
    assert "Test again" not in page.content.decode()
    assert viewer_console.get("/admin/connections/acme-idp/test/").status_code == 403


def test_strangers_are_sent_to_the_sign_in(console, company):
    finish(company, *begin(console))
    for path in ("/admin/connections/acme-idp/test/", f"/admin/connections/tests/{Trace.objects.get().pk}/"):
        answer = DjangoClient().get(path)
        assert (answer.status_code, answer["Location"].split("?")[0]) == (302, "/admin/login/")


def test_the_trace_of_a_sign_on_is_no_result(console):
    company = make_company()
    company.sign_on(Browser())
    assert console.get(f"/admin/connections/tests/{Trace.objects.get().pk}/").status_code == 404
    assert console.get("/admin/connections/tests/ABCDE-12345/").status_code == 404
    assert console.get("/admin/connections/nobody/test/").status_code == 404


def test_the_preview_of_releases_is_bounded(console, company, monkeypatch):
    monkeypatch.setattr(limits, "RELEASE_PREVIEWS", 3)
    for _ in range(5):
        make_application()
    finish(company, *begin(console))
    result = read_result(Trace.objects.get().pk)
    assert result
    assert len(result.releases) == 3


def run(company: Company, monkeypatch: Any, *arguments: str, **options: Any) -> tuple[int, str, str]:
    """The command, with a person at the browser while it waits. Returns exit code, output and error output."""
    output, errors, browser = io.StringIO(), io.StringIO(), Browser()

    def pause(_seconds: float) -> None:
        address = re.search(r"browser: (\S+)", output.getvalue() + errors.getvalue())
        assert address
        pages.append(company.answer(browser, browser.get(address[1]), **options))

    pages: list[Any] = []
    monkeypatch.setattr(Command, "pause", staticmethod(pause))
    code = 0
    try:
        call_command("test_identity_provider", "acme-idp", *arguments, stdout=output, stderr=errors)
    except SystemExit as error:
        code = int(error.code or 0)
    assert settings.SSO_COOKIE_NAME not in browser.http.cookies
    return code, output.getvalue(), errors.getvalue() + pages[0].content.decode()


def test_the_command_prints_an_address_and_what_the_round_trip_found(company, monkeypatch):
    code, output, page = run(company, monkeypatch)
    assert code == 0
    assert "Waiting for the browser." in output
    assert "ok   assertion audience" in output
    assert "claim email: alice@acme.example" in output
    assert "would be told: email alice@acme.example, email_verified true" in output
    assert "The test of acme-idp passed" in output
    assert "The test has passed" in page
    event = Event.objects.get(type="connection.tested")
    assert (event.actor_kind, event.actor_id, event.code) == ("system", "countersign", "")
    assert not Person.objects.exists()


def test_the_command_says_in_json_why_a_test_failed(company, monkeypatch):
    code, output, page = run(company, monkeypatch, "--json", flaw="wrong_audience")
    told = json.loads(output)
    assert code == 1
    assert (told["outcome"], told["code"]) == ("refused", "saml.audience")
    assert next(check["name"] for check in told["checks"] if not check["passed"]) == "assertion audience"
    assert "<code>saml.audience</code>" in page


def test_the_address_of_a_command_belongs_to_the_first_browser_that_opens_it(company, monkeypatch):
    make_keys()
    first, second = Browser(), Browser()

    def pause(_seconds: float) -> None:
        flow = LoginRequest.objects.get().relay_state
        sent = first.get("/signon/test", flow=flow)
        assert "signon.other_browser" in second.get("/signon/test", flow=flow).content.decode()
        company.answer(first, sent)

    monkeypatch.setattr(Command, "pause", staticmethod(pause))
    with pytest.raises(SystemExit):
        call_command("test_identity_provider", "acme-idp", stdout=io.StringIO())


def test_the_command_ends_when_nobody_comes(company, monkeypatch):
    with time_machine.travel(timezone.now(), tick=False) as clock:
        monkeypatch.setattr(Command, "pause", staticmethod(lambda _seconds: clock.shift(timedelta(minutes=1))))
        with pytest.raises(CommandError, match="nobody finished"):
            call_command("test_identity_provider", "acme-idp", stdout=io.StringIO())


def test_the_command_knows_no_unregistered_provider(db):
    with pytest.raises(CommandError, match="no identity provider nobody"):
        call_command("test_identity_provider", "nobody")
