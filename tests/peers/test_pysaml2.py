"""pysaml2's own service provider, with the xmlsec1 program, reads our answers."""

import base64
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from saml2 import BINDING_HTTP_POST
from saml2.client import Saml2Client
from saml2.config import SPConfig

from tests.fakes.fake_idp import NS
from tests.fakes.fake_sp import FakeServiceProvider
from tests.fakes.saml_keys import key_pair
from tests.federation.saml.application import IDP, answer
from tests.federation.saml.test_responses import XENC, XENC11, recipient
from tests.federation.saml.test_signing import KEY


@pytest.fixture
def sp() -> FakeServiceProvider:
    return FakeServiceProvider(encryption_key=key_pair("sp encryption"))


@pytest.fixture
def client(sp: FakeServiceProvider, tmp_path: Path) -> Saml2Client:
    assert sp.encryption_key is not None
    for name, key in (("own", sp.key), ("encryption", sp.encryption_key)):
        (tmp_path / f"{name}.key").write_bytes(key.private_pem)
        (tmp_path / f"{name}.pem").write_bytes(key.certificate_pem)
    certificate = base64.b64encode(KEY.certificate).decode()
    metadata = (
        f'<md:EntityDescriptor xmlns:md="{NS["md"]}" xmlns:ds="{NS["ds"]}" entityID="{IDP}"><md:IDPSSODescriptor'
        f' protocolSupportEnumeration="{NS["samlp"]}"><md:KeyDescriptor use="signing"><ds:KeyInfo><ds:X509Data>'
        f"<ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>"
        '<md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"'
        ' Location="https://sso.example/saml/idp/sso"/></md:IDPSSODescriptor></md:EntityDescriptor>'
    )
    service = {
        "endpoints": {"assertion_consumer_service": [(sp.acs_urls[0], BINDING_HTTP_POST)]},
        "want_response_signed": True,
        "want_assertions_signed": True,
    }
    config = SPConfig().load(
        {
            "entityid": sp.entity_id,
            "xmlsec_binary": shutil.which("xmlsec1"),
            "key_file": str(tmp_path / "own.key"),
            "cert_file": str(tmp_path / "own.pem"),
            "encryption_keypairs": [
                {"key_file": str(tmp_path / "encryption.key"), "cert_file": str(tmp_path / "encryption.pem")}
            ],
            "metadata": {"inline": [metadata]},
            "service": {"sp": service},
        }
    )
    return Saml2Client(config)


@pytest.mark.parametrize("methods", [None, (XENC11 + "aes256-gcm",), (XENC + "aes128-cbc",)], ids=str)
def test_pysaml2_accepts_our_answer(
    sp: FakeServiceProvider, client: Saml2Client, methods: tuple[str, ...] | None
) -> None:
    now = datetime.now(UTC)
    raw = answer(
        sp,
        issued_at=now,
        authenticated_at=now,
        session_until=now + timedelta(hours=1),
        recipient=None if methods is None else recipient(sp, *methods),
    )
    parsed = client.parse_authn_request_response(
        base64.b64encode(raw).decode(), BINDING_HTTP_POST, outstanding={"_1": "/"}
    )
    assert parsed.name_id.text == "p-1"
    assert parsed.session_info()["issuer"] == IDP
