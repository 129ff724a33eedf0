"""SAML beside pysaml2 as it ships, with the xmlsec1 program: `python -m bench.saml`.

The same response, 8 kB, with a signed Response and a signed assertion, is verified by both; both write a signed
AuthnRequest, signed metadata, and as an identity provider a signed Response with a signed assertion in it. Rounds
alternate, and the ratio is that of each pair.
"""

import base64
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

from saml2 import BINDING_HTTP_POST, saml
from saml2.client import Saml2Client
from saml2.config import IdPConfig, SPConfig
from saml2.metadata import create_metadata_string
from saml2.server import Server

from bench.paired import Ratio, paired
from broker.traces.collector import Collector
from federation.saml import messages
from federation.saml.algorithms import RSA_SHA256, SHA256
from federation.saml.expectation import ResponseExpectation, SubjectRule
from federation.saml.guard import verify_response
from federation.saml.names import ATTRIBUTE_NAME_BASIC, CONTEXT_UNSPECIFIED, NAME_ID_PERSISTENT
from federation.saml.parsing import decode_post
from federation.saml.publication import write_service_provider
from federation.saml.responses import Attribute, Envelope, SignedOn, write_response
from federation.saml.signing import Signer, sign_enveloped
from federation.saml.verified import NameID
from tests.fakes.fake_idp import FakeIdentityProvider
from tests.fakes.saml_keys import KeyPair, key_pair

ACS = "http://localhost:8000/saml/sp/acme/acs"
ENTITY_ID = "http://localhost:8000/saml/sp/acme/metadata"
SSO = "https://idp.example.org/sso"
ATTRIBUTES = {f"attribute{number}": ["x" * 60] * 2 for number in range(10)}


def main(*, rounds: int = 15) -> list[tuple[str, Ratio, float]]:
    """Print the ratios, and return each with its name and its target."""
    own, fake, program = key_pair("sp"), FakeIdentityProvider(), xmlsec1()
    answer = fake.answer(request_id="_1", acs_url=ACS, audience=ENTITY_ID, sign="both", attributes=ATTRIBUTES)
    with tempfile.TemporaryDirectory() as folder:
        peer = pysaml2_client(fake, own, folder=Path(folder), program=program)
        results = [
            ("verify a signed response", compare(verify(answer, fake), peer_verify(peer, answer), rounds), 60.0),
            ("create a signed AuthnRequest", compare(create_request(own), peer_create_request(peer), rounds), 20.0),
            ("create signed metadata", compare(create_metadata(own), peer_create_metadata(peer), rounds), 20.0),
            (
                "create a signed response",
                compare(create_response(own), peer_create_response(folder=Path(folder), program=program), rounds),
                20.0,
            ),
        ]
    size = len(base64.b64decode(answer))
    shown = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    print(f"pysaml2 {version('pysaml2')}, {shown}; lxml {version('lxml')}, cryptography {version('cryptography')}")
    print(f"response of {size} bytes; {rounds} pairs")
    for name, ratio, target in results:
        print(f"{name}: {ratio.median:.1f} times as fast ({ratio.low:.1f} to {ratio.high:.1f}); target {target:.0f}")
    return results


def compare(ours: Callable[[], object], theirs: Callable[[], object], rounds: int) -> Ratio:
    """How many times as fast ours is, pair by pair."""
    return paired(theirs, ours, rounds=rounds, per_round=1, per_round_b=40)


def verify(answer: str, fake: FakeIdentityProvider) -> Callable[[], object]:
    expectation = ResponseExpectation(
        issuer=fake.entity_id,
        verification_certificates=(fake.key.der,),
        audience=ENTITY_ID,
        acs_url=ACS,
        request_id="_1",
        now=datetime.now(UTC),
        decryption_keys=(),
        subject=SubjectRule(),
    )
    return lambda: verify_response(decode_post(answer), expectation, trace=Collector())


def create_request(own: KeyPair) -> Callable[[], object]:
    signer = as_signer(own)

    def create() -> bytes:
        xml = messages.build_authn_request(
            request_id="_1", issuer=ENTITY_ID, destination=SSO, acs_url=ACS, issued_at=datetime.now(UTC)
        )
        return sign_enveloped(xml.encode(), signer=signer)

    return create


def create_metadata(own: KeyPair) -> Callable[[], object]:
    signer = as_signer(own)
    return lambda: write_service_provider(
        entity_id=ENTITY_ID,
        acs_url=ACS,
        signing_certificates=[own.der],
        encryption_certificates=[own.der],
        signs_requests=True,
        signer=signer,
    )


