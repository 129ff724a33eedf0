"""Hostile DPoP proofs (RFC 9449 section 11): each is refused by its own check, and no token is issued."""

import base64
import json
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from django.conf import settings

from broker.events.models import Event
from broker.keys.ring import ring
from broker.once.models import UsedValue
from tests.broker.tokens.desk import Desk, basic, post_form
from tests.broker.tokens.refusals import assert_refused
from tests.factories import CLIENT_SECRET, make_flow, make_resource, make_service
from tests.fakes.prover import Prover, base64url, number

pytestmark = pytest.mark.django_db
ADDRESS = f"{settings.BROKER_BASE_URL}/oauth/token"
Make = Callable[[Prover], str]


class Target:
    """A service, and its key with a nonce."""

    def __init__(self) -> None:
        Desk()
        self.client = make_service()
        make_flow(self.client, make_resource())
        self.prover = Prover()
        self.prover.nonce = self.ask(self.prover.proof("POST", ADDRESS))["DPoP-Nonce"]

    def ask(self, proof: str) -> Any:
        headers = {"authorization": basic(self.client.client_id, CLIENT_SECRET), "dpop": proof}
        return post_form("/oauth/token", {"grant_type": "client_credentials"}, **headers)


@pytest.fixture
def target(db: None):
    yield Target()
    ring.forget()


def refuse(response: Any, reason: str) -> None:
    assert_refused(response, error="invalid_dpop_proof", code="oauth.dpop_proof", reason=reason)


def with_header(**header: Any) -> Make:
    return lambda prover: prover.proof("POST", ADDRESS, header=header)


def with_claims(**claims: Any) -> Make:
    return lambda prover: prover.proof("POST", ADDRESS, **claims)


def with_private_key(prover: Prover) -> str:
    secret = number(prover.key.private_numbers().private_value, 32)
    return prover.proof("POST", ADDRESS, header={"jwk": {**prover.jwk, "d": secret}})


def with_shared_key(prover: Prover) -> str:
    shared = {"kty": "oct", "k": base64url(b"0123456789abcdef0123456789abcdef")}
    return prover.proof("POST", ADDRESS, header={"alg": "HS256", "jwk": shared})


def with_public_key_as_secret(prover: Prover) -> str:
    return prover.proof("POST", ADDRESS, header={"alg": "HS256"})


def with_signature_of_another(prover: Prover) -> str:
    other = Prover()
    other.nonce = prover.nonce
    return other.proof("POST", ADDRESS, header={"jwk": prover.jwk})


def with_huge_modulus(prover: Prover) -> str:
    huge = {"kty": "RSA", "n": base64url(b"\xff" * 2048), "e": "AQAB"}
    return prover.proof("POST", ADDRESS, header={"alg": "RS256", "jwk": huge})


def with_huge_exponent(prover: Prover) -> str:
    key = rsa.generate_private_key(65537, 2048).public_key().public_numbers()
    return prover.proof(
        "POST", ADDRESS, header={"alg": "RS256", "jwk": {"kty": "RSA", "n": number(key.n), "e": number(key.n - 2)}}
    )


def with_small_key(prover: Prover) -> str:
    small = Prover(rsa.generate_private_key(65537, 1024))
    small.nonce = prover.nonce
    return small.proof("POST", ADDRESS)


def with_other_curve(prover: Prover) -> str:
    other = Prover(ec.generate_private_key(ec.SECP384R1()))
    other.nonce = prover.nonce
    return other.proof("POST", ADDRESS)


def with_point_off_the_curve(prover: Prover) -> str:
    return prover.proof("POST", ADDRESS, header={"jwk": {**prover.jwk, "y": number(5, 32)}})


def without_signature(prover: Prover) -> str:
    head, body, _ = prover.proof("POST", ADDRESS, header={"alg": "none"}).split(".")
    return f"{head}.{body}."


def two_joined(prover: Prover) -> str:
    """As the server sees two DPoP headers."""
    return f"{prover.proof('POST', ADDRESS)}, {prover.proof('POST', ADDRESS)}"


