"""Logout that arrives: whoever took part in a session hears of its end, whyever it ended."""

import re
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from uuid import uuid4

import pytest
import time_machine
from django.test import Client as Http
from django.utils import timezone

from broker import limits
from broker.actors import SYSTEM
from broker.delivery.models import Delivery
from broker.events.models import Event
from broker.events.reading import read_notices
from broker.registry.models import Client
from broker.registry.registering.clients import change_client
from broker.registry.registering.identity_providers import change_identity_provider
from broker.sessions.models import Participant, Session
from broker.sessions.services import end_session
from broker.tokens.models import Grant
from federation.logout import tasks
from federation.logout.reading import read_events
from federation.logout.standing import Ended
from tests.fakes.fake_idp import instant
from tests.fakes.fake_logout import SoapParty, listening
from tests.fakes.fake_sp import FakeServiceProvider
from tests.federation.logout.stage import asked, carry_all, says, told
from tests.flows.saml_stage import make_erp
from tests.flows.stage import Browser, answer_of, make_company, unverified_claims

pytestmark = pytest.mark.django_db


class World:
    """Acme with a CRM that speaks OpenID Connect and an ERP that speaks SAML, both listening."""

    def __init__(self, crm, erp_heard, *, company, erp, party):
        self.crm, self.erp_heard, self.company, self.erp, self.party = crm, erp_heard, company, erp, party

    def sign_on_to_both(self, browser):
        """Returns the ID token's claims, and what the ERP was told."""
        code = answer_of(self.company.sign_on(browser))["code"]
        claims = unverified_claims(self.company.redeem(code).json()["id_token"])
        return claims, self.erp.read(self.erp.ask(browser))

    def work(self):
        """What the worker does."""
        read_notices()
        carry_all()


@contextmanager
def world(**face):
    with ExitStack() as stack:
        sp = FakeServiceProvider()
        party = SoapParty(sp)

        def answer(heard):
            return 200, {"Content-Type": "text/xml"}, party.answer(asked(heard, party).request_id)

        crm, erp_listens = stack.enter_context(listening(says(200))), stack.enter_context(listening(answer))
        party.url = erp_listens.url
        company = make_company()
        change_client(company.client, actor=SYSTEM, backchannel_logout_uri=crm.url)
        company.client.refresh_from_db()
        erp = make_erp(company=company, sp=sp, metadata={"soap_logout": erp_listens.url}, **face)
        yield World(crm, erp_listens.heard, company=company, erp=erp, party=party)


@pytest.fixture(autouse=True)
def _loopback(settings):
    settings.OUTGOING_NETWORKS = ["127.0.0.0/8"]


def sign_out(browser):
    """The person presses the button on the start page."""
    page = browser.get("/").content.decode()
    token = re.search(r'action="/oauth/logout/confirm"><input[^>]*value="([^"]+)"', page)
    assert token, page
    return browser.post("/oauth/logout/confirm", {"csrfmiddlewaretoken": token[1]})


def test_both_applications_hear_of_a_sign_out_in_the_words_that_they_know():
    with world() as acme:
        browser = Browser()
        claims, assertion = acme.sign_on_to_both(browser)
        sign_out(browser)
        acme.work()
    logout = told(acme.crm.heard[0], acme.company.client)
    assert (logout["sid"], logout["sub"]) == (claims["sid"], claims["sub"])
    request = asked(acme.erp_heard[0], acme.party)
    assert request.session_index == assertion.session_index
    assert (request.name_id, request.format) == (assertion.name_id, assertion.format)
    assert (request.name_qualifier, request.sp_name_qualifier) == (
        assertion.name_qualifier,
        assertion.sp_name_qualifier,
    )
    assert {row.state for row in Delivery.objects.all()} == {"confirmed"}


