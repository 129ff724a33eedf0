"""Attack: the token's header chooses how the token is checked (RFC 8725 sections 2.1 and 3.1).

python-jose 3.5.0 alone accepts HS256 under a public key in DER when no algorithm is fixed; ours never reads one.
"""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jose import jws

from broker import limits
from broker.errors import BrokerError
from broker.keys import jose
from broker.keys.values import Expectation
from tests.fakes.tokens import ec_key, es256, forge, hs256, rs256, rsa_key, unsigned

NOW = datetime(2026, 3, 1, tzinfo=UTC)
CLAIMS = {
    "iss": "https://sso.example",
    "aud": "api",
    "sub": "8b2e",
    "iat": int(NOW.timestamp()),
    "exp": int(NOW.timestamp()) + 60,
}
SPELLINGS = [
    key.public_key().public_bytes(encoding, form)
    for key in (rsa_key(), ec_key())
    for encoding, form in [
        (Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        (Encoding.OpenSSH, PublicFormat.OpenSSH),
    ]
]
SPELLING_NAMES = [f"{kind} {spelling}" for kind in ("RSA", "EC") for spelling in ("DER", "PEM", "SSH")]


@pytest.fixture
def expectation():
    return Expectation(
        keys=(
            jose.verification_key(rsa_key().public_key(), kid="rsa", algorithm="RS256", use="sig"),
            jose.verification_key(ec_key().public_key(), kid="ec", algorithm="ES256", use="sig"),
        ),
        types=frozenset({"at+jwt"}),
        max_bytes=limits.JWT_BEARER_BYTES,
        issuer="https://sso.example",
        audience=frozenset({"api"}),
        greatest_age=timedelta(minutes=1),
        greatest_lifetime=timedelta(minutes=1),
        skew=timedelta(0),
        after_expiry=timedelta(0),
        required=frozenset({"sub"}),
        now=NOW,
    )


def refusal(token, expectation):
    with pytest.raises(BrokerError) as caught:
        jose.verify(token, expectation)
    return caught.value.code


def test_the_honest_token_passes(expectation):
    """Or else the refusals below would show nothing."""
    token = forge({"alg": "RS256", "kid": "rsa", "typ": "at+jwt"}, CLAIMS, rs256(rsa_key()))
    assert jose.verify(token, expectation).claims == CLAIMS


def test_the_library_alone_would_fall_for_it():
    """When this fails, the library has mended it, and the comment on our door may go."""
    der = rsa_key().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert jws.verify(forge({"alg": "HS256"}, {"sub": "attacker"}, hs256(der)), der, algorithms=None)


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", "", " none", "none "])
@pytest.mark.parametrize("kid", ["rsa", "ec"])
def test_an_unsigned_token_is_refused(alg, kid, expectation):
    token = forge({"alg": alg, "kid": kid, "typ": "at+jwt"}, CLAIMS, unsigned)
    assert refusal(token, expectation) == "jwt.algorithm"


def test_a_token_without_a_signature_segment_is_refused(expectation):
    token = forge({"alg": "none", "kid": "rsa", "typ": "at+jwt"}, CLAIMS, unsigned)
    assert refusal(token.rpartition(".")[0] + ".", expectation) == "jwt.malformed"


@pytest.mark.parametrize("secret", SPELLINGS, ids=SPELLING_NAMES)
@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512", "hs256"])
@pytest.mark.parametrize("kid", ["rsa", "ec"])
def test_a_public_key_in_any_spelling_is_no_secret(secret, alg, kid, expectation):
    token = forge({"alg": alg, "kid": kid, "typ": "at+jwt"}, CLAIMS, hs256(secret))
    assert refusal(token, expectation) == "jwt.algorithm"


@pytest.mark.parametrize(
    "alg", ["RS384", "RS512", "PS256", "PS512", "ES384", "ES512", "ES256K", "EdDSA", "rs256", "RS256 ", "dir", "RSA1_5"]
)
def test_an_algorithm_beyond_ours_is_refused(alg, expectation):
    token = forge({"alg": alg, "kid": "rsa", "typ": "at+jwt"}, CLAIMS, rs256(rsa_key()))
    assert refusal(token, expectation) == "jwt.algorithm"


@pytest.mark.parametrize("alg", [None, 5, True, ["RS256"], ["none", "RS256"], {"RS256": 1}, ...])
def test_an_algorithm_that_is_no_text_is_refused(alg, expectation):
    header = {"kid": "rsa", "typ": "at+jwt"} | ({} if alg is ... else {"alg": alg})
    assert refusal(forge(header, CLAIMS, rs256(rsa_key())), expectation) == "jwt.algorithm"


def test_the_key_decides_and_not_the_header(expectation):
    """Each key has one algorithm: an RS256 token under the kid of the ES256 key is refused, and so is the reverse."""
    rsa_under_ec = forge({"alg": "RS256", "kid": "ec", "typ": "at+jwt"}, CLAIMS, rs256(rsa_key()))
    ec_under_rsa = forge({"alg": "ES256", "kid": "rsa", "typ": "at+jwt"}, CLAIMS, es256(ec_key()))
    assert refusal(rsa_under_ec, expectation) == "jwt.algorithm"
    assert refusal(ec_under_rsa, expectation) == "jwt.algorithm"


@pytest.mark.parametrize("segments", [4, 5, 6])
def test_an_encrypted_token_is_not_taken(segments, expectation):
    assert refusal(".".join(["eyJhbGciOiJSU0ExXzUifQ"] * segments), expectation) == "jwt.malformed"
