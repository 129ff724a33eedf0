"""LogoutRequests by SOAP, and what applications answer: one honest answer, and everything that is none."""

import copy
import re
from dataclasses import replace

import pytest
from lxml import etree

from broker import limits
from broker.errors import BrokerError
from broker.traces.collector import Collector
from federation.saml.logout import (
    ANSWER_POLICY,
    ANSWER_STRUCTURE,
    REASON_USER,
    Leaving,
    LogoutExpectation,
    LogoutNotDone,
    verify_logout_response,
    write_logout_request,
)
from federation.saml.metadata import read_service_provider
from federation.saml.names import NAME_ID_PERSISTENT
from federation.saml.soap import SOAP_STRUCTURE
from federation.saml.verified import NameID
from tests.fakes.fake_idp import SAMLP, make_id
from tests.fakes.fake_logout import SOAP, SoapParty, fault, in_envelope
from tests.fakes.fake_sp import AnswerRefused, FakeServiceProvider
from tests.fakes.saml_keys import key_pair
from tests.federation.saml.application import IDP, NOW
from tests.federation.saml.test_signing import KEY

SLO = "https://sso.example/saml/idp/slo"
REQUEST = "_the-request"
NAME = NameID("p-1 <&>", NAME_ID_PERSISTENT, IDP, "https://erp.example/saml")


@pytest.fixture
def party():
    return SoapParty(FakeServiceProvider())


def judge(party, raw, **changes):
    expectation = LogoutExpectation(
        issuer=party.sp.entity_id, certificates=[party.sp.key.der], request_id=REQUEST, destination=SLO
    )
    return verify_logout_response(raw, replace(expectation, **changes), trace=Collector())


def refused(party, raw, **changes):
    with pytest.raises(BrokerError) as caught:
        judge(party, raw, **changes)
    return caught.value


def leaving(party, **changes):
    values = {"issuer": IDP, "destination": party.url, "name_id": NAME, "session_index": "s-1", "reason": REASON_USER}
    return Leaving(**(values | changes))


# --- The request ----------------------------------------------------------------------------------------------------
def test_a_strict_service_provider_accepts_the_request(party):
    envelope = write_logout_request(leaving(party), request_id=REQUEST, now=NOW, signer=KEY)
    asked = party.read(envelope, idp=IDP, certificate=KEY.certificate, now=NOW)
    assert (asked.request_id, asked.session_index, asked.reason) == (REQUEST, "s-1", REASON_USER)
    assert (asked.name_id, asked.format) == (NAME.value, NAME.format)
    assert (asked.name_qualifier, asked.sp_name_qualifier) == (NAME.name_qualifier, NAME.sp_name_qualifier)


def test_the_request_is_good_for_two_minutes_and_not_longer(party):
    envelope = write_logout_request(leaving(party), request_id=REQUEST, now=NOW, signer=KEY)
    until = NOW + limits.LOGOUT_MESSAGE_LIFETIME
    with pytest.raises(AnswerRefused):
        party.read(envelope, idp=IDP, certificate=KEY.certificate, now=until)


def test_a_changed_request_is_refused_there(party):
    envelope = write_logout_request(leaving(party), request_id=REQUEST, now=NOW, signer=KEY)
    with pytest.raises(AnswerRefused):
        party.read(envelope.replace(b"s-1", b"s-2"), idp=IDP, certificate=KEY.certificate, now=NOW)


def test_empty_qualifiers_are_left_out(party):
    name = NameID("alice@acme.example", "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress")
    envelope = write_logout_request(leaving(party, name_id=name), request_id=REQUEST, now=NOW, signer=KEY)
    assert b"NameQualifier" not in envelope


# --- The answer: accepted -------------------------------------------------------------------------------------------
def test_a_signed_success_is_believed(party):
    verified = judge(party, party.answer(REQUEST))
    assert not verified.is_partial
    assert len(verified.status_codes) == 1


@pytest.mark.parametrize("status", [("Success", "PartialLogout"), ("Responder", "PartialLogout")])
def test_a_partial_logout_ended_its_own_session(party, status):
    assert judge(party, party.answer(REQUEST, status=status)).is_partial


@pytest.mark.parametrize(
    "options",
    [
        {"destination": SLO},
        {"destination": ""},
        {"method": "rsa-sha512"},
        {"issuer_format": "urn:oasis:names:tc:SAML:2.0:nameid-format:entity"},
        {"message": "done"},
    ],
    ids=["our destination", "an empty destination", "SHA-512", "an entity", "a message"],
)
def test_honest_answers_in_other_words_are_believed(party, options):
    assert judge(party, party.answer(REQUEST, **options))


