"""AuthnRequests of strangers: no answer goes astray, nothing unsigned passes for signed, and nothing is worn out."""

import base64
import copy
import time
import zlib
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import time_machine
from django.test import Client as DjangoClient
from django.utils import timezone
from lxml import etree

from broker import limits
from broker.actors import SYSTEM
from broker.events.models import Event
from broker.registry.models import ServiceProvider
from broker.registry.registering.applications import create_service_provider
from broker.registry.values import BadValue
from broker.sessions.models import Session
from broker.traces.models import Trace
from federation.logout.requests import OWN_WISH, seal_request
from federation.signon.models import LoginRequest
from tests.factories import make_application
from tests.fakes.fake_idp import DS, NS, SAML, SAMLP, sign_element, signing
from tests.fakes.fake_sp import FakeServiceProvider
from tests.fakes.saml_keys import key_pair
from tests.flows.saml_stage import ERP, make_erp, posted
from tests.flows.stage import Browser

pytestmark = pytest.mark.django_db

EVIL = "https://evil.example/acs"
DECLARED = {"signs_requests": True}


@pytest.fixture
def erp() -> ERP:
    """An application that declares that it signs its requests."""
    return make_erp(metadata=DECLARED)


@pytest.fixture
def browser() -> Browser:
    return Browser()


def refused(response: Any, code: str) -> str:
    """Asserts a page that leads nowhere: no redirect, no form, no address of a stranger; and no session."""
    text: str = response.content.decode()
    assert f"<code>{code}</code>" in text, text
    assert 400 <= response.status_code < 500
    assert "Location" not in response
    assert "<form" not in text
    assert "evil.example" not in text
    assert not Session.objects.exists()
    assert not LoginRequest.objects.exists()
    return text


def post_xml(erp: ERP, xml: bytes, **fields: str) -> Any:
    return Browser().post(erp.sso_url, {"SAMLRequest": base64.b64encode(xml).decode()} | fields)


def get_raw(erp: ERP, octets: bytes, **rest: str) -> Any:
    deflate = zlib.compressobj(wbits=-15)
    raw = deflate.compress(octets) + deflate.flush()
    return Browser().get(f"{erp.sso_url}?{urlencode({'SAMLRequest': base64.b64encode(raw).decode()} | rest)}")


# --- Where the answer goes ------------------------------------------------------------------------------------------
HOSTILE_PLACES = [
    EVIL,
    "https://erp.example/saml/acs.evil.example",
    "https://erp.example@evil.example/saml/acs",
    "https://erp.example/saml/acs?next=https://evil.example",
    "https://erp.example/saml/acs#https://evil.example",
    "https://erp.example/saml/acs/../../redirect?to=https://evil.example",
    "http://erp.example/saml/acs",
    "//evil.example/acs",
    "javascript:alert(document.cookie)",
    "data:text/html,x",
    " https://erp.example/saml/acs",
    "",
]


@pytest.mark.parametrize("by", ["redirect", "post"])
@pytest.mark.parametrize("place", HOSTILE_PLACES)
def test_an_answer_goes_to_no_place_of_a_strangers_choice(browser: Browser, place: str, by: str) -> None:
    refused(make_erp().ask(browser, by=by, AssertionConsumerServiceURL=place), "saml_idp.acs")


@pytest.mark.parametrize("place", HOSTILE_PLACES[:2])
def test_a_signature_does_not_widen_the_metadata(erp: ERP, browser: Browser, place: str) -> None:
    refused(erp.ask(browser, sign=True, AssertionConsumerServiceURL=place), "saml_idp.acs")


@pytest.mark.parametrize("index", ["1", "65536", "-1", "0x0", "99999999999999999999", "٠"])
def test_an_index_out_of_range_leads_nowhere(browser: Browser, index: str) -> None:
    refused(make_erp().ask(browser, AssertionConsumerServiceIndex=index), "saml_idp.acs")


def test_an_index_of_another_binding_leads_nowhere(browser: Browser) -> None:
    erp = make_erp()
    artifact = (
        '<md:AssertionConsumerService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Artifact"'
        ' Location="https://erp.example/artifact" index="7"/></md:SPSSODescriptor>'
    )
    ServiceProvider.objects.update(metadata=erp.face.metadata.replace("</md:SPSSODescriptor>", artifact))
    refused(erp.ask(browser, AssertionConsumerServiceIndex="7"), "saml_idp.acs")


