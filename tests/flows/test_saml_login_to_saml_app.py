"""The other main job: a person signs on at a SAML identity provider and arrives in a SAML application."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client as DjangoClient
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from lxml import etree

from broker import limits
from broker.actors import SYSTEM
from broker.directory.models import Person
from broker.events.models import Event
from broker.registry.cache import raise_version
from broker.registry.models import Domain
from broker.registry.registering.applications import (
    change_application,
    change_service_provider,
    create_service_provider,
    retire_service_provider,
)
from broker.sessions.models import Participant, Session
from broker.traces.models import Trace
from broker.traces.services import read_trace
from federation.downstream.models import PairwiseNameID
from federation.saml.metadata import read_identity_provider
from federation.signon.models import LoginRequest
from tests.factories import make_identity_provider
from tests.fakes.fake_idp import EMAIL, PASSWORD, PERSISTENT, SAML, TRANSIENT, UNSPECIFIED, XENC, instant
from tests.fakes.fake_sp import FakeServiceProvider
from tests.fakes.saml_keys import key_pair
from tests.flows.saml_stage import ERP, RELAY_STATE, make_erp, posted, xml_of
from tests.flows.stage import Browser, answer_of, make_company, read_request
from tests.flows.test_cost_of_a_login import QUERIES_OF_A_LOGIN, counted

pytestmark = pytest.mark.django_db

MFA = "https://refeds.org/profile/mfa"
ENCRYPTING = FakeServiceProvider(encryption_key=key_pair("sp encryption"))


@pytest.fixture
def erp() -> ERP:
    return make_erp()


@pytest.fixture
def browser() -> Browser:
    return Browser()


def policy(format_: str, **attributes: str) -> dict[str, Any]:
    rest = "".join(f' {name}="{value}"' for name, value in attributes.items())
    return {"inside": f'<samlp:NameIDPolicy Format="{format_}"{rest}/>'}


def contexts(*references: str, comparison: str = "exact") -> dict[str, Any]:
    inside = "".join(f"<saml:AuthnContextClassRef>{one}</saml:AuthnContextClassRef>" for one in references)
    return {"inside": f'<samlp:RequestedAuthnContext Comparison="{comparison}">{inside}</samlp:RequestedAuthnContext>'}


def refused(response: Any, code: str) -> str:
    """Asserts a refusal page with its code, trace and event, and returns its text."""
    text: str = response.content.decode()
    assert 400 <= response.status_code < 500, text
    assert f"<code>{code}</code>" in text, text
    trace = Trace.objects.get(pk=response["Countersign-Trace"])
    assert (trace.outcome, trace.code) == ("refused", code)
    assert Event.objects.filter(type="login.refused", code=code, trace_id=trace.pk).exists()
    return text


# --- Arriving -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("sign", [False, True], ids=["unsigned", "signed"])
@pytest.mark.parametrize("by", ["redirect", "post"])
def test_a_person_arrives_with_the_released_attributes(erp: ERP, browser: Browser, by: str, sign: bool) -> None:
    answer = erp.read(erp.sign_on(browser, ask={"by": by, "sign": sign}))
    assert answer.relay_state == RELAY_STATE
    assert answer.attributes == {
        "urn:oid:0.9.2342.19200300.100.1.3": ("alice@acme.example",),
        "urn:oid:2.16.840.1.113730.3.1.241": ("Alice Ålesund",),
        "urn:oid:1.3.6.1.4.1.5923.1.5.1.1": ("engineering", "on call"),
    }
    assert answer.session_index == str(Participant.objects.get().pk)
    session = Session.objects.get()
    assert answer.authenticated_at == instant(session.authenticated_at)
    assert (answer.context, answer.authority) == (PASSWORD, erp.company.fake.entity_id)


@pytest.mark.parametrize("relay_state", [None, "x" * 80, "x" * 81, '"><script>&amp;', "a+b%20c", "é🐘", "x" * 1024])
@pytest.mark.parametrize("by", ["redirect", "post"])
def test_the_relay_state_comes_back_untouched(erp: ERP, browser: Browser, by: str, relay_state: str | None) -> None:
    assert erp.read(erp.sign_on(browser, ask={"by": by, "relay_state": relay_state})).relay_state == relay_state


def test_a_post_without_cookies_finds_the_session_all_the_same(erp: ERP, browser: Browser) -> None:
    erp.sign_on(browser)
    # A browser withholds Lax cookies from another site's POST, and sends them with the GET that follows.
    stranger = Browser().post(erp.sso_url, erp.sp.form(erp.sso_url, request_id="_second", relay_state="state"))
    assert stranger.status_code == 303
    page = browser.follow(stranger)
    assert erp.read(page, request_id="_second").relay_state == "state"
    assert Session.objects.count() == 1


def test_a_second_application_needs_no_second_sign_on_and_knows_another_name(erp: ERP, browser: Browser) -> None:
    first = erp.read(erp.sign_on(browser))
    other = make_erp(
        company=erp.company,
        sp=FakeServiceProvider("https://hr.example/saml", acs_urls=["https://hr.example/acs"]),
        slug="hr",
    )
    second = other.read(other.ask(browser))
    assert second.name_id != first.name_id
    assert second.session_index != first.session_index
    assert (Session.objects.count(), Participant.objects.count()) == (1, 2)


def test_one_session_opens_applications_of_both_protocols(erp: ERP, browser: Browser) -> None:
    assert "code" in answer_of(erp.company.sign_on(browser))
    assert erp.read(erp.ask(browser)).status == ("Success",)
    assert Session.objects.count() == 1


@pytest.mark.parametrize("encrypt", ["auto", "always"])
@pytest.mark.parametrize("sign", ["response", "assertion", "both"])
def test_answers_are_signed_and_encrypted_as_was_chosen(browser: Browser, sign: str, encrypt: str) -> None:
    erp = make_erp(sp=ENCRYPTING, sign=sign, encrypt=encrypt)
    answer = erp.read(erp.sign_on(browser))
    assert answer.cipher.endswith("aes256-gcm")
    # The metadata wants assertions signed, whatever an operator chose beside it.
    assert answer.signed == {"response": ("Response", "Assertion"), "assertion": ("Assertion",)}.get(
        sign, ("Response", "Assertion")
    )


def test_encryption_can_be_left_out(browser: Browser) -> None:
    erp = make_erp(sp=ENCRYPTING, encrypt="never")
    assert erp.read(erp.sign_on(browser)).cipher == ""


@pytest.mark.parametrize(
    ("metadata", "encrypt"),
    [({"methods": [XENC + "tripledes-cbc"]}, "auto"), ({"methods": [XENC + "rsa-1_5"]}, "always")],
)
def test_what_cannot_be_closed_well_is_not_sent_open(browser: Browser, metadata: Any, encrypt: str) -> None:
    erp = make_erp(sp=ENCRYPTING, metadata=metadata, encrypt=encrypt)
    page = erp.sign_on(browser)
    refused(page, "saml_idp.encryption")
    assert not Session.objects.exists()
    assert erp.read(page).status == ("Responder", "RequestUnsupported")


def test_an_application_without_a_key_cannot_have_its_answers_closed(browser: Browser) -> None:
    erp = make_erp(encrypt="always")
    refused(erp.sign_on(browser), "saml_idp.encryption")


def test_the_answer_goes_where_the_index_says(browser: Browser) -> None:
    sp = FakeServiceProvider(acs_urls=["https://erp.example/acs", "https://erp.example/acs/second"])
    erp = make_erp(sp=sp)
    page = erp.sign_on(browser, ask={"AssertionConsumerServiceIndex": "1"})
    assert posted(page)[0] == "https://erp.example/acs/second"
    assert erp.read(page, acs_url="https://erp.example/acs/second").status == ("Success",)


# --- Names ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("allow_create", ["true", "false"])
@pytest.mark.parametrize("format_", [PERSISTENT, UNSPECIFIED, "urn:oasis:names:tc:SAML:2.0:nameid-format:unspecified"])
def test_a_persistent_name_is_made_once_and_stays(erp: ERP, browser: Browser, format_: str, allow_create: str) -> None:
    first = erp.read(
        erp.sign_on(browser, ask=policy(format_, AllowCreate=allow_create, SPNameQualifier=erp.sp.entity_id))
    )
    second = erp.read(erp.sign_on(Browser()))
    assert first.format == second.format == PERSISTENT
    assert first.name_id == second.name_id == str(PairwiseNameID.objects.get().value)
    assert first.name_id != str(Person.objects.get().pk)
    assert first.sp_name_qualifier == erp.sp.entity_id
    assert first.name_qualifier == "http://localhost:8000/saml/idp/metadata"


def test_a_persistent_name_survives_new_metadata(erp: ERP, browser: Browser) -> None:
    before = erp.read(erp.sign_on(browser)).name_id
    retire_service_provider(erp.face, actor=SYSTEM)
    create_service_provider(erp.application, actor=SYSTEM, metadata=erp.sp.metadata())
    assert erp.read(erp.ask(browser)).name_id == before


def test_a_transient_name_lasts_as_long_as_the_session_that_keeps_it_for_its_end(erp: ERP, browser: Browser) -> None:
    first = erp.read(erp.sign_on(browser, ask=policy(TRANSIENT)))
    again = erp.read(erp.ask(browser, **policy(TRANSIENT)))
    assert (first.format, again.format, again.name_id) == (TRANSIENT, TRANSIENT, first.name_id)
    assert Participant.objects.get(pk=first.session_index).transient_name == first.name_id
    elsewhere = erp.read(erp.sign_on(Browser(), ask=policy(TRANSIENT)))
    assert elsewhere.name_id != first.name_id
    assert not PairwiseNameID.objects.exists()


@pytest.mark.parametrize("encrypt", ["never", "always"])
def test_the_assertion_that_we_made_stands_in_the_trace_without_its_signature(browser: Browser, encrypt: str) -> None:
    erp = make_erp(sp=ENCRYPTING, encrypt=encrypt)
    answer = erp.read(erp.sign_on(browser))
    (trace,) = Trace.objects.all()
    found = [entry for hop in read_trace(trace.pk) for entry in hop["entries"]]
    shown = [one["text"] for one in found if one.get("title") == "Assertion for the application"]
    assert len(shown) == 1
    assert answer.name_id in shown[0]
    assert "characters of signature" in shown[0]


@pytest.mark.parametrize("ask", [{}, policy(EMAIL)], ids=["by default", "as asked"])
def test_an_email_address_is_the_name_where_the_application_may_have_it(browser: Browser, ask: Any) -> None:
    erp = make_erp(name_id="email")
    answer = erp.read(erp.sign_on(browser, ask=ask))
    assert (answer.format, answer.name_id) == (EMAIL, "alice@acme.example")


@pytest.mark.parametrize(
    ("setting", "asked"),
    [("persistent", EMAIL), ("transient", EMAIL), ("transient", PERSISTENT)]
    + [
        ("email", f"urn:oasis:names:tc:SAML:{one}")
        for one in ("2.0:nameid-format:encrypted", "1.1:nameid-format:X509SubjectName")
    ],
)
def test_an_application_gets_no_more_than_it_may_know(browser: Browser, setting: str, asked: str) -> None:
    erp = make_erp(name_id=setting)
    page = erp.ask(browser, **policy(asked))
    refused(page, "saml_idp.name_id")
    answer = erp.read(page)
    assert answer.status == ("Requester", "InvalidNameIDPolicy")
    assert answer.relay_state == RELAY_STATE


def test_another_qualifier_than_the_applications_own_is_refused(erp: ERP, browser: Browser) -> None:
    page = erp.ask(browser, **policy(PERSISTENT, SPNameQualifier="https://affiliation.example"))
    refused(page, "saml_idp.name_id")
    assert erp.read(page).status == ("Requester", "InvalidNameIDPolicy")


@pytest.mark.parametrize("mail", [[], ["alice@elsewhere.example"]], ids=["none", "outside the domains"])
def test_without_an_address_of_its_own_domain_nobody_is_named_by_one(browser: Browser, mail: list[str]) -> None:
    erp = make_erp(name_id="email")
    page = erp.sign_on(browser, attributes={"mail": mail})
    refused(page, "saml_idp.name_id")
    assert erp.read(page).status == ("Requester", "InvalidNameIDPolicy")
    assert not Session.objects.exists()


def test_an_address_in_a_domain_that_was_given_up_names_nobody(browser: Browser) -> None:
    erp = make_erp(name_id="email")
    erp.sign_on(browser)
    Domain.objects.update(proved_at=None)
    raise_version()
    refused(erp.ask(browser), "saml_idp.name_id")


@pytest.mark.parametrize(("name", "value"), [("email", "alice@acme.example"), ("EMAIL", "Alice@ACME.example")])
def test_the_person_whom_the_application_names_may_sign_on(erp: ERP, browser: Browser, name: str, value: str) -> None:
    subject = f'<saml:Subject><saml:NameID Format="{EMAIL}">{value}</saml:NameID></saml:Subject>'
    assert erp.read(erp.sign_on(browser, ask={"inside": subject})).status == ("Success",)


@pytest.mark.parametrize(("format_", "value"), [(EMAIL, "bob@acme.example"), (PERSISTENT, "somebody")])
def test_another_person_than_the_application_names_is_refused(
    erp: ERP, browser: Browser, format_: str, value: str
) -> None:
    subject = f'<saml:Subject><saml:NameID Format="{format_}">{value}</saml:NameID></saml:Subject>'
    page = erp.sign_on(browser, ask={"inside": subject})
    refused(page, "saml_idp.subject")
    assert erp.read(page).status == ("Responder", "UnknownPrincipal")


def test_the_persistent_name_that_we_gave_names_the_person_again(erp: ERP, browser: Browser) -> None:
    given = erp.read(erp.sign_on(browser)).name_id
    subject = f'<saml:Subject><saml:NameID Format="{PERSISTENT}">{given}</saml:NameID></saml:Subject>'
    assert erp.read(erp.ask(browser, inside=subject)).name_id == given


@pytest.mark.parametrize("inside", ["<saml:EncryptedID/>", "<saml:NameID>alice</saml:NameID>"])
def test_a_subject_that_cannot_be_compared_is_refused(erp: ERP, browser: Browser, inside: str) -> None:
    page = erp.ask(browser, inside=f"<saml:Subject>{inside}</saml:Subject>")
    refused(page, "saml_idp.subject")


# --- Force, passive, contexts ---------------------------------------------------------------------------------------
def test_force_authn_goes_upstream_in_spite_of_a_session(erp: ERP, browser: Browser) -> None:
    erp.sign_on(browser)
    sent = erp.ask(browser, ForceAuthn="true")
    assert read_request(sent).get("ForceAuthn") == "true"
    before = Session.objects.get().authenticated_at
    answer = erp.read(erp.answer(browser, sent, authn_instant=instant(timezone.now())))
    after = Session.objects.get().authenticated_at
    assert after > before
    assert answer.authenticated_at == instant(after)


def test_an_old_authentication_does_not_pass_for_a_forced_one(erp: ERP, browser: Browser) -> None:
    old = instant(timezone.now() - timedelta(minutes=5))
    page = erp.sign_on(browser, ask={"ForceAuthn": "true"}, authn_instant=old)
    refused(page, "saml.authentication_too_old")
    assert erp.read(page).status == ("Responder", "AuthnFailed")


@pytest.mark.parametrize("by", ["redirect", "post"])
def test_a_passive_request_without_a_session_is_answered_no_passive(erp: ERP, browser: Browser, by: str) -> None:
    page = erp.ask(browser, by=by, IsPassive="true")
    assert page.status_code == 200
    answer = erp.read(page)
    assert answer.status == ("Responder", "NoPassive")
    assert answer.relay_state == RELAY_STATE
    assert Event.objects.get(type="login.refused", application="erp").code == "signon.login_required"


def test_a_passive_request_with_a_session_is_answered(erp: ERP, browser: Browser) -> None:
    erp.sign_on(browser)
    assert erp.read(erp.ask(browser, IsPassive="true")).status == ("Success",)


def test_a_passive_and_forced_request_is_answered_no_passive(erp: ERP, browser: Browser) -> None:
    erp.sign_on(browser)
    page = erp.ask(browser, IsPassive="true", ForceAuthn="true")
    assert erp.read(page).status == ("Responder", "NoPassive")
    assert Event.objects.get(type="login.refused").code == "signon.interaction_required"


def test_a_passive_request_sees_no_page_whatever_is_wrong_with_it(erp: ERP, browser: Browser) -> None:
    page = erp.ask(browser, IsPassive="true", **policy(EMAIL))
    assert page.status_code == 200
    assert "saml_idp.name_id" not in page.content.decode()
    assert erp.read(page).status == ("Requester", "InvalidNameIDPolicy")


def test_a_context_that_the_session_has_is_told_in_the_applications_words(erp: ERP, browser: Browser) -> None:
    sfa = "https://refeds.org/profile/sfa"
    assert erp.read(erp.sign_on(browser, ask=contexts(sfa))).context == sfa


def test_a_stronger_context_is_asked_of_the_identity_provider(erp: ERP, browser: Browser) -> None:
    erp.sign_on(browser)
    sent = erp.ask(browser, **contexts(MFA))
    assert [one.text for one in read_request(sent).iter(f"{{{SAML}}}AuthnContextClassRef")] == [MFA]
    assert erp.read(erp.answer(browser, sent, context=MFA)).context == MFA


@pytest.mark.parametrize("comparison", ["exact", "minimum", "better"])
def test_a_context_that_was_not_reached_is_told_as_that(erp: ERP, browser: Browser, comparison: str) -> None:
    wanted = PASSWORD if comparison == "better" else MFA
    sent = erp.ask(browser, **contexts(wanted, comparison=comparison))
    page = erp.answer(browser, sent)
    assert page.status_code == 200
    assert erp.read(page).status == ("Responder", "NoAuthnContext")
    assert not Session.objects.exists()


def test_an_identity_provider_that_knows_no_such_context_says_so_through_us(erp: ERP, browser: Browser) -> None:
    sent = erp.ask(browser, **contexts(MFA))
    page = erp.answer(browser, sent, status=("Responder", "NoAuthnContext"))
    assert page.status_code == 200
    assert erp.read(page).status == ("Responder", "NoAuthnContext")
    assert Event.objects.get(type="login.refused").code == "signon.context_not_reached"


def test_an_identity_provider_that_misses_a_context_nobody_asked_for_has_refused(erp: ERP, browser: Browser) -> None:
    page = erp.answer(browser, erp.ask(browser), status=("Responder", "NoAuthnContext"))
    refused(page, "saml.status")


def test_a_maximum_is_no_reason_to_ask_again(erp: ERP, browser: Browser) -> None:
    erp.sign_on(browser)
    page = erp.ask(browser, **contexts(MFA, comparison="maximum"))
    assert erp.read(page).context == PASSWORD


def test_nothing_is_better_than_the_best(erp: ERP, browser: Browser) -> None:
    page = erp.ask(browser, **contexts("phr", comparison="better"))
    assert erp.read(page).status == ("Responder", "NoAuthnContext")


def test_a_request_that_forbids_asking_others_is_told_so(erp: ERP, browser: Browser) -> None:
    page = erp.ask(browser, inside='<samlp:Scoping ProxyCount="0"/>')
    refused(page, "saml_idp.proxying")
    assert erp.read(page).status == ("Responder", "ProxyCountExceeded")


# --- Failing honestly -----------------------------------------------------------------------------------------------
def test_the_page_of_a_refusal_leads_back_with_the_reason(erp: ERP, browser: Browser) -> None:
    page = (
        erp.sign_on(browser, flaw="wrong audience") if False else erp.sign_on(browser, audience="https://other.example")
    )
    text = refused(page, "saml.audience")
    assert "Back to the application" in text
    answer = erp.read(page)
    assert answer.status == ("Responder", "AuthnFailed")
    assert answer.relay_state == RELAY_STATE
    assert not Session.objects.exists()


def test_a_closed_account_is_told_as_denied(erp: ERP, browser: Browser) -> None:
    erp.sign_on(browser)
    Person.objects.update(is_active=False)
    page = erp.sign_on(Browser())
    refused(page, "account.inactive")
    assert erp.read(page).status == ("Responder", "RequestDenied")


def test_an_application_that_is_switched_off_opens_nothing(erp: ERP, browser: Browser) -> None:
    change_application(erp.application, enabled=False, actor=SYSTEM)
    page = erp.ask(browser)
    refused(page, "signon.application_disabled")
    assert erp.read(page).status == ("Responder", "RequestDenied")


def test_an_application_that_is_switched_off_meanwhile_gets_no_assertion(erp: ERP, browser: Browser) -> None:
    sent = erp.ask(browser)
    change_application(erp.application, enabled=False, actor=SYSTEM)
    refused(erp.answer(browser, sent), "signon.application_disabled")


def test_an_application_that_was_withdrawn_meanwhile_gets_no_assertion(erp: ERP, browser: Browser) -> None:
    sent = erp.ask(browser)
    retire_service_provider(erp.face, actor=SYSTEM)
    refused(erp.answer(browser, sent), "signon.application_disabled")
    assert not Session.objects.exists()


def test_an_address_that_was_withdrawn_meanwhile_gets_no_assertion(erp: ERP, browser: Browser) -> None:
    sent = erp.ask(browser)
    moved = FakeServiceProvider(erp.sp.entity_id, acs_urls=["https://erp.example/elsewhere"])
    change_service_provider(erp.face, metadata=moved.metadata(), actor=SYSTEM)
    refused(erp.answer(browser, sent), "saml_idp.acs")
    assert not Session.objects.exists()


def test_the_release_rule_is_asked_at_the_end(browser: Browser) -> None:
    erp = make_erp(release=())
    assert erp.read(erp.sign_on(browser)).attributes == {}


# --- Started from here ----------------------------------------------------------------------------------------------
def test_an_application_that_wants_it_is_started_from_here(browser: Browser) -> None:
    erp = make_erp(idp_initiated=True)
    page = erp.answer(browser, browser.get("/saml/idp/init/erp", RelayState="/invoices"))
    answer = erp.read(page, request_id=None)
    assert answer.relay_state == "/invoices"
    assert b"InResponseTo" not in xml_of(page)
    # And once more, from the session.
    assert erp.read(browser.get("/saml/idp/init/erp"), request_id=None).relay_state is None


def test_an_application_that_did_not_want_it_is_not(erp: ERP, browser: Browser) -> None:
    page = browser.get("/saml/idp/init/erp")
    assert "SAMLResponse" not in refused(page, "saml_idp.not_started_here")
    assert browser.get("/saml/idp/init/nobody").status_code == 404
    assert browser.post("/saml/idp/init/erp", {}).status_code == 405


def test_an_application_that_is_switched_off_is_not_started(browser: Browser) -> None:
    erp = make_erp(idp_initiated=True)
    change_application(erp.application, enabled=False, actor=SYSTEM)
    refused(browser.get("/saml/idp/init/erp"), "signon.application_disabled")


@pytest.mark.parametrize("query", ["RelayState=a&RelayState=b", "RelayState=%00", "RelayState=" + "x" * 1025])
def test_a_bad_relay_state_starts_nothing(query: str) -> None:
    make_erp(idp_initiated=True)
    assert DjangoClient().get(f"/saml/idp/init/erp?{query}").status_code == 400


# --- Evidence and metadata ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("by", ["redirect", "post"])
def test_every_step_leaves_its_evidence(erp: ERP, browser: Browser, by: str) -> None:
    page = erp.sign_on(browser, ask={"by": by, "sign": True})
    trace = Trace.objects.get()
    assert (trace.outcome, trace.connection, trace.application) == ("succeeded", "acme-idp", "erp")
    assert page["Countersign-Trace"] == trace.pk
    hops = {
        "redirect": ["GET SAML authentication request"],
        "post": ["POST SAML authentication request", "GET SAML authentication request, carried on"],
    }[by]
    assert [hop["name"] for hop in read_trace(trace.pk)] == [*hops, "GET assertion consumer service"]
    checks = [entry for hop in read_trace(trace.pk) for entry in hop["entries"] if entry["type"] == "check"]
    assert {"request signed", "request assertion consumer", "request name id policy"} <= {one["name"] for one in checks}
    assert all(check["passed"] for check in checks)
    assert Event.objects.get(type="login.succeeded").application == "erp"


def test_our_metadata_says_what_we_are() -> None:
    make_company()
    make_identity_provider(slug="other")
    response = DjangoClient().get("/saml/idp/metadata")
    assert response["Content-Type"] == "application/samlmetadata+xml"
    read = read_identity_provider(response.content)
    assert read.entity_id == "http://localhost:8000/saml/idp/metadata"
    assert set(read.sso_endpoints.values()) == {"http://localhost:8000/saml/idp/sso"}
    assert len(read.sso_endpoints) == 2
    assert {"acme.example", "other.example"} == set(read.scopes)
    assert read.name_id_formats == (PERSISTENT, EMAIL, TRANSIENT)
    assert read.wants_signed_requests is False


def test_our_metadata_follows_the_domains() -> None:
    make_company()
    assert DjangoClient().get("/saml/idp/metadata").content.count(b"acme.example") == 1
    Domain.objects.update(proved_at=None)
    raise_version()
    assert b"acme.example" not in DjangoClient().get("/saml/idp/metadata").content


def test_an_expired_validity_does_not_shut_a_registered_application_out(browser: Browser) -> None:
    until = timezone.now() + timedelta(days=2)
    erp = make_erp(metadata={"valid_until": instant(until)})
    with time_machine.travel(until + timedelta(days=30), tick=False):
        assert erp.read(erp.sign_on(browser)).status == ("Success",)


def test_a_session_that_is_over_signs_nobody_on(erp: ERP, browser: Browser) -> None:
    erp.sign_on(browser)
    with time_machine.travel(timezone.now() + limits.SESSION_IDLE + timedelta(seconds=1), tick=False):
        assert erp.ask(browser)["Location"].startswith("https://acme-idp.example/sso")


@pytest.mark.parametrize("by", ["redirect", "post"])
def test_a_login_stays_within_its_budget_of_queries(erp: ERP, monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    # The memories of parties and keys ask for their version by the clock, which would make the count depend on it.
    monkeypatch.setattr(limits, "REGISTRY_POLL_INTERVAL", timedelta(hours=1))
    monkeypatch.setattr(limits, "KEY_POLL_INTERVAL", timedelta(hours=1))
    for _ in range(2):
        erp.sign_on(Browser())
    with CaptureQueriesContext(connection) as captured:
        erp.read(erp.sign_on(Browser(), ask={"by": by}))
    assert len(counted(captured)) <= QUERIES_OF_A_LOGIN, "\n".join(counted(captured))


def test_nothing_of_a_login_is_left_open(erp: ERP, browser: Browser) -> None:
    erp.sign_on(browser)
    assert LoginRequest.objects.get().state == "done"
    assert etree.fromstring(xml_of(erp.ask(browser))).tag.endswith("Response")