def test_an_envelope_may_have_a_header_and_be_indented(party):
    def wrap(message):
        envelope = in_envelope(message)
        envelope.insert(0, etree.Element(f"{{{SOAP}}}Header"))
        envelope.text = "\n  "
        return envelope

    assert judge(party, party.answer(REQUEST, wrap=wrap))


# --- The answer: refused --------------------------------------------------------------------------------------------
def test_an_unsigned_answer_proves_nothing(party):
    assert refused(party, party.answer(REQUEST, sign=False)).code == "logout.unsigned"


def test_a_key_that_is_not_registered_signs_nothing(party):
    assert refused(party, party.answer(REQUEST, key=key_pair("a stranger"))).code == "logout.signature"
    assert refused(party, party.answer(REQUEST), certificates=[]).code == "logout.signature"


def test_sha_1_is_not_accepted(party):
    assert refused(party, party.answer(REQUEST, method="rsa-sha1")).code == "logout.signature"


def test_a_status_that_was_changed_after_the_signature_is_noticed(party):
    raw = party.answer(REQUEST, status=("Responder",)).replace(b":status:Responder", b":status:Success")
    assert refused(party, raw).code == "logout.signature"


@pytest.mark.parametrize("request_id", ["_another", "", None])
def test_an_answer_to_another_request_says_nothing_of_this_one(party, request_id):
    assert refused(party, party.answer(request_id)).code == "logout.in_response_to"


def test_another_issuer_is_refused_although_the_key_is_the_same(party):
    assert refused(party, party.answer(REQUEST, issuer="https://other.example/saml")).code == "logout.issuer"
    assert refused(party, party.answer(REQUEST, issuer_format=NAME_ID_PERSISTENT)).code == "logout.issuer"


def test_an_answer_for_somebody_else_is_refused(party):
    raw = party.answer(REQUEST, destination="https://other-broker.example/saml/idp/slo")
    assert refused(party, raw).code == "logout.destination"


@pytest.mark.parametrize(
    "status",
    [("Requester", "UnknownPrincipal"), ("Responder",), ("Requester",), ("VersionMismatch",), ("Requester", "Success")],
)
def test_any_other_status_says_that_the_session_did_not_end(party, status):
    error = refused(party, party.answer(REQUEST, status=status, message="no such session"))
    assert isinstance(error, LogoutNotDone)
    assert (error.code, error.detail) == ("logout.status", "no such session")
    assert [one.rpartition(":")[2] for one in error.status_codes] == list(status)


def test_partial_logout_deep_inside_another_status_is_no_success(party):
    assert refused(party, party.answer(REQUEST, status=("Responder", "Requester", "PartialLogout"))).code == (
        "logout.status"
    )


def test_a_fault_is_told_with_its_words(party):
    error = refused(party, fault("cannot parse"))
    assert (error.code, error.detail) == ("logout.fault", "S:Client: cannot parse")


def _second_body(message):
    envelope = in_envelope(message)
    etree.SubElement(envelope, f"{{{SOAP}}}Body").append(copy.deepcopy(message))
    return envelope


def _two_in_one_body(message):
    envelope = in_envelope(message)
    envelope[0].append(copy.deepcopy(message))
    return envelope


def _hidden_in_the_header(message):
    """Signature wrapping: what is signed stands in the header, what would be read in the body."""
    forged = copy.deepcopy(message)
    forged.set("ID", make_id())
    forged.remove(forged.find("{http://www.w3.org/2000/09/xmldsig#}Signature"))
    envelope = in_envelope(forged)
    header = etree.Element(f"{{{SOAP}}}Header")
    header.append(message)
    envelope.insert(0, header)
    return envelope


def _hidden_in_extensions(message):
    forged = copy.deepcopy(message)
    forged.set("ID", make_id())
    forged.remove(forged.find("{http://www.w3.org/2000/09/xmldsig#}Signature"))
    extensions = etree.Element(f"{{{SAMLP}}}Extensions")
    extensions.append(message)
    forged.insert(1, extensions)
    return in_envelope(forged)


def _wrapped_signature(message):
    """The signature is moved to the envelope, around which nothing is signed."""
    signature = message.find("{http://www.w3.org/2000/09/xmldsig#}Signature")
    envelope = in_envelope(message)
    header = etree.Element(f"{{{SOAP}}}Header")
    header.append(signature)
    envelope.insert(0, header)
    return envelope