@pytest.mark.parametrize(
    "relay_state", ["https://evil.example", "//evil.example", "javascript:alert(1)", "%00", "x" * 9]
)
def test_a_hostile_relay_state_leads_nowhere_but_to_the_application(browser: Browser, relay_state: str) -> None:
    erp = make_erp()
    page = erp.sign_on(browser, ask={"relay_state": relay_state})
    url, fields = posted(page)
    assert url == erp.sp.acs_urls[0]
    assert fields["RelayState"] == relay_state


@pytest.mark.parametrize(
    "relay_state", ["a\r\nSet-Cookie: a=b", "\0", "\x1b[2J", "x" * (limits.SAML_RELAY_STATE_CHARS + 1)]
)
@pytest.mark.parametrize("by", ["redirect", "post"])
def test_a_relay_state_that_no_form_gives_back_is_refused(browser: Browser, by: str, relay_state: str) -> None:
    refused(make_erp().ask(browser, by=by, relay_state=relay_state), "saml_idp.relay_state")


@pytest.mark.parametrize(
    "markup", ['"><script>alert(1)</script>', "'><img src=x onerror=alert(1)>", "</form><form action=//evil.example>"]
)
def test_markup_stays_text_in_every_page(browser: Browser, markup: str) -> None:
    erp = make_erp()
    page = erp.sign_on(browser, ask={"relay_state": markup})
    assert markup not in page.content.decode()
    assert posted(page)[1]["RelayState"] == markup
    issuer = erp.ask(browser, issuer=markup).content.decode()
    assert markup not in issuer


# --- Signatures -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("by", ["redirect", "post"])
def test_an_unsigned_request_of_an_application_that_signs_is_refused(erp: ERP, browser: Browser, by: str) -> None:
    refused(erp.ask(browser, by=by), "saml_idp.unsigned")


@pytest.mark.parametrize("by", ["redirect", "post"])
def test_a_foreign_signature_is_refused(erp: ERP, browser: Browser, by: str) -> None:
    refused(erp.ask(browser, by=by, sign=True, key=key_pair("mallet")), "saml_idp.signature")


@pytest.mark.parametrize(
    ("setting", "declared", "sign", "code"),
    [
        ("always", False, False, "saml_idp.unsigned"),
        ("always", True, False, "saml_idp.unsigned"),
        ("never", True, False, ""),
        ("auto", False, False, ""),
        ("auto", True, True, ""),
        ("always", False, True, ""),
    ],
)
def test_what_an_operator_decided_comes_before_the_metadata(
    browser: Browser, setting: str, declared: bool, sign: bool, code: str
) -> None:
    erp = make_erp(metadata={"signs_requests": declared}, require_signed_requests=setting)
    response = erp.ask(browser, sign=sign)
    if code:
        refused(response, code)
    else:
        assert response["Location"].startswith("https://acme-idp.example/sso")


def test_where_no_signature_is_needed_a_false_one_is_refused_all_the_same(browser: Browser) -> None:
    erp = make_erp(require_signed_requests="never")
    refused(erp.ask(browser, sign=True, key=key_pair("mallet")), "saml_idp.signature")


def test_half_a_signature_does_not_count_as_none(browser: Browser) -> None:
    erp = make_erp()
    query = erp.sp.redirect(erp.sso_url, sign=True)
    for half in (query.rpartition("&Signature=")[0], query.replace("&SigAlg=", "&sigalg=")):
        refused(browser.get(f"{erp.sso_url}?{half}"), "request.malformed")


def test_a_signed_redirect_cannot_be_sent_as_an_unsigned_post(erp: ERP) -> None:
    refused(post_xml(erp, erp.sp.request(erp.sso_url)), "saml_idp.unsigned")


@pytest.mark.parametrize("extra", ["RelayState=other", "SAMLRequest=AAAA", "SigAlg=x"])
def test_a_second_value_beside_the_signed_one_is_refused(erp: ERP, browser: Browser, extra: str) -> None:
    query = erp.sp.redirect(erp.sso_url, relay_state="state", sign=True)
    for both in (f"{extra}&{query}", f"{query}&{extra}"):
        refused(browser.get(f"{erp.sso_url}?{both}"), "request.malformed")


def test_a_signed_request_for_somebody_else_is_not_ours(erp: ERP, browser: Browser) -> None:
    refused(erp.ask(browser, sign=True, destination="https://other-idp.example/sso"), "saml_idp.destination")
    refused(erp.ask(browser, sign=True, destination=None), "saml_idp.destination")