@pytest.mark.parametrize("name_id", ["transient", "email"])
def test_each_kind_of_name_comes_back_as_it_was_told(name_id):
    with world(name_id=name_id) as acme:
        browser = Browser()
        _, assertion = acme.sign_on_to_both(browser)
        sign_out(browser)
        acme.work()
    request = asked(acme.erp_heard[0], acme.party)
    assert (request.name_id, request.format) == (assertion.name_id, assertion.format)
    assert (request.name_qualifier, request.sp_name_qualifier) == (
        assertion.name_qualifier,
        assertion.sp_name_qualifier,
    )


def test_a_name_that_the_request_asked_for_is_the_one_that_comes_back():
    wants = '<samlp:NameIDPolicy AllowCreate="true" Format="urn:oasis:names:tc:SAML:2.0:nameid-format:transient"/>'
    with world(name_id="persistent") as acme:
        browser = Browser()
        acme.company.sign_on(browser)
        assertion = acme.erp.read(acme.erp.ask(browser, inside=wants))
        sign_out(browser)
        acme.work()
    request = asked(acme.erp_heard[0], acme.party)
    assert request.format.endswith(":transient")
    assert request.name_id == assertion.name_id


def test_the_page_says_who_was_told_and_looks_again():
    with world() as acme:
        browser = Browser()
        acme.sign_on_to_both(browser)
        page = sign_out(browser)
        first = page.content.decode()
        acme.work()
        again = re.fullmatch(r"2; url=(/signon/signed-out\?of=.+)", page["Refresh"])
        assert again
        second = Http().get(again[1])
    assert first.count("Is being told") == 2
    assert second.content.decode().count("Signed you out at") == 2
    assert "Refresh" not in second
    assert second["Cache-Control"] == "no-store"


def test_the_page_looks_by_itself_for_a_short_while_only():
    with world() as acme, time_machine.travel(timezone.now(), tick=False) as clock:
        browser = Browser()
        acme.sign_on_to_both(browser)
        again = sign_out(browser)["Refresh"].partition("url=")[2]
        clock.shift(limits.LOGOUT_WATCHED)
        later = Http().get(again)
        assert "Refresh" not in later
        assert "See which applications have answered" in later.content.decode()
        clock.shift(limits.LOGOUT_REQUEST_LIFETIME)
        assert "signon.expired" in Http().get(again).content.decode()


@pytest.mark.parametrize("of", ["", "x", "A" * 300])
def test_nobody_looks_at_a_sign_out_without_its_link(of):
    answer = Http().get("/signon/signed-out", {"of": of})
    assert answer.status_code == 400
    assert "signon.unknown" in answer.content.decode()


def test_the_person_is_told_before_and_after_which_application_cannot_be_told():
    with world() as acme:
        change_client(acme.company.client, actor=SYSTEM, backchannel_logout_uri="")
        browser = Browser()
        acme.sign_on_to_both(browser)
        asks = browser.get("/oauth/logout").content.decode()
        page = sign_out(browser).content.decode()
        acme.work()
    assert re.search(r"are told, and sign you out:</p>\s*<ul><li>ERP</li></ul>", asks)
    assert re.search(r"until you sign out there:</p>\s*<ul><li>CRM</li></ul>", asks)
    assert re.search(r"<dt>CRM</dt>\s*<dd>Is not signed out by us", page)
    assert acme.crm.heard == []
    assert len(acme.erp_heard) == 1


def test_an_application_that_refuses_is_not_called_signed_out():
    with world() as acme:
        acme.crm.reply = says(400)
        browser = Browser()
        acme.sign_on_to_both(browser)
        again = sign_out(browser)["Refresh"].partition("url=")[2]
        acme.work()
        page = Http().get(again).content.decode()
    assert re.search(r"<dt>CRM</dt>\s*<dd>Was told, and did not confirm it", page)
    assert re.search(r"<dt>ERP</dt>\s*<dd>Signed you out at", page)


def test_an_application_without_a_token_of_ours_is_told_all_the_same():
    """A code that was never redeemed, tokens that were revoked: its session is its own."""
    with world() as acme:
        browser = Browser()
        acme.company.sign_on(browser)
        Grant.objects.all().delete()
        sign_out(browser)
        acme.work()
    assert told(acme.crm.heard[0], acme.company.client)["sid"] == str(Participant.objects.get().pk)


