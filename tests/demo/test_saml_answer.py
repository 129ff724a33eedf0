"""The demonstration's identity provider signs as standards say, and each fault is the one that it claims to be."""

from datetime import UTC, datetime

import pytest
import xmlsec
from lxml import etree

from broker.errors import BrokerError
from broker.traces.collector import Collector
from demo.faults import Behaviour, Fault, Signed
from demo.keys import KeyPair, make_key_pair
from demo.people import ACME
from demo.saml_answer import Identity, SignedOn, write_answer, write_refusal
from demo.saml_metadata import ServiceProvider, write_identity_provider
from demo.saml_request import AuthnRequest
from federation.saml.expectation import ResponseExpectation, SubjectRule
from federation.saml.guard import verify_response
from federation.saml.metadata import read_identity_provider
from federation.saml.verified import VerifiedResponse
from tests.fakes.saml_keys import key_pair

NOW = datetime(2026, 5, 4, 9, 30, tzinfo=UTC)
AUDIENCE = "http://localhost:8000/saml/sp/acme-idp/metadata"
ACS = "http://localhost:8000/saml/sp/acme-idp/acs"
IDENTITY = Identity(
    "https://idp.acme.example/saml",
    *(KeyPair(one.rsa, one.der) for one in (key_pair("demo idp"), key_pair("demo stray"))),
)
ENCRYPTION = key_pair("demo sp")
REQUEST = AuthnRequest(
    request_id="_request",
    service_provider=ServiceProvider(AUDIENCE, (ACS,), (), ENCRYPTION.der),
    acs_url=ACS,
    relay_state="",
    force=False,
    passive=False,
    contexts=(),
)
ALICE = SignedOn(ACME["alice"], NOW, "_session")


def answer(**behaviour: object) -> bytes:
    return write_answer(REQUEST, ALICE, identity=IDENTITY, behaviour=Behaviour(**behaviour), now=NOW)


def verify(raw: bytes) -> VerifiedResponse:
    expectation = ResponseExpectation(
        issuer=IDENTITY.entity_id,
        verification_certificates=(IDENTITY.key.certificate,),
        audience=AUDIENCE,
        acs_url=ACS,
        request_id="_request",
        now=NOW,
        decryption_keys=(ENCRYPTION.rsa,),
        subject=SubjectRule(),
    )
    return verify_response(raw, expectation, trace=Collector())


@pytest.mark.parametrize("encrypted", [False, True])
@pytest.mark.parametrize("signed", list(Signed))
def test_each_honest_variant_is_accepted(signed: Signed, encrypted: bool) -> None:
    verified = verify(answer(signed=signed, encrypted=encrypted))
    assert verified.attributes["urn:oid:0.9.2342.19200300.100.1.3"] == ("alice@acme.example",)
    assert verified.attributes["urn:oid:1.3.6.1.4.1.5923.1.5.1.1"] == ("sales", "crm-editors")
    assert verified.authenticated_at == NOW


def test_a_person_keeps_the_identifier_and_shares_it_with_nobody() -> None:
    bob = SignedOn(ACME["bob"], NOW, "_session")
    raw = write_answer(REQUEST, bob, identity=IDENTITY, behaviour=Behaviour(), now=NOW)
    assert verify(answer()).subject == verify(answer()).subject != verify(raw).subject


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault.EXPIRED, "saml.expired"),
        (Fault.WRONG_AUDIENCE, "saml.audience"),
        (Fault.CLOCK_AHEAD, "saml.not_yet_valid"),
        (Fault.UNKNOWN_KEY, "saml.signature"),
        (Fault.ALTERED, "saml.signature"),
        (Fault.STATUS_ONLY, "saml.status"),
    ],
)
@pytest.mark.parametrize("signed", list(Signed))
def test_each_fault_is_refused_for_what_it_is(signed: Signed, fault: Fault, code: str) -> None:
    with pytest.raises(BrokerError) as refused:
        verify(answer(fault=fault, signed=signed))
    assert refused.value.code == code


def test_a_foreign_domain_is_all_that_is_wrong_with_such_an_answer() -> None:
    verified = verify(answer(fault=Fault.FOREIGN_DOMAIN))
    assert verified.attributes["urn:oid:0.9.2342.19200300.100.1.3"] == ("alice@globex.example",)


@pytest.mark.parametrize("signed", list(Signed))
def test_an_independent_library_accepts_the_signatures(signed: Signed) -> None:
    root = etree.fromstring(answer(signed=signed))
    signatures = list(root.iter("{http://www.w3.org/2000/09/xmldsig#}Signature"))
    assert len(signatures) == (2 if signed is Signed.BOTH else 1)
    for signature in signatures:
        xmlsec.tree.add_ids(root, ["ID"])
        context = xmlsec.SignatureContext()
        context.key = xmlsec.Key.from_memory(key_pair("demo idp").certificate_pem, xmlsec.KeyFormat.CERT_PEM)
        context.verify(signature)


def test_a_refusal_is_signed_and_says_why() -> None:
    with pytest.raises(BrokerError) as refused:
        verify(write_refusal(REQUEST, ("Responder", "NoPassive"), identity=IDENTITY, now=NOW))
    assert refused.value.code == "saml.status"
    assert "NoPassive" in f"{refused.value.detail} {refused.value.actual}"


def test_the_metadata_is_odd_only_in_that_it_is_on_loopback() -> None:
    key = make_key_pair("idp.acme.example")
    xml = write_identity_provider(
        entity_id=IDENTITY.entity_id,
        sso_url="http://localhost:8001/sso",
        certificate=key.certificate,
        scope="acme.example",
    )
    read = read_identity_provider(xml)
    assert read.entity_id == IDENTITY.entity_id
    assert list(read.oddities) == ["The address http://localhost:8001/sso is not https."]
