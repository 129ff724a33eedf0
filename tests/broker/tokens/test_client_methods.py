"""Client authentication by key, certificate and workload, through HTTP; every refusal is one answer outside."""

import time
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
import time_machine
from django.test import Client as Http
from django.utils import timezone
from pytest_django import Settings

from broker import limits
from broker.registry.cache import raise_version
from broker.registry.models import Client, CredentialUse
from broker.tokens.attempts import Attempt
from broker.tokens.client_auth import authenticate_client
from broker.tokens.requests import ClientRequest
from broker.traces.models import Trace
from broker.traces.services import read_trace
from tests.broker.tokens.desk import FORM, basic
from tests.broker.tokens.gate import Gate
from tests.broker.tokens.refusals import assert_refused
from tests.factories import CLIENT_SECRET, make_service
from tests.fakes.assertions import KEY_NUMBER, KID, asserting, assertion
from tests.fakes.certificates import as_client_cert, make_certificate
from tests.fakes.fake_op import FakeOpenIDProvider, public_jwk, running
from tests.fakes.tokens import ec_key, rsa_key

pytestmark = pytest.mark.django_db
INVALID_CLIENT = {"error": "invalid_client", "code": "oauth.invalid_client", "status": 401}
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def post(path: str, fields: dict[str, Any], **meta: str) -> Any:
    return Http(raise_request_exception=False).post(path, urlencode(fields), content_type=FORM, **meta)


def register(client: Client, **columns: Any) -> None:
    Client.objects.filter(pk=client.pk).update(**columns)
    raise_version()


@pytest.fixture
def proxied(settings: Settings) -> dict[str, str]:
    """What a request has that came through our proxy with a certificate."""
    settings.TRUSTED_PROXIES = 1
    settings.CLIENT_CERTIFICATE_HEADER = "Client-Cert"
    settings.CLIENT_CERTIFICATE_VERIFIED_HEADER = "X-SSL-Client-Verify"
    settings.CLIENT_CERTIFICATE_PROXIES = ["10.0.0.2/32"]
    der = make_certificate("CN=x", dns=["nightly.acme.example"])
    return {
        "HTTP_CLIENT_CERT": as_client_cert(der),
        "HTTP_X_SSL_CLIENT_VERIFY": "SUCCESS",
        "REMOTE_ADDR": "10.0.0.2",
        "HTTP_X_FORWARDED_FOR": "192.0.2.9",
    }


