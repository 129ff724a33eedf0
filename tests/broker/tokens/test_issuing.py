"""The tokens themselves, read with another library than the one that wrote them."""

import base64
import hashlib
import json
import uuid
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from django.conf import settings
from django.utils import timezone

from broker.keys.services import jwks
from broker.registry.cache import raise_version
from broker.registry.models import Client
from broker.tokens.models import PairwiseSubject
from tests.factories import make_client, make_participant

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.broker.tokens.urls")]


def decode(segment):
    return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))


def header_of(token):
    return json.loads(decode(token.split(".")[0]))


def claims_of(token):
    return json.loads(decode(token.split(".")[1]))


def verify_independently(token):
    """Check the signature by hand against our published keys (RFC 7515, RFC 7518), without our own verifier."""
    signed, _, signature = token.rpartition(".")
    header = header_of(token)
    found = [key for key in jwks()["keys"] if key["kid"] == header["kid"]]
    assert len(found) == 1
    key = {name: int.from_bytes(decode(found[0][name])) for name in ("n", "e", "x", "y") if name in found[0]}
    assert found[0]["use"] == "sig"
    assert found[0]["alg"] == header["alg"]
    if header["alg"] == "RS256":
        public = rsa.RSAPublicNumbers(key["e"], key["n"]).public_key()
        public.verify(decode(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    else:
        raw = decode(signature)
        der = encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
        public = ec.EllipticCurvePublicNumbers(key["x"], key["y"], ec.SECP256R1()).public_key()
        public.verify(der, signed.encode(), ec.ECDSA(hashes.SHA256()))


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_an_independent_verifier_accepts_both_tokens(desk, algorithm):
    Client.objects.update(id_token_algorithm=algorithm)
    raise_version()
    tokens = desk.tokens()
    for name in ("access_token", "id_token"):
        assert header_of(tokens[name])["alg"] == algorithm
        verify_independently(tokens[name])


def test_the_id_token_says_who_signed_on_when_and_how(desk):
    session = desk.participant.session
    session.context = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"
    session.methods = ["pwd", "otp"]
    session.authenticated_at = timezone.now() - timedelta(minutes=3)
    session.save()
    tokens = desk.tokens(scopes=("openid", "profile", "email"))
    claims = claims_of(tokens["id_token"])
    assert header_of(tokens["id_token"])["typ"] == "JWT"
    half = hashlib.sha256(tokens["access_token"].encode()).digest()[:16]
    assert claims == {
        "iss": settings.BROKER_BASE_URL,
        "sub": str(desk.person.pk),
        "aud": desk.client.client_id,
        "iat": claims["iat"],
        "exp": claims["iat"] + 600,
        "auth_time": int(session.authenticated_at.timestamp()),
        "nonce": "the-nonce",
        "at_hash": base64.urlsafe_b64encode(half).rstrip(b"=").decode(),
        "acr": "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport",
        "amr": ["pwd", "otp"],
        "sid": str(desk.participant.pk),
        "gid": claims_of(tokens["access_token"])["gid"],
        "name": desk.person.name,
    }
    assert abs(claims["iat"] - timezone.now().timestamp()) < 5


def test_without_nonce_and_context_their_claims_are_absent(desk):
    desk.nonce = ""
    assert not {"nonce", "acr", "amr"} & set(claims_of(desk.tokens()["id_token"]))


def test_what_is_released_never_replaces_a_claim_of_the_protocol(desk):
    desk.person.claims = {"sub": ["victim"], "iss": ["https://evil.example"], "nonce": ["x"], "department": ["R&D"]}
    desk.person.save()
    rule = desk.client.application.release_rule
    rule.claims = ["sub", "iss", "nonce", "department"]
    rule.save()
    raise_version()
    desk.nonce = "n"
    claims = claims_of(desk.tokens()["id_token"])
    assert (claims["sub"], claims["iss"], claims["nonce"]) == (str(desk.person.pk), settings.BROKER_BASE_URL, "n")
    assert claims["department"] == "R&D"
    assert desk.userinfo(desk.tokens()["access_token"]).json()["sub"] == str(desk.person.pk)


def test_the_access_token_is_an_at_jwt_for_one_audience_without_personal_data(desk):
    token = desk.tokens(scopes=("openid", "profile", "email", "groups"))["access_token"]
    claims = claims_of(token)
    assert header_of(token)["typ"] == "at+jwt"
    assert set(claims) == {"iss", "sub", "aud", "client_id", "iat", "exp", "jti", "scope", "gid"}
    assert claims["iss"] == settings.BROKER_BASE_URL
    assert claims["aud"] == f"{settings.BROKER_BASE_URL}/oauth/userinfo"
    assert claims["client_id"] == desk.client.client_id
    assert claims["exp"] - claims["iat"] == 600
    assert claims["scope"] == "openid profile email groups"
    assert uuid.UUID(claims["gid"])


def test_each_access_token_has_an_id_of_its_own(desk):
    first, second = (claims_of(desk.tokens()["access_token"])["jti"] for _ in range(2))
    assert first != second


def test_a_pairwise_subject_is_stable_and_differs_per_client(desk, settings):
    Client.objects.update(subject_type="pairwise")
    raise_version()
    first = claims_of(desk.tokens()["id_token"])["sub"]
    settings.BROKER_MASTER_KEYS = {"k2": bytes(32), **settings.BROKER_MASTER_KEYS}
    again = desk.tokens()
    assert claims_of(again["id_token"])["sub"] == first != str(desk.person.pk)
    assert claims_of(again["access_token"])["sub"] == first
    assert desk.userinfo(again["access_token"]).json()["sub"] == first
    session = desk.participant.session
    desk.client = make_client(subject_type="pairwise")
    desk.participant = make_participant(client=desk.client, session=session)
    assert claims_of(desk.tokens()["id_token"])["sub"] != first
    assert PairwiseSubject.objects.count() == 2