def create_response(own: KeyPair) -> Callable[[], object]:
    signer = as_signer(own)
    attributes = [Attribute(name, ATTRIBUTE_NAME_BASIC, "", values) for name, values in ATTRIBUTES.items()]

    def create() -> bytes:
        now = datetime.now(UTC)
        signed_on = SignedOn(
            name_id=NameID("alice", NAME_ID_PERSISTENT, SSO, ENTITY_ID),
            authenticated_at=now,
            context=CONTEXT_UNSPECIFIED,
            authority=SSO,
            session_index="session",
            session_until=now + timedelta(hours=12),
            attributes=attributes,
        )
        return write_response(
            Envelope(SSO, ACS, "_1", now),
            signed_on,
            audience=ENTITY_ID,
            signer=signer,
            sign_response=True,
            sign_assertion=True,
            recipient=None,
            trace=Collector(),
        )

    return create


def as_signer(own: KeyPair) -> Signer:
    class Credential:
        private_key = own.private_key
        certificate = own.der

    return Credential()  # type: ignore[return-value]  # the suite's key pairs are RSA unless asked otherwise


def pysaml2_client(fake: FakeIdentityProvider, own: KeyPair, *, folder: Path, program: str) -> Saml2Client:
    (folder / "key.pem").write_bytes(own.private_pem)
    (folder / "certificate.pem").write_bytes(own.certificate_pem)
    service = {
        "endpoints": {"assertion_consumer_service": [(ACS, BINDING_HTTP_POST)]},
        "want_response_signed": True,
        "want_assertions_signed": True,
        "authn_requests_signed": True,
        "signing_algorithm": "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
        "digest_algorithm": "http://www.w3.org/2001/04/xmlenc#sha256",
    }
    config = SPConfig().load(
        {
            "entityid": ENTITY_ID,
            "xmlsec_binary": program,
            "key_file": str(folder / "key.pem"),
            "cert_file": str(folder / "certificate.pem"),
            "metadata": {"inline": [fake.metadata()]},
            "service": {"sp": service},
        }
    )
    return Saml2Client(config)


def peer_verify(peer: Saml2Client, answer: str) -> Callable[[], object]:
    def verify_there() -> None:
        parsed = peer.parse_authn_request_response(answer, BINDING_HTTP_POST, outstanding={"_1": "/"})
        assert parsed.name_id.text == "alice"

    return verify_there


def peer_create_request(peer: Saml2Client) -> Callable[[], object]:
    return lambda: peer.create_authn_request(SSO, sign=True)


def peer_create_metadata(peer: Saml2Client) -> Callable[[], object]:
    return lambda: create_metadata_string(None, config=peer.config, sign=True)


def peer_create_response(*, folder: Path, program: str) -> Callable[[], object]:
    """pysaml2's server; `folder` holds the key and the certificate already."""
    application = (
        f'<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="{ENTITY_ID}">'
        '<md:SPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">'
        f'<md:AssertionConsumerService Binding="{BINDING_HTTP_POST}" Location="{ACS}" index="0"/>'
        "</md:SPSSODescriptor></md:EntityDescriptor>"
    )
    service = {
        "endpoints": {"single_sign_on_service": [(SSO, BINDING_HTTP_POST)]},
        "policy": {"default": {"name_form": ATTRIBUTE_NAME_BASIC, "lifetime": {"minutes": 5}}},
    }
    config = IdPConfig().load(
        {
            "entityid": SSO,
            "xmlsec_binary": program,
            "key_file": str(folder / "key.pem"),
            "cert_file": str(folder / "certificate.pem"),
            "metadata": {"inline": [application]},
            "service": {"idp": service},
        }
    )
    server = Server(config=config)
    how = {
        "authn": {"class_ref": CONTEXT_UNSPECIFIED, "authn_auth": SSO},
        "name_id": saml.NameID(format=NAME_ID_PERSISTENT, text="alice"),
        "sign_response": True,
        "sign_assertion": True,
        "sign_alg": RSA_SHA256,
        "digest_alg": SHA256,
    }

    def create() -> None:
        response = server.create_authn_response(ATTRIBUTES, "_1", ACS, sp_entity_id=ENTITY_ID, **how)
        written = str(response)
        assert written.count("SignatureValue>") == 4
        # Each value's end; pysaml2 takes whatever prefix comes next.
        assert len(re.findall("</[a-z0-9]+:AttributeValue>", written)) == sum(map(len, ATTRIBUTES.values()))

    return create


def xmlsec1() -> str:
    """The peer's program. Ends the run when it is not there: a bench without its peer measures nothing."""
    found = shutil.which("xmlsec1")
    if not found:
        sys.exit("xmlsec1 is missing: apt-get install xmlsec1")
    return found


if __name__ == "__main__":
    main()