def _must_understand(message):
    envelope = in_envelope(message)
    header = etree.Element(f"{{{SOAP}}}Header")
    etree.SubElement(header, "{urn:x}security").set(f"{{{SOAP}}}mustUnderstand", "1")
    envelope.insert(0, header)
    return envelope


def _foreign_envelope(message):
    envelope = etree.Element("{http://www.w3.org/2003/05/soap-envelope}Envelope")
    etree.SubElement(envelope, "{http://www.w3.org/2003/05/soap-envelope}Body").append(message)
    return envelope


def _empty_body(message):
    envelope = in_envelope(message)
    envelope[0].remove(message)
    return envelope


def _bare(message):
    return message


@pytest.mark.parametrize(
    "wrap",
    [
        _second_body,
        _two_in_one_body,
        _hidden_in_the_header,
        _hidden_in_extensions,
        _wrapped_signature,
        _must_understand,
        _foreign_envelope,
        _empty_body,
        _bare,
    ],
)
def test_an_envelope_that_holds_anything_else_is_refused(party, wrap):
    assert refused(party, party.answer(REQUEST, wrap=wrap)).code == "logout.malformed"


@pytest.mark.parametrize("tag", ["LogoutRequest", "Response", "ArtifactResponse"])
def test_another_message_is_no_answer(party, tag):
    assert refused(party, party.answer(REQUEST, tag=tag)).code == "logout.malformed"


def _without(path):
    def edit(root):
        for one in root.findall(path):
            one.getparent().remove(one)

    return edit


@pytest.mark.parametrize(
    "edit",
    [
        lambda root: root.set("Version", "1.1"),
        lambda root: root.attrib.pop("ID"),
        _without("{urn:oasis:names:tc:SAML:2.0:protocol}Status"),
        _without("{urn:oasis:names:tc:SAML:2.0:assertion}Issuer"),
        lambda root: root.append(etree.Element("{urn:x}other")),
        lambda root: root.append(etree.Comment("c")),
    ],
    ids=["version", "no ID", "no status", "no issuer", "a foreign element", "a comment"],
)
def test_an_answer_that_is_built_otherwise_is_refused(party, edit):
    assert refused(party, party.answer(REQUEST, sign=False, edit=edit)).code == "logout.malformed"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"OK",
        b"<html><body>Sign in</body></html>",
        b"\xff\xfe",
        b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>',
        b"<a>" * 10_000,
    ],
    ids=["nothing", "text", "a page", "no UTF-8", "an entity", "deep"],
)
def test_what_is_no_envelope_is_refused(party, raw):
    assert refused(party, raw).code == "logout.malformed"


def test_no_check_is_missing_from_the_tuples():
    names = [check.__name__ for check in (*SOAP_STRUCTURE, *ANSWER_STRUCTURE, *ANSWER_POLICY)]
    assert names == [
        "check_envelope",
        "check_parts",
        "check_body",
        "check_root",
        "check_id",
        "check_children",
        "check_nothing_twice",
        "check_signature_place",
        "check_unique_ids",
        "check_issuer",
        "check_in_response_to",
        "check_destination",
        "check_status",
    ]


@pytest.mark.parametrize("missing", ["issuer", "request_id", "destination"])
def test_an_expectation_expects_something(missing):
    values = {"issuer": "a", "certificates": [b"c"], "request_id": "b", "destination": "d"}
    with pytest.raises(ValueError, match="expect nothing"):
        LogoutExpectation(**(values | {missing: ""}))


# --- Metadata -------------------------------------------------------------------------------------------------------
def test_metadata_names_where_logout_by_soap_goes():
    sp = FakeServiceProvider()
    assert read_service_provider(sp.metadata().encode()).soap_logout_url == ""
    read = read_service_provider(sp.metadata(soap_logout="https://erp.example/slo").encode())
    assert read.soap_logout_url == "https://erp.example/slo"


def test_a_logout_address_that_is_none_is_told_and_sign_on_still_works():
    metadata = FakeServiceProvider().metadata(soap_logout="erp.example/slo")
    read = read_service_provider(metadata.encode())
    assert read.soap_logout_url == ""
    assert any(re.search("logout by SOAP is not used", one) for one in read.oddities)


def test_a_logout_address_of_another_binding_is_not_taken_for_one():
    metadata = FakeServiceProvider().metadata(soap_logout="https://erp.example/slo")
    metadata = metadata.replace("bindings:SOAP", "bindings:HTTP-Redirect")
    assert read_service_provider(metadata.encode()).soap_logout_url == ""