def endpoints(gate: Gate, token: str) -> list[tuple[str, Client, dict[str, str]]]:
    """(path, client, an honest request) of each endpoint where clients authenticate."""
    pushed = {
        "response_type": "code",
        "redirect_uri": gate.desk.client.redirect_uris[0],
        "scope": "openid",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    return [
        ("/oauth/token", gate.service, {"grant_type": "client_credentials", "resource": gate.resource.identifier}),
        ("/oauth/introspect", gate.gateway, {"token": token}),
        ("/oauth/par", gate.desk.client, pushed),
        ("/oauth/revoke", gate.service, {"token": token}),
    ]


def test_a_signed_assertion_serves_at_every_endpoint_and_once(gate: Gate) -> None:
    token = gate.service_token()
    for path, client, fields in endpoints(gate, token):
        register(client, authentication="private_key_jwt", jwks={"keys": [public_jwk(rsa_key(number=KEY_NUMBER), KID)]})
        raw = assertion(client.client_id)
        assert post(path, fields | asserting(raw)).status_code in (200, 201), path
        assert_refused(post(path, fields | asserting(raw)), **INVALID_CLIENT, reason="replayed")
        for other, *_ in endpoints(gate, token):
            wrong = assertion(client.client_id, aud=f"http://localhost:8000{other}")
            assert_refused(post(path, fields | asserting(wrong)), **INVALID_CLIENT, reason="jwt.audience")


def test_an_assertion_that_was_used_at_one_endpoint_is_used_up_at_the_others(gate: Gate) -> None:
    register(
        gate.service, authentication="private_key_jwt", jwks={"keys": [public_jwk(rsa_key(number=KEY_NUMBER), KID)]}
    )
    raw = assertion(gate.service.client_id)
    asked = {"grant_type": "client_credentials", "resource": gate.resource.identifier}
    token = post("/oauth/token", asked | asserting(raw)).json()["access_token"]
    assert_refused(post("/oauth/revoke", {"token": token} | asserting(raw)), **INVALID_CLIENT, reason="replayed")


def test_a_certificate_serves_at_every_endpoint(gate: Gate, proxied: dict[str, str]) -> None:
    token = gate.service_token()
    for path, client, fields in endpoints(gate, token):
        register(client, authentication="tls_client_auth", tls={"san_dns": "nightly.acme.example"})
        named = fields | {"client_id": client.client_id}
        assert post(path, named, **proxied).status_code in (200, 201), path
        assert_refused(post(path, named), **INVALID_CLIENT, reason="no_certificate")
        elsewhere = proxied | {"REMOTE_ADDR": "192.0.2.66"}
        assert_refused(post(path, named, **elsewhere), **INVALID_CLIENT, reason="no_certificate")


def test_elliptic_keys_sign_too(gate: Gate) -> None:
    key = ec_key(number=6)
    register(gate.service, authentication="private_key_jwt", jwks={"keys": [public_jwk(key, "e")]})
    asked = {"grant_type": "client_credentials", "resource": gate.resource.identifier}
    raw = assertion(gate.service.client_id, key=key, kid="e")
    assert post("/oauth/token", asked | asserting(raw)).status_code == 200


# --- Keys at an address ---------------------------------------------------------------------------------------------
@pytest.fixture
def published(gate: Gate, settings: Settings) -> Any:
    """The service's keys stand at an address of its own."""
    settings.OUTGOING_NETWORKS = ["127.0.0.0/8"]
    settings.OUTGOING_PROXY = ""
    with running(key_number=KEY_NUMBER) as server:
        register(gate.service, authentication="private_key_jwt", jwks_url=f"{server.issuer}/jwks")
        yield server


def ask(gate: Gate, raw: str) -> Any:
    asked = {"grant_type": "client_credentials", "resource": gate.resource.identifier}
    return post("/oauth/token", asked | asserting(raw))


def test_published_keys_are_fetched_once_and_followed_when_they_change(
    gate: Gate, published: FakeOpenIDProvider
) -> None:
    client_id = gate.service.client_id
    for _ in range(3):
        assert ask(gate, assertion(client_id, kid="op-1")).status_code == 200
    assert published.count("/jwks") == 1
    new = rsa_key(number=KEY_NUMBER + 2)
    published.keys = {"op-2": new}
    with time_machine.travel(timezone.now() + limits.REMOTE_KEYS_ASK_INTERVAL + timedelta(seconds=1)):
        assert ask(gate, assertion(client_id, key=new, kid="op-2")).status_code == 200
        assert_refused(ask(gate, assertion(client_id, kid="op-1")), **INVALID_CLIENT, reason="jwt.key")
    assert published.count("/jwks") == 2


def test_a_flood_of_unknown_keys_asks_the_address_once(gate: Gate, published: FakeOpenIDProvider) -> None:
    for number in range(10):
        response = ask(gate, assertion(gate.service.client_id, kid=f"x{number}"))
        assert_refused(response, **INVALID_CLIENT, reason="jwt.key")
    assert published.count("/jwks") == 1


def test_keys_that_are_away_prove_nothing(gate: Gate, published: FakeOpenIDProvider) -> None:
    published.raw["/jwks"] = b"HTTP/1.1 503 Away\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    response = ask(gate, assertion(gate.service.client_id, kid="op-1"))
    assert_refused(response, **INVALID_CLIENT, reason="outgoing.refused")


# --- Evidence -------------------------------------------------------------------------------------------------------
def test_each_method_leaves_the_evidence_of_its_credential(gate: Gate, proxied: dict[str, str]) -> None:
    secret = gate.service.secrets.get()
    asked = {"grant_type": "client_credentials", "resource": gate.resource.identifier}
    away = {"REMOTE_ADDR": "10.0.0.2", "HTTP_X_FORWARDED_FOR": "192.0.2.9"}
    authorization = basic(gate.service.client_id, CLIENT_SECRET)
    assert post("/oauth/token", asked, HTTP_AUTHORIZATION=authorization, **away).status_code == 200
    register(
        gate.service, authentication="private_key_jwt", jwks={"keys": [public_jwk(rsa_key(number=KEY_NUMBER), KID)]}
    )
    assert post("/oauth/token", asked | asserting(assertion(gate.service.client_id)), **away).status_code == 200
    register(gate.service, authentication="tls_client_auth", tls={"san_dns": "nightly.acme.example"})
    assert post("/oauth/token", asked | {"client_id": gate.service.client_id}, **proxied).status_code == 200
    uses = CredentialUse.objects.order_by("pk").values_list("kind", "name", "count", "last_used_from")
    assert list(uses) == [
        ("secret", str(secret.pk), 1, "192.0.2.9"),
        ("key", KID, 1, "192.0.2.9"),
        ("certificate", "san_dns=nightly.acme.example", 1, "192.0.2.9"),
    ]


def test_who_is_refused_leaves_no_evidence_of_use(gate: Gate) -> None:
    register(gate.service, enabled=False)
    gate.ask(resource=gate.resource.identifier)
    gate.post("/oauth/token", gate.stranger, secret="wrong", grant_type="client_credentials")
    assert not CredentialUse.objects.exists()


def test_the_attempt_knows_by_which_credential_the_client_came(gate: Gate, proxied: dict[str, str], rf: Any) -> None:
    register(gate.service, authentication="tls_client_auth", tls={"san_dns": "nightly.acme.example"})
    body = urlencode({"client_id": gate.service.client_id})
    request = rf.post("/oauth/token", body, content_type=FORM, **proxied, **{"countersign.trace_id": "AAAAA-AAAAA"})
    attempt = Attempt.of(request, "token request")
    client = authenticate_client(ClientRequest.parse(request), attempt=attempt)
    assert client.pk == gate.service.pk
    assert attempt.credential is not None
    assert (attempt.credential.method, attempt.credential.kind) == ("tls_client_auth", "certificate")
    assert attempt.credential.certificate is not None
    assert len(attempt.credential.certificate.thumbprint) == 43


def test_neither_assertion_nor_certificate_is_written_down(
    gate: Gate, proxied: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    register(
        gate.service, authentication="private_key_jwt", jwks={"keys": [public_jwk(rsa_key(number=KEY_NUMBER), KID)]}
    )
    raw = [assertion(gate.service.client_id), assertion(gate.service.client_id, exp=int(time.time()) - 5)]
    for one in raw:
        ask(gate, one)
    register(gate.service, authentication="tls_client_auth", tls={"san_dns": "another.acme.example"})
    asked = {"grant_type": "client_credentials", "client_id": gate.service.client_id}
    assert_refused(post("/oauth/token", asked, **proxied), **INVALID_CLIENT, reason="name")
    written = caplog.text + str([read_trace(trace.pk) for trace in Trace.objects.all()])
    for secret in (*(one.split(".")[2] for one in raw), proxied["HTTP_CLIENT_CERT"][1:200]):
        assert secret not in written


def test_a_client_with_a_certificate_of_two_services_is_the_one_it_names(gate: Gate, proxied: dict[str, str]) -> None:
    for client in (gate.service, gate.stranger):
        register(client, authentication="tls_client_auth", tls={"san_dns": "nightly.acme.example"})
    make_service(
        client_id="third", authentication="tls_client_auth", tls={"san_dns": "other.acme.example"}, secret=None
    )
    asked = {"grant_type": "client_credentials", "resource": gate.resource.identifier}
    assert post("/oauth/token", asked | {"client_id": gate.service.client_id}, **proxied).status_code == 200
    refused = post("/oauth/token", asked | {"client_id": "third"}, **proxied)
    assert_refused(refused, **INVALID_CLIENT, reason="name")
