"""Clients whose certificate is the proof, through a proxy that ends TLS, with curl (RFC 8705)."""

import base64
import hashlib
import subprocess
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.peers.broker import BASE_URL, Broker
from tests.peers.token_parties import STOCK, Certificates, Curl

ASKED = ("--data", "grant_type=client_credentials", "--data-urlencode", f"resource={STOCK}")
BY_NAME = (*ASKED, "--data", "client_id=by-name")
PINNED = """
clients:
  - client_id: pinned
    owner: it@both.example
    authentication: self_signed_tls_client_auth
    certificate_file: {certificate}
    enforcement: enforce
flows:
  - client: pinned
    grant: client_credentials
    resource: {stock}
    scopes: [stock.read]
    purpose: Tests between peers
    owner: it@both.example
    approved_by: security@both.example
    expires: 2099-12-31
"""


def thumbprint(certificate: Path) -> str:
    der = subprocess.run(
        ["openssl", "x509", "-in", certificate, "-outform", "DER"], check=True, capture_output=True
    ).stdout
    return base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()


def bearer(token: str) -> tuple[str, str]:
    return "--header", f"Authorization: Bearer {token}"


def test_a_certificate_is_the_proof_and_the_token_is_bound_to_it(curl: Curl, proxy: Certificates) -> None:
    status, answer = curl.ask("/oauth/token", *BY_NAME, certificate="nightly")
    assert status == 200, answer
    token = bearer(answer["access_token"])
    status, told = curl.ask("/stock/certificate", *token, certificate="nightly")
    assert status == 200, told
    assert told["claims"]["cnf"] == {"x5t#S256": thumbprint(proxy.of("nightly")[0])}
    assert curl.ask("/stock/certificate", *token, certificate="daily")[0] == 401
    assert curl.ask("/stock/certificate", *token)[0] in {400, 401}


@pytest.mark.parametrize(
    ("certificate", "reason"),
    [("daily", "name"), ("look-alike", "chain"), ("pinned", "chain"), ("", "no_certificate")],
)
def test_another_name_or_nobody_s_word_for_it_is_no_proof(
    certificate: str, reason: str, broker: Broker, curl: Curl
) -> None:
    status, answer = curl.ask("/oauth/token", *BY_NAME, certificate=certificate)
    assert (status, answer["error"]) == (401, "invalid_client")
    assert broker.reason(answer["trace_id"]) == reason


def test_a_header_is_not_believed_from_anybody_else(broker: Broker, curl: Curl, proxy: Certificates) -> None:
    pem = quote(proxy.of("nightly")[0].read_text(), safe="")
    for spelling in ("X-SSL-Client-{}", "X_SSL_Client_{}"):
        claimed = [
            *("--header", f"{spelling.format('Cert')}: {pem}"),
            *("--header", f"{spelling.format('Verify')}: SUCCESS"),
        ]
        for path in (f"{BASE_URL}/oauth/token", "/oauth/token"):
            status, answer = curl.ask(path, *BY_NAME, *claimed)
            assert (status, answer["error"]) == (401, "invalid_client"), (path, spelling)
            assert broker.reason(answer["trace_id"]) == "no_certificate"


def test_a_certificate_that_signs_itself_is_taken_once_it_is_registered(
    broker: Broker, curl: Curl, proxy: Certificates, tmp_path: Path
) -> None:
    pinned = (*ASKED, "--data", "client_id=pinned")
    assert curl.ask("/oauth/token", *pinned, certificate="pinned")[0] == 401
    certificate = tmp_path / "pinned.pem"
    certificate.write_bytes(proxy.of("pinned")[0].read_bytes())
    registered = tmp_path / "pinned.yaml"
    registered.write_text(PINNED.format(certificate=certificate.name, stock=STOCK))
    broker.manage("apply", str(registered))
    status, answer = curl.ask("/oauth/token", *pinned, certificate="pinned")
    assert status == 200, answer
    status, answer = curl.ask("/oauth/token", *pinned, certificate="nightly")
    assert status == 401
    assert broker.reason(answer["trace_id"]) == "certificate"
