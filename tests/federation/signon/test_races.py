"""Two tabs of one sign-on, one statement apart."""

from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connection

from federation.signon.models import LoginRequest
from tests.factories import make_identity_provider
from tests.flows.stage import ATTRIBUTES, Browser, make_company, read_request

pytestmark = pytest.mark.django_db


@contextmanager
def after_it_was_read(happens):
    """Lets something happen just after a sign-on was read for the first time."""
    pending = [happens]

    def watch(execute, sql, params, many, context):
        result = execute(sql, params, many, context)
        if pending and sql.startswith('SELECT "signon_loginrequest"'):
            pending.pop()()
        return result

    with connection.execute_wrapper(watch):
        yield
    assert not pending


@pytest.fixture
def company():
    return make_company()


def answer_to(company, sent):
    """The form that the identity provider would have the browser post."""
    answer = company.fake.answer(
        request_id=read_request(sent).get("ID"),
        acs_url=company.acs_url,
        audience=company.audience,
        attributes=ATTRIBUTES,
    )
    return {"SAMLResponse": answer, "RelayState": parse_qs(urlsplit(sent["Location"]).query)["RelayState"][0]}


def test_an_answer_that_comes_while_its_tab_is_reloaded_is_not_lost(company):
    browser = Browser()
    form = answer_to(company, company.ask(browser))
    with after_it_was_read(lambda: Browser().post(company.acs_url, form)):
        early = browser.get(company.acs_url, flow=form["RelayState"])
    assert early.status_code == 400
    assert browser.get(company.acs_url, flow=form["RelayState"]).status_code == 303


def test_a_sign_on_that_was_answered_meanwhile_does_not_begin_anew(company):
    make_identity_provider(slug="other")
    browser = Browser()
    flow = company.ask(browser)["Location"].partition("flow=")[2]
    form = answer_to(company, browser.post("/signon/choose", {"flow": flow, "identity_provider": "acme-idp"}))

    def finish():
        assert browser.follow(browser.post(company.acs_url, form)).status_code == 303

    with after_it_was_read(finish):
        late = browser.post("/signon/choose", {"flow": flow, "identity_provider": "other"})
    assert (late.status_code, "signon.unknown" in late.content.decode()) == (400, True)
    login = LoginRequest.objects.get()
    assert (login.state, login.identity_provider.slug) == ("done", "acme-idp")