def signed_request(erp: ERP, **options: Any) -> etree._Element:
    return etree.fromstring(erp.sp.request(erp.sso_url, sign=True, request_id="_signed", **options))


def _as_sibling(honest: etree._Element, evil: etree._Element) -> etree._Element:
    """The signed request hides in Extensions of the one that is read."""
    extensions = etree.Element(f"{{{SAMLP}}}Extensions")
    extensions.append(honest)
    evil.insert(1, extensions)
    return evil


def _signature_moved(honest: etree._Element, evil: etree._Element) -> etree._Element:
    """The signature stands in the request that is read, and refers to the one that was signed."""
    signature = honest.find("ds:Signature", NS)
    assert signature is not None
    honest.remove(signature)
    evil.insert(1, signature)
    extensions = etree.SubElement(evil, f"{{{SAMLP}}}Extensions")
    extensions.append(honest)
    return evil


def _in_object(honest: etree._Element, evil: etree._Element) -> etree._Element:
    """The signed request hides in an Object of its own signature."""
    signature = copy.deepcopy(honest.find("ds:Signature", NS))
    assert signature is not None
    holder = etree.SubElement(signature, f"{{{DS}}}Object")
    holder.append(honest)
    evil.insert(1, signature)
    return evil


def _same_id(honest: etree._Element, evil: etree._Element) -> etree._Element:
    """Two elements bear the ID that was signed."""
    evil.set("ID", str(honest.get("ID")))
    return _signature_moved(honest, evil)


def _around(honest: etree._Element, evil: etree._Element) -> etree._Element:
    """The request that is read stands inside the signed one."""
    extensions = etree.Element(f"{{{SAMLP}}}Extensions")
    extensions.append(evil)
    honest.insert(2, extensions)
    return honest


@pytest.mark.parametrize(
    "wrap", [_as_sibling, _signature_moved, _in_object, _same_id, _around], ids=lambda one: one.__name__
)
def test_a_wrapped_request_is_refused(erp: ERP, wrap: Any) -> None:
    evil = etree.fromstring(erp.sp.request(erp.sso_url, request_id="_evil", ForceAuthn="true"))
    wrapped = etree.tostring(wrap(signed_request(erp), evil))
    response = post_xml(erp, wrapped)
    assert Event.objects.filter(type="login.refused").count() == 1
    assert response.status_code == 400
    assert any(f"<code>saml_idp.{code}</code>" in response.content.decode() for code in ("structure", "signature"))


def test_two_signatures_are_refused(erp: ERP) -> None:
    request = signed_request(erp)
    sign_element(request, signing(erp.sp.key))
    refused(post_xml(erp, etree.tostring(request)), "saml_idp.structure")


@pytest.mark.parametrize("change", ["ID", "IssueInstant", "ForceAuthn", "AssertionConsumerServiceIndex"])
def test_nothing_can_be_changed_in_a_signed_request(erp: ERP, change: str) -> None:
    request = signed_request(erp)
    request.set(change, {"ID": "_other", "ForceAuthn": "1"}.get(change, "0"))
    response = post_xml(erp, etree.tostring(request))
    assert response.status_code == 400
    assert not LoginRequest.objects.exists()


def test_another_applications_signature_does_not_speak_for_this_one(erp: ERP, browser: Browser) -> None:
    other = make_erp(
        company=erp.company,
        sp=FakeServiceProvider("https://hr.example/saml", acs_urls=[EVIL]),
        metadata=DECLARED,
        slug="hr",
    )
    refused(other.ask(browser, sign=True, issuer=erp.sp.entity_id), "saml_idp.signature")


# --- Who asks -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "issuer",
    [
        "https://nobody.example/saml",
        "https://erp.example/saml/",
        "https://ERP.example/saml",
        " https://erp.example/saml",
        "https://erp.example/saml\u200b",
        "x" * 1_025,
        "' OR 1=1 --",
    ],
)
def test_a_stranger_is_not_known(browser: Browser, issuer: str) -> None:
    refused(make_erp().ask(browser, issuer=issuer), "saml_idp.unknown_application")


def test_an_issuer_with_elements_inside_is_refused(browser: Browser) -> None:
    def edit(root: etree._Element) -> None:
        etree.SubElement(root[0], f"{{{SAML}}}Audience").text = "x"

    refused(make_erp().ask(browser, edit=edit), "saml_idp.structure")


def test_two_applications_cannot_share_an_entity_id() -> None:
    erp = make_erp()
    with pytest.raises(BadValue):
        create_service_provider(make_application(), actor=SYSTEM, metadata=erp.sp.metadata())
    assert ServiceProvider.objects.count() == 1