def test_who_took_part_by_both_faces_is_told_by_both():
    with world() as acme:
        # The ERP has a client of its own, beside its SAML face.
        Client.objects.update(application=acme.erp.application)
        acme.company.client.refresh_from_db()
        browser = Browser()
        acme.erp.sign_on(browser)
        acme.company.ask(browser)
        assert Participant.objects.count() == 1
        sign_out(browser)
        acme.work()
    assert (len(acme.crm.heard), len(acme.erp_heard)) == (1, 1)
    assert Delivery.objects.filter(reference=Participant.objects.get().reference).count() == 2


def test_who_took_part_by_openid_first_is_told_by_both_too():
    with world() as acme:
        Client.objects.update(application=acme.erp.application)
        acme.company.client.refresh_from_db()
        browser = Browser()
        acme.company.sign_on(browser)
        assertion = acme.erp.read(acme.erp.ask(browser))
        sign_out(browser)
        acme.work()
    assert (len(acme.crm.heard), len(acme.erp_heard)) == (1, 1)
    assert asked(acme.erp_heard[0], acme.party).name_id == assertion.name_id


def test_a_face_that_took_no_part_is_not_told():
    with world() as acme:
        Client.objects.update(application=acme.erp.application)
        browser = Browser()
        acme.company.sign_on(browser)
        sign_out(browser)
        acme.work()
    assert (len(acme.crm.heard), len(acme.erp_heard)) == (1, 0)


# --- Whyever it ends
def by_an_application(acme, browser, claims):
    raw = acme.company.redeem(answer_of(acme.company.ask(browser))["code"]).json()["id_token"]
    browser.get("/oauth/logout", id_token_hint=raw)


def by_an_operator(acme, browser, claims):
    end_session(Session.objects.get(), reason="operator", actor=SYSTEM)


def by_another_person(acme, browser, claims):
    sent = acme.company.ask(browser, prompt="select_account")
    now = instant(timezone.now() + timedelta(seconds=1))
    acme.company.answer(browser, sent, subject="bob", attributes={"mail": ["bob@acme.example"]}, authn_instant=now)


def by_its_identity_provider(acme, browser, claims):
    change_identity_provider(acme.company.identity_provider, actor=SYSTEM, enabled=False)
    assert tasks.end_orphaned() == 1
    assert tasks.end_orphaned() == 0


def by_its_organisation(acme, browser, claims):
    organisation = acme.company.identity_provider.organisation
    organisation.enabled = False
    organisation.save()
    assert tasks.end_orphaned() == 1


def everywhere(acme, browser, claims):
    page = browser.get("/").content.decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert token
    browser.post("/signon/sessions/end-all", {"csrfmiddlewaretoken": token[1]})


@pytest.mark.parametrize(
    "ends",
    [by_an_application, by_an_operator, by_another_person, by_its_identity_provider, by_its_organisation, everywhere],
)
def test_whyever_a_session_ends_both_are_told_once(ends):
    with world() as acme:
        browser = Browser()
        claims, _ = acme.sign_on_to_both(browser)
        ends(acme, browser, claims)
        acme.work()
        acme.work()
    assert [told(one, acme.company.client)["sid"] for one in acme.crm.heard] == [claims["sid"]]
    assert len(acme.erp_heard) == 1


def test_a_session_that_runs_out_is_not_told():
    with world() as acme, time_machine.travel(timezone.now(), tick=False) as clock:
        acme.sign_on_to_both(Browser())
        clock.shift(limits.SESSION_ABSOLUTE + timedelta(hours=1))
        acme.work()
        tasks.end_orphaned()
        tasks.tell_missed()
        acme.work()
    assert (acme.crm.heard, acme.erp_heard) == ([], [])