def with_duplicated_claim(prover: Prover) -> str:
    head = base64url(json.dumps({"typ": "dpop+jwt", "alg": "ES256", "jwk": prover.jwk}).encode())
    body = base64url(
        f'{{"htm":"GET","htm":"POST","htu":"{ADDRESS}","jti":"0123456789","iat":{int(time.time())}}}'.encode()
    )
    return f"{head}.{body}.{base64.urlsafe_b64encode(b'0' * 64).decode().rstrip('=')}"


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (with_private_key, "jwt.key"),
        (with_shared_key, "jwt.key"),
        (with_huge_modulus, "jwt.key"),
        (with_huge_exponent, "jwt.key"),
        (with_small_key, "jwt.key"),
        (with_other_curve, "jwt.key"),
        (with_point_off_the_curve, "jwt.key"),
        (with_header(jwk=[]), "jwt.key"),
        (with_header(jwk={"kty": []}), "jwt.key"),
        (with_header(jwk={"kty": "EC", "crv": "P-256", "x": 1, "y": 2}), "jwt.key"),
        (with_header(jwk={"kty": "EC", "crv": "P-256"}), "jwt.key"),
        (with_public_key_as_secret, "jwt.algorithm"),
        (with_header(alg="ES384"), "jwt.algorithm"),
        (with_header(alg=["ES256"]), "jwt.algorithm"),
        (with_signature_of_another, "jwt.signature"),
        (without_signature, "jwt.malformed"),
        (two_joined, "jwt.malformed"),
        (with_duplicated_claim, "jwt.signature"),
        (lambda _: "x" * 9000, "jwt.too_large"),
        (lambda _: "a.b.c", "jwt.malformed"),
        (with_header(typ="JWT"), "jwt.type"),
        (with_header(typ="at+jwt"), "jwt.type"),
        (with_header(typ="DPOP+JWT"), "jwt.type"),
        (with_header(typ=None), "jwt.header"),
        (with_header(kid="1"), "jwt.header"),
        (with_header(crit=["exp"]), "jwt.header"),
        (with_header(b64=False), "jwt.header"),
        (with_header(x5u="https://evil.example/"), "jwt.header"),
        (with_claims(htm="GET"), "method"),
        (with_claims(htm="post"), "method"),
        (with_claims(htm=None), "claim"),
        (with_claims(htm=["POST"]), "claim"),
        (with_claims(htu=None), "claim"),
        (with_claims(htu="https://evil.example/oauth/token"), "address"),
        (with_claims(htu=f"{ADDRESS}/"), "address"),
        (with_claims(htu=f"{ADDRESS}/../token"), "address"),
        (with_claims(htu=ADDRESS.replace("/oauth", "/OAUTH")), "address"),
        (with_claims(htu=ADDRESS.replace("http://", "https://")), "address"),
        (with_claims(htu=ADDRESS.replace("http://", "http://someone@")), "address"),
        (with_claims(htu=ADDRESS.replace("8000", "8001")), "address"),
        (with_claims(htu="http://[::1"), "address"),
        (with_claims(htu=""), "address"),
        (with_claims(iat=None), "claim"),
        (with_claims(iat="now"), "claim"),
        (with_claims(iat=True), "claim"),
        (with_claims(iat=0), "fresh"),
        (lambda prover: prover.proof("POST", ADDRESS, iat=int(time.time()) + 3600), "fresh"),
        (lambda prover: prover.proof("POST", ADDRESS, iat=int(time.time()) - 120), "fresh"),
        (lambda prover: prover.proof("POST", ADDRESS, iat=1e300), "fresh"),
        (with_claims(jti=None), "claim"),
        (with_claims(jti=7), "claim"),
        (with_claims(jti="short"), "claim"),
        (with_claims(jti="j" * 300), "claim"),
        (with_claims(jti="nul\x00nulnul"), "jwt.malformed"),
    ],
)
def test_a_hostile_proof_is_refused_by_its_own_check(target, make, reason):
    refuse(target.ask(make(target.prover)), reason)
    assert not Event.objects.filter(type="token.issued").exists()


@pytest.mark.parametrize("nonce", [None, "", "guessed", 7, ["x"], {"a": 1}])
def test_a_nonce_that_is_not_ours_is_no_nonce(target, nonce):
    response = target.ask(target.prover.proof("POST", ADDRESS, nonce=nonce))
    assert_refused(response, error="use_dpop_nonce", code="oauth.dpop_nonce", reason="nonce")


def test_a_proof_works_once(target):
    proof = target.prover.proof("POST", ADDRESS)
    assert target.ask(proof).status_code == 200
    refuse(target.ask(proof), "used")


def test_a_used_proof_is_remembered_for_as_long_as_it_would_pass(target, time_machine):
    proof = target.prover.proof("POST", ADDRESS)
    target.ask(proof)
    row = UsedValue.objects.get(kind="dpop")
    time_machine.move_to(row.until + timedelta(seconds=1), tick=False)
    refuse(target.ask(proof), "fresh")


def test_the_same_jti_of_another_key_is_another_proof(target):
    other = Prover()
    other.nonce = target.prover.nonce
    assert target.ask(target.prover.proof("POST", ADDRESS, jti="one-and-the-same")).status_code == 200
    assert target.ask(other.proof("POST", ADDRESS, jti="one-and-the-same")).status_code == 200


def test_a_host_header_does_not_move_the_address(target):
    proof = target.prover.proof("POST", "http://localhost:9999/oauth/token")
    headers = {"authorization": basic(target.client.client_id, CLIENT_SECRET), "dpop": proof, "host": "localhost:9999"}
    response = post_form("/oauth/token", {"grant_type": "client_credentials"}, **headers)
    assert response.status_code == 400
    assert not Event.objects.filter(type="token.issued").exists()
