"""AuthnRequests of a registered application: honest ones are read, all others refused."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from lxml import etree

from broker import limits
from broker.errors import BrokerError
from federation.saml.bindings import read_redirect
from federation.saml.requests import PRESENCE, REQUEST_POLICY, RequestExpectation
from federation.saml.verified import Comparison, NameID, NameIDPolicy, RequestedContexts
from tests.fakes.fake_idp import EMAIL, PASSWORD, PERSISTENT, POST, UNSPECIFIED, instant
from tests.fakes.fake_sp import FakeServiceProvider
from tests.fakes.saml_keys import key_pair
from tests.federation.saml.application import NOW, Application

SIGNED = {"must_be_signed": True}
ACS_URLS = ("https://erp.example/acs", "https://erp.example/acs/second", "https://erp.example/acs/third")


@pytest.fixture
def application() -> Application:
    return Application(FakeServiceProvider(acs_urls=ACS_URLS))


def refusal(call: Callable[[], object]) -> BrokerError:
    with pytest.raises(BrokerError) as caught:
        call()
    return caught.value


@pytest.mark.parametrize("sign", [False, True])
@pytest.mark.parametrize("by", ["by_redirect", "by_post"])
def test_a_request_is_read_by_either_binding(application: Application, by: str, *, sign: bool) -> None:
    request = getattr(application, by)(request_id="_the-id", relay_state="state", sign=sign)
    assert (request.issuer, request.request_id) == (application.sp.entity_id, "_the-id")
    assert (request.relay_state, request.is_signed) == ("state", sign)
    assert (request.force, request.passive, request.subject, request.proxy_count) == (False, False, None, None)
    assert request.acs_url == ACS_URLS[0]
    assert application.failed() == []


def test_everything_that_may_be_asked_is_read(application: Application) -> None:
    request = application.by_post(
        ForceAuthn="1",
        IsPassive="true",
        ProtocolBinding=POST,
        AssertionConsumerServiceURL=ACS_URLS[1],
        AttributeConsumingServiceIndex="3",
        ProviderName="ERP",
        Consent="urn:oasis:names:tc:SAML:2.0:consent:unspecified",
        inside=f'<samlp:Extensions><x xmlns="urn:x">y</x></samlp:Extensions>'
        f'<saml:Subject><saml:NameID Format="{EMAIL}"> alice@acme.example </saml:NameID></saml:Subject>'
        f'<samlp:NameIDPolicy Format="{PERSISTENT}" SPNameQualifier="q" AllowCreate="true"/>'
        "<saml:Conditions/>"
        f'<samlp:RequestedAuthnContext Comparison="minimum"><saml:AuthnContextClassRef>{PASSWORD}'
        "</saml:AuthnContextClassRef></samlp:RequestedAuthnContext>"
        '<samlp:Scoping ProxyCount="2"><samlp:RequesterID>x</samlp:RequesterID></samlp:Scoping>',
    )
    assert (request.force, request.passive, request.proxy_count) == (True, True, 2)
    assert request.acs_url == ACS_URLS[1]
    assert request.subject == NameID("alice@acme.example", EMAIL)
    assert request.name_id_policy == NameIDPolicy(PERSISTENT, "q")
    assert request.contexts == RequestedContexts(Comparison.MINIMUM, (PASSWORD,))


@pytest.mark.parametrize("allow_create", ["", 'AllowCreate="true"', 'AllowCreate="false"', 'AllowCreate="0"'])
def test_allow_create_changes_nothing(application: Application, allow_create: str) -> None:
    request = application.by_redirect(inside=f"<samlp:NameIDPolicy {allow_create}/>")
    assert request.name_id_policy == NameIDPolicy()


@pytest.mark.parametrize(
    ("attributes", "acs_url"),
    [
        ({}, ACS_URLS[0]),
        ({"AssertionConsumerServiceURL": ACS_URLS[2]}, ACS_URLS[2]),
        ({"AssertionConsumerServiceIndex": "1"}, ACS_URLS[1]),
        ({"AssertionConsumerServiceIndex": "2", "AssertionConsumerServiceURL": ACS_URLS[2]}, ACS_URLS[2]),
    ],
    ids=["default", "URL", "index", "both alike"],
)
def test_the_answer_goes_to_a_place_of_the_metadata(
    application: Application, attributes: dict[str, str], acs_url: str
) -> None:
    assert application.by_redirect(**attributes).acs_url == acs_url


@pytest.mark.parametrize(
    "attributes",
    [
        {"AssertionConsumerServiceURL": "https://evil.example/acs"},
        {"AssertionConsumerServiceURL": ACS_URLS[0] + "/"},
        {"AssertionConsumerServiceURL": ACS_URLS[0] + "?x"},
        {"AssertionConsumerServiceURL": ACS_URLS[0].upper()},
        {"AssertionConsumerServiceURL": ACS_URLS[0] + "@evil.example"},
        {"AssertionConsumerServiceURL": ""},
        {"AssertionConsumerServiceURL": "javascript:alert(1)"},
        {"AssertionConsumerServiceIndex": "3"},
        {"AssertionConsumerServiceIndex": "-1"},
        {"AssertionConsumerServiceIndex": "one"},
        {"AssertionConsumerServiceIndex": ""},
        {"AssertionConsumerServiceIndex": "1", "AssertionConsumerServiceURL": ACS_URLS[2]},
    ],
    ids=repr,
)
def test_another_place_is_refused(application: Application, attributes: dict[str, str]) -> None:
    assert refusal(lambda: application.by_redirect(sign=True, **attributes)).code == "saml_idp.acs"


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "another version": ({"Version": "1.1"}, "saml_idp.structure"),
    "no version": ({"Version": None}, "saml_idp.structure"),
    "no ID": ({"ID": None}, "saml_idp.structure"),
    "an ID with a space": ({"ID": "a b"}, "saml_idp.structure"),
    "no time": ({"IssueInstant": None}, "saml_idp.structure"),
    "a time that is none": ({"IssueInstant": "yesterday"}, "saml_idp.structure"),
    "too old": ({"now": NOW - limits.SAML_REQUEST_AGE - timedelta(seconds=1)}, "saml_idp.stale"),
    "from the future": ({"now": NOW + limits.SAML_SKEW + timedelta(seconds=1)}, "saml_idp.not_yet_valid"),
    "for another identity provider": ({"destination": "https://other.example/sso"}, "saml_idp.destination"),
    "for another path of ours": ({"destination": "https://sso.example/saml/idp/sso/"}, "saml_idp.destination"),
    "an answer by another binding": (
        {"ProtocolBinding": "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Artifact"},
        "saml_idp.binding",
    ),
    "a flag that is none": ({"ForceAuthn": "yes"}, "saml_idp.structure"),
    "a comparison that is none": (
        {
            "inside": '<samlp:RequestedAuthnContext Comparison="atleast"><saml:AuthnContextClassRef>x'
            "</saml:AuthnContextClassRef></samlp:RequestedAuthnContext>"
        },
        "saml_idp.structure",
    ),
    "contexts that are none": ({"inside": "<samlp:RequestedAuthnContext/>"}, "saml_idp.structure"),
    "an empty context": (
        {"inside": "<samlp:RequestedAuthnContext><saml:AuthnContextClassRef/></samlp:RequestedAuthnContext>"},
        "saml_idp.structure",
    ),
    "too many contexts": (
        {
            "inside": "<samlp:RequestedAuthnContext>"
            + "<saml:AuthnContextClassRef>x</saml:AuthnContextClassRef>" * (limits.CONTEXTS + 1)
            + "</samlp:RequestedAuthnContext>"
        },
        "saml_idp.structure",
    ),
    "a context without end": (
        {
            "inside": "<samlp:RequestedAuthnContext><saml:AuthnContextClassRef>"
            + "x" * (limits.CONTEXT_CHARS + 1)
            + "</saml:AuthnContextClassRef></samlp:RequestedAuthnContext>"
        },
        "saml_idp.structure",
    ),
    "something else as a context": (
        {"inside": "<samlp:RequestedAuthnContext><saml:Audience>x</saml:Audience></samlp:RequestedAuthnContext>"},
        "saml_idp.structure",
    ),
    "a format without end": ({"inside": f'<samlp:NameIDPolicy Format="{"x" * 1025}"/>'}, "saml_idp.structure"),
    "an empty subject": ({"inside": "<saml:Subject/>"}, "saml_idp.structure"),
    "a proxy count that is none": ({"inside": '<samlp:Scoping ProxyCount="-1"/>'}, "saml_idp.structure"),
    "a child of its own": ({"inside": "<samlp:Status/>"}, "saml_idp.structure"),
    "two policies": ({"inside": "<samlp:NameIDPolicy/><samlp:NameIDPolicy/>"}, "saml_idp.structure"),
    "an assertion inside": (
        {"inside": "<samlp:Extensions><saml:Assertion/></samlp:Extensions>"},
        "saml_idp.structure",
    ),
    "a request inside": (
        {"inside": "<samlp:Extensions><samlp:AuthnRequest/></samlp:Extensions>"},
        "saml_idp.structure",
    ),
    "a signature elsewhere": (
        {"inside": "<samlp:Extensions><ds:Signature/></samlp:Extensions>"},
        "saml_idp.structure",
    ),
}


@pytest.mark.parametrize("by", ["by_redirect", "by_post"])
@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_request_is_refused_with_its_code(application: Application, name: str, by: str) -> None:
    options, code = REFUSED[name]
    error = refusal(lambda: getattr(application, by)(**options))
    assert error.code == code
    assert len(application.failed()) == 1


@pytest.mark.parametrize("age", [timedelta(0), timedelta(minutes=9), -timedelta(seconds=59)])
def test_clocks_may_differ_a_little(application: Application, age: timedelta) -> None:
    application.by_redirect(now=NOW - age)


def test_a_time_with_fractions_is_read(application: Application) -> None:
    application.by_redirect(IssueInstant=instant(NOW).replace("Z", ".1234567Z"))


@pytest.mark.parametrize("by", ["by_redirect", "by_post"])
def test_an_unsigned_request_may_leave_its_destination_out(application: Application, by: str) -> None:
    getattr(application, by)(destination=None)
    assert refusal(lambda: getattr(application, by)(destination=None, sign=True)).code == "saml_idp.destination"


@pytest.mark.parametrize("by", ["by_redirect", "by_post"])
def test_where_signing_is_demanded_an_unsigned_request_is_refused(application: Application, by: str) -> None:
    assert getattr(application, by)(sign=True, expect=SIGNED).is_signed is True
    assert refusal(lambda: getattr(application, by)(expect=SIGNED)).code == "saml_idp.unsigned"


@pytest.mark.parametrize("by", ["by_redirect", "by_post"])
@pytest.mark.parametrize("expect", [{}, SIGNED], ids=["not demanded", "demanded"])
def test_a_signature_that_is_there_has_to_hold(application: Application, by: str, expect: dict[str, Any]) -> None:
    foreign = key_pair("somebody else")
    assert refusal(lambda: getattr(application, by)(sign=True, key=foreign, expect=expect)).code == "saml_idp.signature"
    no_key = expect | {"certificates": []}
    assert refusal(lambda: getattr(application, by)(sign=True, expect=no_key)).code == "saml_idp.signature"


def test_two_keys_are_a_rollover(application: Application) -> None:
    new = key_pair("the new key")
    both = {"certificates": [application.sp.key.der, new.der]}
    assert application.by_redirect(sign=True, key=new, expect=both).is_signed
    assert application.by_post(sign=True, key=new, expect=both).is_signed


@pytest.mark.parametrize(
    ("kind", "method"), [("rsa", "rsa-sha512"), ("p256", "ecdsa-sha256")], ids=["RSA with SHA-512", "ECDSA"]
)
def test_other_good_algorithms_are_accepted(application: Application, kind: str, method: str) -> None:
    key = key_pair(f"sp {kind}", kind=kind)
    uri = f"http://www.w3.org/2001/04/xmldsig-more#{method}"
    assert application.by_redirect(sign=True, key=key, method=uri, expect={"certificates": [key.der]}).is_signed


def test_sha_1_is_refused(application: Application) -> None:
    sha_1 = "http://www.w3.org/2000/09/xmldsig#rsa-sha1"
    assert refusal(lambda: application.by_redirect(sign=True, method=sha_1)).code == "saml_idp.algorithm"


def test_a_signature_inside_a_redirect_has_to_hold_too(application: Application) -> None:
    honest = application.sp.request(application.expectation.sso_url, now=NOW, sign=True)
    assert application.judge(read_redirect(application.sp.redirect(None, raw=honest))).is_signed
    forged = honest.replace(b"AuthnRequest ", b'AuthnRequest ForceAuthn="1" ', 1)
    query = application.sp.redirect(None, raw=forged, sign=True)
    assert refusal(lambda: application.judge(read_redirect(query))).code == "saml_idp.signature"


@pytest.mark.parametrize("changed", ["RelayState=other", "RelayState="])
def test_a_changed_relay_state_breaks_a_redirects_signature(application: Application, changed: str) -> None:
    query = application.redirect(relay_state="state", sign=True)
    error = refusal(lambda: application.judge(read_redirect(query.replace("RelayState=state", changed))))
    assert error.code == "saml_idp.signature"


def test_another_spelling_of_the_same_octets_breaks_a_redirects_signature(application: Application) -> None:
    query = application.redirect(relay_state="a b", sign=True)
    error = refusal(lambda: application.judge(read_redirect(query.replace("a%20b", "a+b"))))
    assert error.code == "saml_idp.signature"


def test_values_are_read_from_what_was_signed(application: Application) -> None:
    def add(root: etree._Element) -> None:
        root.set("ForceAuthn", "true")

    error = refusal(lambda: application.by_post(sign=True, edit=add))
    assert error.code == "saml_idp.signature"


def test_a_subject_without_a_readable_name_is_told_apart(application: Application) -> None:
    closed = application.by_redirect(inside="<saml:Subject><saml:EncryptedID/></saml:Subject>").subject
    assert closed is not None
    assert closed.format.endswith(":encrypted")
    plain = application.by_redirect(inside="<saml:Subject><saml:NameID>x</saml:NameID></saml:Subject>").subject
    assert plain == NameID("x", UNSPECIFIED)


def test_every_check_leaves_its_trace(application: Application) -> None:
    application.by_redirect(sign=True)
    names = [entry["name"] for entry in application.trace.entries if entry["type"] == "check"]
    for check in (*PRESENCE, *REQUEST_POLICY):
        assert f"request {check.__name__.removeprefix('check_').replace('_', ' ')}" in names
    assert {"request is readable", "query signature method", "query signature value"} <= set(names)
    assert any(entry["type"] == "message" for entry in application.trace.entries)


def test_a_message_of_ten_kilobytes_passes(application: Application) -> None:
    ballast = f'<samlp:Extensions><x xmlns="urn:x">{"ballast " * 1_280}</x></samlp:Extensions>'
    application.by_redirect(inside=ballast, sign=True)
    application.by_post(inside=ballast, sign=True)


@pytest.mark.parametrize("field", ["issuer", "sso_url", "consumers"])
def test_an_expectation_that_expects_nothing_cannot_be_made(application: Application, field: str) -> None:
    with pytest.raises(ValueError, match="expect nothing"):
        replace(application.expectation, **{field: ""})


def test_an_expectation_needs_a_time_zone(application: Application) -> None:
    expectation: RequestExpectation = application.expectation
    with pytest.raises(ValueError, match="time zone"):
        replace(expectation, now=NOW.replace(tzinfo=None))