def test_the_same_event_read_twice_tells_nobody_twice():
    with world() as acme:
        browser = Browser()
        acme.sign_on_to_both(browser)
        sign_out(browser)
        acme.work()
        read_events(list(Event.objects.filter(type="session.ended")))
        acme.work()
    assert (len(acme.crm.heard), len(acme.erp_heard)) == (1, 1)


def test_who_joined_in_the_moment_of_the_end_is_told_within_minutes():
    """The sign-on committed after the reader looked."""
    with world() as acme:
        browser = Browser()
        acme.company.sign_on(browser)
        session = Session.objects.get()
        sign_out(browser)
        acme.work()
        now = timezone.now()
        late = Participant.objects.create(
            session=session, application=acme.erp.application, joined_at=now, last_used_at=now
        )
        assert tasks.tell_missed() == 1
        assert tasks.tell_missed() == 0
        acme.work()
    assert asked(acme.erp_heard[0], acme.party).session_index == str(late.pk)
    assert len(acme.crm.heard) == 1


def test_nobody_is_told_what_belongs_to_another_session():
    with world() as acme:
        mine, theirs = Browser(), Browser()
        claims, _ = acme.sign_on_to_both(mine)
        acme.sign_on_to_both(theirs)
        sign_out(mine)
        acme.work()
    assert [told(one, acme.company.client)["sid"] for one in acme.crm.heard] == [claims["sid"]]
    assert Session.objects.filter(ended_at=None).count() == 1


def test_the_ledger_holds_no_name_and_no_token():
    with world(name_id="email") as acme:
        browser = Browser()
        acme.sign_on_to_both(browser)
        sign_out(browser)
        acme.work()
    for row in Delivery.objects.all():
        assert set(row.payload) == {"participant"}
        assert "alice" not in f"{row.title} {row.detail} {row.subject}".lower()


def test_the_browser_of_who_signed_out_is_not_sent_around():
    with world() as acme:
        browser = Browser()
        acme.sign_on_to_both(browser)
        page = sign_out(browser).content.decode()
    assert "iframe" not in page
    assert acme.crm.url not in page


# --- Limits
def test_who_joins_later_than_the_look_goes_back_is_not_looked_for():
    with world() as acme, time_machine.travel(timezone.now(), tick=False) as clock:
        browser = Browser()
        acme.company.sign_on(browser)
        session = Session.objects.get()
        sign_out(browser)
        acme.work()
        now = timezone.now()
        Participant.objects.create(session=session, application=acme.erp.application, joined_at=now, last_used_at=now)
        clock.shift(limits.LOGOUT_MISSED_WITHIN)
        assert tasks.tell_missed() == 0


def test_each_transaction_takes_so_many_sessions_and_none_is_left(monkeypatch):
    monkeypatch.setattr(limits, "LOGOUT_SESSIONS_PER_LOOK", 2)
    with world() as acme:
        for _ in range(5):
            acme.company.sign_on(Browser())
        change_identity_provider(acme.company.identity_provider, actor=SYSTEM, enabled=False)
        assert tasks.end_orphaned() == 5
        assert tasks.tell_missed() == 5
        acme.work()
    assert len({told(one, acme.company.client)["sid"] for one in acme.crm.heard}) == 5


def test_the_page_shows_so_many_sessions():
    many = [uuid4() for _ in range(limits.LOGOUT_SESSIONS_SHOWN + 1)]
    ended = Ended.just_now(many)
    assert list(ended.sessions) == many[:-1]
    assert Ended.unseal(ended.seal(), now=timezone.now()).sessions == many[:-1]
    assert len(ended.seal()) < limits.QUERY_BYTES


def test_an_applications_own_words_are_cut():
    with world() as acme:
        words = b'{"error": "%s"}' % (b"x" * 1000)
        acme.crm.reply = says(400, words, Content_Type="application/json")
        browser = Browser()
        acme.company.sign_on(browser)
        sign_out(browser)
        acme.work()
    assert len(Delivery.objects.get().detail) == limits.LOGOUT_ERROR_CHARS