# --- Wearing out ----------------------------------------------------------------------------------------------------
def test_a_body_of_300_kib_of_xml_is_refused_quickly(browser: Browser) -> None:
    erp = make_erp()
    xml = erp.sp.request(erp.sso_url, inside=f"<samlp:Extensions><x>{'y' * 300 * 1024}</x></samlp:Extensions>")
    began = time.process_time()
    response = post_xml(erp, xml)
    assert time.process_time() - began < 1
    assert response.status_code == 413
    refused(response, "saml_idp.too_large")


def test_a_body_beyond_every_limit_is_not_read() -> None:
    response = DjangoClient().post("/saml/idp/sso", {"SAMLRequest": "A" * (limits.SAML_POST_BYTES + 1)})
    assert response.status_code == 413
    assert "<code>saml_idp.too_large</code>" in response.content.decode()


def test_a_deflate_bomb_is_refused(browser: Browser) -> None:
    erp = make_erp()
    bomb = b"<a>" + b" " * 8_000_000 + b"</a>"
    refused(get_raw(erp, bomb), "saml_idp.too_large")


BOMBS: dict[str, tuple[bytes, str]] = {
    "document type": (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "saml_idp.doctype"),
    "external entity": (b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>', "saml_idp.doctype"),
    "comment": (b"<a><!-- x --></a>", "saml_idp.comment"),
    "instruction": (b"<a><?x y?></a>", "saml_idp.processing_instruction"),
    "no XML": (b"hello", "saml_idp.malformed"),
    "nothing": (b"", "saml_idp.malformed"),
    "another encoding": ("<a/>".encode("utf-16"), "saml_idp.encoding"),
    "no request": (b"<a/>", "saml_idp.structure"),
    "an answer": (f'<samlp:Response xmlns:samlp="{SAMLP}" Version="2.0" ID="_1"/>'.encode(), "saml_idp.structure"),
    "a deep tree": (b"<a>" * 41 + b"</a>" * 41, "saml_idp.structure"),
    "a wide tree": (b"<r>" + b"<a/>" * limits.SAML_ELEMENTS + b"</r>", "saml_idp.structure"),
}


@pytest.mark.parametrize("name", BOMBS)
@pytest.mark.parametrize("by", ["redirect", "post"])
def test_a_document_that_wants_to_hurt_is_refused(name: str, by: str) -> None:
    erp = make_erp()
    xml, code = BOMBS[name]
    refused(get_raw(erp, xml) if by == "redirect" else post_xml(erp, xml), code)


@pytest.mark.parametrize("name", ["HEAD", "PUT", "DELETE", "OPTIONS"])
def test_other_methods_are_none(name: str) -> None:
    assert DjangoClient().generic(name, "/saml/idp/sso").status_code == 405


def test_no_refusal_of_a_request_is_blamed_on_an_identity_provider(browser: Browser) -> None:
    make_erp().ask(browser, issuer="https://nobody.example")
    trace = Trace.objects.get()
    assert trace.code.startswith("saml_idp.")


# --- What the browser carries between our own addresses -------------------------------------------------------------
def test_what_we_sealed_cannot_be_changed_or_made(browser: Browser) -> None:
    erp = make_erp()
    step = browser.post(erp.sso_url, erp.sp.form(erp.sso_url))["Location"]
    for changed in (step[:-6] + "AAAAAA", step.partition("=")[0] + "=x", step.partition("?")[0], step + "&asked=x"):
        refused(browser.get(changed), "signon.unknown")


def test_a_seal_of_another_place_does_not_open_here(browser: Browser) -> None:
    make_erp()
    sealed = seal_request(OWN_WISH, now=timezone.now())
    refused(browser.get(f"/saml/idp/continue?asked={quote(sealed)}"), "signon.unknown")


def test_a_kept_request_ends_with_its_time(browser: Browser) -> None:
    erp = make_erp()
    step = browser.post(erp.sso_url, erp.sp.form(erp.sso_url))["Location"]
    with time_machine.travel(timezone.now() + limits.LOGIN_REQUEST_LIFETIME, tick=False):
        refused(browser.get(step), "signon.expired")


def test_a_replayed_request_is_answered_to_the_same_place_only(browser: Browser) -> None:
    erp = make_erp()
    erp.sign_on(browser)
    for _ in range(2):
        url, _fields = posted(erp.ask(browser))
        assert url == erp.sp.acs_urls[0]
    assert Session.objects.count() == 1
