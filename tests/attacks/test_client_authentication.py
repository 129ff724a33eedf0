"""Attack: be taken for a client by something other than its own live credential (items 38 and 45 of the checklist)."""

import base64
import itertools
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.test import Client as Http
from django.utils import timezone

from broker import limits
from broker.keys import jose
from broker.keys.models import SigningKey
from broker.keys.ring import ring
from broker.keys.services import signing_key
from broker.registry.cache import raise_version
from broker.registry.credential_values import certificate
from broker.registry.models import Client
from broker.registry.values import BadValue
from broker.registry.workloads import discover_keys
from tests.broker.tokens.desk import FORM, Desk, basic
from tests.broker.tokens.refusals import assert_refused
from tests.factories import CLIENT_SECRET, make_client
from tests.fakes.assertions import ISSUER, KEY_NUMBER, KID, TOKEN_ENDPOINT, asserting, assertion
from tests.fakes.certificates import as_client_cert, as_escaped_pem, make_certificate
from tests.fakes.fake_op import http, public_jwk
from tests.fakes.fake_workload_issuer import SUBJECT, FakeWorkloadIssuer, running_platform
from tests.fakes.server import saying, serving
from tests.fakes.tokens import b64, ec_key, es256, hs256, rs256, rsa_key, unsigned

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.broker.tokens.urls")]
INVALID_CLIENT = {"error": "invalid_client", "code": "oauth.invalid_client", "status": 401}
BAD_CERTIFICATE = {"error": "invalid_request", "code": "request.client_certificate", "reason": "certificate"}
INVALID_REQUEST = {"error": "invalid_request", "code": "oauth.invalid_request"}
PROXY = "10.0.0.2"
DN = "CN=nightly,OU=Integration,O=Acme,C=NO"


@pytest.fixture
def desk(db: None) -> Iterator[Desk]:
    yield Desk()
    ring.forget()


def register(client: Client, **columns: Any) -> Client:
    """The registration as it stands from now on."""
    Client.objects.filter(pk=client.pk).update(**columns)
    raise_version()
    client.refresh_from_db()
    return client


def present(desk: Desk, *, meta: dict[str, str] | None = None, authorization: str = "", **parameters: Any) -> Any:
    """Redeem a good code with these parameters, which are all that says who the client is."""
    fields = urlencode(desk.redemption(desk.code(), **parameters))
    headers = {"authorization": authorization} if authorization else {}
    return Http(raise_request_exception=False).post(
        "/oauth/token", fields, content_type=FORM, headers=headers, **(meta or {})
    )


# --- private_key_jwt -------------------------------------------------------------------------------------------------
@pytest.fixture
def signing(desk: Desk) -> Desk:
    """A client that signs its assertions with the suite's RSA key, beside one that signs with another."""
    key, other = rsa_key(number=KEY_NUMBER), rsa_key(number=KEY_NUMBER + 1)
    register(desk.client, authentication="private_key_jwt", jwks={"keys": [public_jwk(key, KID)]})
    register(make_client(client_id="other"), authentication="private_key_jwt", jwks={"keys": [public_jwk(other, "o")]})
    return desk


def send(desk: Desk, raw_assertion: str, **parameters: Any) -> Any:
    return present(desk, **asserting(raw_assertion, **parameters))


def test_an_honest_assertion_passes(signing: Desk) -> None:
    client_id = signing.client.client_id
    assert send(signing, assertion(client_id)).status_code == 200
    assert send(signing, assertion(client_id), client_id=client_id).status_code == 200
    for typ in (..., "JWT"):
        assert send(signing, assertion(client_id, header={"typ": typ})).status_code == 200
    assert send(signing, assertion(client_id, aud=[ISSUER])).status_code == 200


HOSTILE_CLAIMS: dict[str, tuple[dict[str, Any], str]] = {
    "the token endpoint as audience": ({"aud": TOKEN_ENDPOINT}, "jwt.audience"),
    "another endpoint as audience": ({"aud": f"{ISSUER}/oauth/introspect"}, "jwt.audience"),
    "another server as audience": ({"aud": "https://other.example"}, "jwt.audience"),
    "a list with a foreign audience": ({"aud": [ISSUER, "https://other.example"]}, "jwt.audience"),
    "a list with the token endpoint": ({"aud": [ISSUER, TOKEN_ENDPOINT]}, "jwt.audience"),
    "our issuer with a slash": ({"aud": f"{ISSUER}/"}, "jwt.audience"),
    "no audience": ({"aud": ...}, "jwt.claim"),
    "an empty list as audience": ({"aud": []}, "jwt.claim"),
    "no end": ({"exp": ...}, "jwt.claim"),
    "an end in text": ({"exp": "9999999999"}, "jwt.claim"),
    "an end that is infinite": ({"exp": 1e999}, "jwt.malformed"),
    "no beginning": ({"iat": ...}, "jwt.claim"),
    "no jti": ({"jti": ...}, "jwt.claim"),
    "an empty jti": ({"jti": ""}, "jwt.claim"),
    "a jti that is a number": ({"jti": 1}, "jwt.claim"),
    "another subject": ({"sub": "other"}, "subject"),
    "no subject": ({"sub": ...}, "jwt.claim"),
    "another issuer": ({"iss": "other"}, "jwt.issuer"),
}


@pytest.mark.parametrize("name", list(HOSTILE_CLAIMS))
def test_an_assertion_with_hostile_claims_is_refused(signing: Desk, name: str) -> None:
    claims, reason = HOSTILE_CLAIMS[name]
    response = send(signing, assertion(signing.client.client_id, **claims), client_id=signing.client.client_id)
    assert_refused(response, **INVALID_CLIENT, reason=reason)


@pytest.mark.parametrize(
    ("begins", "ends", "reason"),
    [
        (-120, -1, "jwt.expired"),
        (-10, -2, "jwt.expired"),
        (0, 3_601, "jwt.lifetime"),
        (0, 10 * 365 * 86400, "jwt.lifetime"),
        (61, 120, "jwt.lifetime"),
        (86400, 86460, "jwt.lifetime"),
        (10, 5, "jwt.lifetime"),
        (-301, 1, "jwt.expired"),
    ],
)
def test_an_assertion_is_of_these_five_minutes_and_says_an_hour_at_most(
    signing: Desk, begins: int, ends: int, reason: str
) -> None:
    now = int(time.time()) + 1
    response = send(signing, assertion(signing.client.client_id, iat=now + begins, exp=now + ends))
    assert_refused(response, **INVALID_CLIENT, reason=reason)


def test_an_assertion_that_is_not_valid_yet_is_refused(signing: Desk) -> None:
    raw = assertion(signing.client.client_id, nbf=int(time.time()) + 90)
    assert_refused(send(signing, raw), **INVALID_CLIENT, reason="jwt.lifetime")


@pytest.mark.parametrize("typ", ["at+jwt", "logout+jwt", "dpop+jwt", "jwt", "application/at+jwt", ""])
def test_an_assertion_of_another_type_is_refused(signing: Desk, typ: str) -> None:
    raw = assertion(signing.client.client_id, header={"typ": typ})
    if typ == "":
        assert send(signing, raw).status_code == 200  # as good as absent: the kind is proved by the claims
    else:
        assert_refused(send(signing, raw), **INVALID_CLIENT, reason="jwt.type")


def test_no_algorithm_but_that_of_the_registered_key_passes(signing: Desk) -> None:
    client_id, key = signing.client.client_id, rsa_key(number=KEY_NUMBER)
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for alg, sign in [
        ("none", unsigned),
        ("None", unsigned),
        ("HS256", hs256(pem)),
        ("HS256", hs256(CLIENT_SECRET.encode())),
        ("RS384", rs256(key)),
        ("PS256", rs256(key)),
        ("ES256", es256(ec_key(number=3))),
    ]:
        raw = assertion(client_id, header={"alg": alg}, sign=sign)
        assert_refused(send(signing, raw), **INVALID_CLIENT, reason="jwt.algorithm")
    assert_refused(
        send(signing, assertion(client_id, sign=rs256(rsa_key(number=3)))), **INVALID_CLIENT, reason="jwt.signature"
    )


@pytest.mark.parametrize("kid", ["o", "", "crm-2", ...])
def test_a_key_of_another_client_or_of_nobody_signs_for_nobody(signing: Desk, kid: Any) -> None:
    raw = assertion(signing.client.client_id, key=rsa_key(number=KEY_NUMBER + 1), header={"kid": kid})
    assert_refused(send(signing, raw), **INVALID_CLIENT, reason="jwt.key")


def test_a_key_that_the_assertion_brings_along_is_not_looked_at(signing: Desk) -> None:
    thief = rsa_key(number=3)
    for member in ({"jwk": public_jwk(thief, KID)}, {"jku": "https://attacker.example/jwks"}, {"x5c": ["AAAA"]}):
        raw = assertion(signing.client.client_id, key=thief, header=member)
        assert_refused(send(signing, raw), **INVALID_CLIENT, reason="jwt.header")


def test_an_encryption_key_of_the_client_signs_nothing(signing: Desk) -> None:
    keys = {"keys": [public_jwk(rsa_key(number=KEY_NUMBER), KID, use="enc"), public_jwk(rsa_key(number=3), "b")]}
    register(signing.client, jwks=keys)
    assert_refused(send(signing, assertion(signing.client.client_id)), **INVALID_CLIENT, reason="jwt.key")


def test_an_assertion_is_used_once(signing: Desk) -> None:
    raw = assertion(signing.client.client_id)
    assert send(signing, raw).status_code == 200
    for _ in range(20):
        assert_refused(send(signing, raw), **INVALID_CLIENT, reason="replayed")


def test_a_jti_is_used_up_though_another_assertion_bears_it(signing: Desk) -> None:
    assert send(signing, assertion(signing.client.client_id, jti="one")).status_code == 200
    raw = assertion(signing.client.client_id, jti="one", exp=int(time.time()) + 200)
    assert_refused(send(signing, raw), **INVALID_CLIENT, reason="replayed")


def test_the_jti_of_one_client_uses_up_nothing_of_another(signing: Desk) -> None:
    other_key = rsa_key(number=KEY_NUMBER + 1)
    response = send(signing, assertion("other", key=other_key, kid="o", jti="one"))
    assert response.json()["error"] == "invalid_grant"  # it is the other client, whose code this is not
    assert send(signing, assertion(signing.client.client_id, jti="one")).status_code == 200


def test_an_assertion_that_failed_a_check_uses_nothing_up(signing: Desk) -> None:
    wrong = assertion(signing.client.client_id, jti="one", aud="https://other.example")
    assert_refused(send(signing, wrong), **INVALID_CLIENT, reason="jwt.audience")
    assert send(signing, assertion(signing.client.client_id, jti="one")).status_code == 200


def test_an_oversized_assertion_is_refused(signing: Desk) -> None:
    raw = assertion(signing.client.client_id, padding="a" * limits.JWT_BEARER_BYTES)
    assert_refused(send(signing, raw), **INVALID_REQUEST, reason="too_long")
    largest = assertion(signing.client.client_id, padding="a" * 5_000)
    assert len(largest) < limits.JWT_BEARER_BYTES
    assert send(signing, largest).status_code == 200


@pytest.mark.parametrize(
    "raw",
    ["x", "a.b.c", "..", "e30.e30.", f"{b64('{}')}.{b64('[]')}.AA", f"{b64('{}')}.{b64('[' * 2000)}.AA", "é.é.é"],
)
def test_what_is_no_assertion_is_refused(signing: Desk, raw: str) -> None:
    response = send(signing, raw)
    assert (response.status_code, response.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize(
    "kind", ["", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer", "jwt-bearer", "urn:ietf:params:oauth:jwt"]
)
def test_an_assertion_of_another_kind_is_refused(signing: Desk, kind: str) -> None:
    raw = assertion(signing.client.client_id)
    response = present(signing, client_assertion=raw, client_assertion_type=kind)
    assert response.json()["error"] == ("invalid_client" if kind else "invalid_request")


def test_our_own_tokens_are_nobodys_assertion(signing: Desk) -> None:
    register(signing.client, authentication="client_secret_basic")
    tokens = signing.tokens()
    register(signing.client, authentication="private_key_jwt")
    for token in (tokens["access_token"], tokens["id_token"]):
        response = send(signing, token)
        assert_refused(response, **INVALID_CLIENT, reason="unknown_client")
        response = send(signing, token, client_id=signing.client.client_id)
        assert_refused(response, **INVALID_CLIENT, reason="jwt.type" if token == tokens["access_token"] else "jwt.key")


def test_even_our_own_key_signs_for_no_client(signing: Desk) -> None:
    material = signing_key(SigningKey.Use.TOKEN, algorithm=SigningKey.Algorithm.RS256)
    now = int(time.time())
    claims = {"iss": signing.client.client_id, "sub": signing.client.client_id, "aud": ISSUER, "iat": now}
    raw = jose.sign(claims | {"exp": now + 60, "jti": "x"}, key=material, typ=None)
    assert_refused(send(signing, raw), **INVALID_CLIENT, reason="jwt.key")


def test_the_token_endpoints_address_passes_until_the_day_of_the_exception(signing: Desk) -> None:
    client_id, today = signing.client.client_id, timezone.now().date()
    register(signing.client, token_endpoint_audience_until=today)
    assert send(signing, assertion(client_id, aud=TOKEN_ENDPOINT)).status_code == 200
    assert send(signing, assertion(client_id)).status_code == 200
    for aud in ([TOKEN_ENDPOINT, ISSUER], f"{ISSUER}/oauth/introspect", "https://other.example/oauth/token"):
        assert_refused(send(signing, assertion(client_id, aud=aud)), **INVALID_CLIENT, reason="jwt.audience")
    register(signing.client, token_endpoint_audience_until=today - timedelta(days=1))
    assert_refused(send(signing, assertion(client_id, aud=TOKEN_ENDPOINT)), **INVALID_CLIENT, reason="jwt.audience")


def test_a_disabled_client_is_refused_whatever_it_signs(signing: Desk) -> None:
    register(signing.client, enabled=False)
    assert_refused(send(signing, assertion(signing.client.client_id)), **INVALID_CLIENT, reason="disabled")


# --- two methods, or another than the registered one ------------------------------------------------------------------
def test_two_methods_are_refused_in_all_pairs_even_when_both_are_right(signing: Desk) -> None:
    client_id = signing.client.client_id
    ways: dict[str, dict[str, Any]] = {
        "basic": {"authorization": basic(client_id, CLIENT_SECRET)},
        "post": {"client_id": client_id, "client_secret": CLIENT_SECRET},
        "assertion": asserting(assertion(client_id)),
    }
    for one, other in itertools.combinations(ways, 2):
        response = present(signing, **(ways[one] | ways[other]))
        assert_refused(response, **INVALID_REQUEST, reason="two_methods")
    response = present(signing, **(ways["basic"] | ways["post"] | ways["assertion"]))
    assert_refused(response, **INVALID_REQUEST, reason="two_methods")


def test_half_an_assertion_beside_a_secret_is_refused(signing: Desk) -> None:
    for half in ({"client_assertion": "x"}, {"client_assertion_type": "x"}):
        response = present(signing, authorization=basic(signing.client.client_id, CLIENT_SECRET), **half)
        assert_refused(response, **INVALID_REQUEST, reason="missing")


@pytest.mark.parametrize("registered", ["client_secret_basic", "client_secret_post", "tls_client_auth"])
def test_a_client_of_another_method_does_not_sign_itself_in(signing: Desk, registered: str) -> None:
    register(signing.client, authentication=registered)
    assert_refused(send(signing, assertion(signing.client.client_id)), **INVALID_CLIENT, reason="method")


def test_a_client_that_signs_does_not_fall_back_to_a_secret(signing: Desk) -> None:
    client_id = signing.client.client_id
    response = present(signing, authorization=basic(client_id, CLIENT_SECRET))
    assert_refused(response, **INVALID_CLIENT, reason="method")
    response = present(signing, client_id=client_id, client_secret=CLIENT_SECRET)
    assert_refused(response, **INVALID_CLIENT, reason="method")
    assert_refused(present(signing, client_id=client_id), **INVALID_CLIENT, reason="no_credentials")


def test_another_client_id_beside_the_assertion_is_refused(signing: Desk) -> None:
    raw = assertion(signing.client.client_id)
    assert_refused(send(signing, raw, client_id="other"), **INVALID_CLIENT, reason="jwt.key")
    assert_refused(send(signing, raw, client_id="nobody"), **INVALID_CLIENT, reason="unknown_client")


def test_every_failure_of_a_client_looks_the_same_outside(signing: Desk) -> None:
    client_id = signing.client.client_id
    register(make_client(client_id="off"), enabled=False)
    answers = [
        send(signing, assertion(client_id, aud="https://other.example")),
        send(signing, assertion("nobody")),
        send(signing, assertion(client_id, sign=rs256(rsa_key(number=3)))),
        present(signing, authorization=basic("off", CLIENT_SECRET)),
        present(signing, authorization=basic("nobody", CLIENT_SECRET)),
        present(signing, client_id="nobody"),
    ]
    shapes = [{name: value for name, value in answer.json().items() if name != "trace_id"} for answer in answers]
    assert all(shape == shapes[0] for shape in shapes)
    told = f'error="invalid_client", error_description="{answers[0].json()["error_description"]}"'
    assert {(answer.status_code, answer["WWW-Authenticate"]) for answer in answers} == {
        (401, f'Basic realm="countersign", {told}')
    }


# --- certificates -----------------------------------------------------------------------------------------------------
@pytest.fixture
def connected(desk: Desk, settings: Any) -> Desk:
    """A client known by its certificate's subject, behind a proxy that verifies chains."""
    settings.TRUSTED_PROXIES = 1
    settings.CLIENT_CERTIFICATE_HEADER = "Client-Cert"
    settings.CLIENT_CERTIFICATE_VERIFIED_HEADER = "X-SSL-Client-Verify"
    settings.CLIENT_CERTIFICATE_PROXIES = [f"{PROXY}/32"]
    register(desk.client, authentication="tls_client_auth", tls={"subject_dn": DN})
    return desk


def connect(desk: Desk, der: bytes | str, *, peer: str = PROXY, said: str = "SUCCESS", **parameters: Any) -> Any:
    value = der if isinstance(der, str) else as_client_cert(der)
    meta = {"HTTP_CLIENT_CERT": value, "HTTP_X_SSL_CLIENT_VERIFY": said, "REMOTE_ADDR": peer}
    return present(desk, meta=meta, **({"client_id": desk.client.client_id} | parameters))


def test_a_certificate_with_the_registered_subject_passes(connected: Desk) -> None:
    assert connect(connected, make_certificate(DN)).status_code == 200


LOOK_ALIKES = {
    "another name": "CN=nightly2,OU=Integration,O=Acme,C=NO",
    "another case": "CN=Nightly,OU=Integration,O=Acme,C=NO",
    "the order turned round": "C=NO,O=Acme,OU=Integration,CN=nightly",
    "a part left out": "CN=nightly,O=Acme,C=NO",
    "a part more": "CN=nightly,OU=Integration,O=Acme,ST=Oslo,C=NO",
    "a part before": "CN=x,CN=nightly,OU=Integration,O=Acme,C=NO",
    "parts within one value": "CN=nightly\\,OU=Integration\\,O=Acme,C=NO",
    "all of it in one value": "CN=nightly\\,OU\\=Integration\\,O\\=Acme\\,C\\=NO",
    "parts joined": "CN=nightly+OU=Integration,O=Acme,C=NO",
    "a space before": "CN=\\ nightly,OU=Integration,O=Acme,C=NO",
    "a space after": "CN=nightly\\ ,OU=Integration,O=Acme,C=NO",
    "a Cyrillic letter": "CN=nіghtly,OU=Integration,O=Acme,C=NO",
    "a letter with its dot apart": "CN=ni\u0307ghtly,OU=Integration,O=Acme,C=NO",
    "another attribute with the same values": "OU=nightly,CN=Integration,O=Acme,C=NO",
    "a NUL inside": "CN=nightly\\00,OU=Integration,O=Acme,C=NO",
}


@pytest.mark.parametrize("name", list(LOOK_ALIKES))
def test_a_subject_that_looks_alike_is_another(connected: Desk, name: str) -> None:
    response = connect(connected, make_certificate(LOOK_ALIKES[name]))
    assert_refused(response, **INVALID_CLIENT, reason="name")


@pytest.mark.parametrize(
    ("tls", "names", "passes"),
    [
        ({"san_dns": "nightly.acme.example"}, {"dns": ["nightly.acme.example"]}, True),
        ({"san_dns": "nightly.acme.example"}, {"dns": ["x.example", "NIGHTLY.acme.example"]}, True),
        ({"san_dns": "nightly.acme.example"}, {"dns": ["*.acme.example"]}, False),
        ({"san_dns": "nightly.acme.example"}, {"dns": ["nightly.acme.example.evil.example"]}, False),
        ({"san_dns": "nightly.acme.example"}, {"uris": ["https://nightly.acme.example"]}, False),
        ({"san_dns": "nightly.acme.example"}, {"emails": ["x@nightly.acme.example"]}, False),
        ({"san_dns": "nightly.acme.example"}, {}, False),
        ({"san_uri": "spiffe://acme.example/nightly"}, {"uris": ["spiffe://acme.example/nightly"]}, True),
        ({"san_uri": "spiffe://acme.example/nightly"}, {"uris": ["spiffe://acme.example/Nightly"]}, False),
        ({"san_uri": "spiffe://acme.example/nightly"}, {"uris": ["spiffe://acme.example/nightly/x"]}, False),
        ({"san_ip": "2001:db8::7"}, {"addresses": ["2001:db8:0:0::7"]}, True),
        ({"san_ip": "192.0.2.7"}, {"addresses": ["::ffff:192.0.2.7"]}, False),
        ({"san_ip": "192.0.2.7"}, {"dns": ["192.0.2.7"]}, False),
        ({"san_email": "nightly@acme.example"}, {"emails": ["nightly@acme.example"]}, True),
        ({"san_email": "nightly@acme.example"}, {"emails": ["Nightly@acme.example"]}, False),
    ],
)
def test_an_alternative_name_is_compared_exactly_and_by_its_kind(
    connected: Desk, tls: dict[str, str], names: dict[str, Any], passes: bool
) -> None:
    register(connected.client, tls=tls)
    response = connect(connected, make_certificate("CN=nightly.acme.example", **names))
    if passes:
        assert response.status_code == 200
    else:
        assert_refused(response, **INVALID_CLIENT, reason="name")


@pytest.mark.parametrize("said", ["", "NONE", "FAILED:unable to verify the first certificate", "success"])
def test_a_chain_that_nobody_verified_proves_no_name(connected: Desk, said: str) -> None:
    assert_refused(connect(connected, make_certificate(DN), said=said), **INVALID_CLIENT, reason="chain")


@pytest.mark.parametrize("peer", ["192.0.2.66", "127.0.0.1", "10.0.0.3", ""])
def test_the_header_of_an_untrusted_peer_is_not_read(connected: Desk, peer: str) -> None:
    response = connect(connected, make_certificate(DN), peer=peer)
    assert_refused(response, **INVALID_CLIENT, reason="no_certificate")


def test_a_header_without_the_setting_is_not_read(connected: Desk, settings: Any) -> None:
    settings.CLIENT_CERTIFICATE_HEADER = ""
    assert_refused(connect(connected, make_certificate(DN)), **INVALID_CLIENT, reason="no_certificate")


def test_a_header_that_stands_twice_or_holds_two_is_refused(connected: Desk, settings: Any) -> None:
    honest, thief = make_certificate(DN), make_certificate("CN=thief")
    twice = f"{as_client_cert(thief)},{as_client_cert(honest)}"
    assert_refused(connect(connected, twice), **BAD_CERTIFICATE)
    settings.CLIENT_CERTIFICATE_HEADER = "X-SSL-Client-Cert"
    two = as_escaped_pem(thief) + as_escaped_pem(honest)
    meta = {"HTTP_X_SSL_CLIENT_CERT": two, "HTTP_X_SSL_CLIENT_VERIFY": "SUCCESS", "REMOTE_ADDR": PROXY}
    response = present(connected, meta=meta, client_id=connected.client.client_id)
    assert_refused(response, **BAD_CERTIFICATE)


def test_a_certificate_outside_its_dates_is_refused(connected: Desk) -> None:
    ended = make_certificate(DN, begins_at=datetime(2020, 1, 1, tzinfo=UTC), ends_at=datetime(2020, 2, 1, tzinfo=UTC))
    assert_refused(connect(connected, ended), **BAD_CERTIFICATE)
    coming = make_certificate(DN, begins_at=timezone.now() + timedelta(days=1))
    assert_refused(connect(connected, coming), **BAD_CERTIFICATE)


def test_a_certificate_on_the_connection_is_no_method_of_a_client_with_a_secret(connected: Desk) -> None:
    client_id = connected.client.client_id
    register(connected.client, authentication="client_secret_basic")
    response = connect(connected, make_certificate(DN))
    assert_refused(response, **INVALID_CLIENT, reason="no_credentials")
    response = connect(connected, make_certificate(DN), authorization=basic(client_id, CLIENT_SECRET))
    assert response.status_code == 200


def test_a_client_with_a_certificate_does_not_fall_back_to_a_secret(connected: Desk) -> None:
    client_id = connected.client.client_id
    response = connect(connected, make_certificate(DN), authorization=basic(client_id, CLIENT_SECRET))
    assert_refused(response, **INVALID_CLIENT, reason="method")
    assert_refused(present(connected, client_id=client_id), **INVALID_CLIENT, reason="no_certificate")


def test_a_certificate_without_a_client_id_names_nobody(connected: Desk) -> None:
    assert_refused(connect(connected, make_certificate(DN), client_id=None), **INVALID_CLIENT, reason="no_credentials")


@pytest.fixture
def pinned(connected: Desk) -> tuple[Desk, bytes]:
    """A client with one registered self-signed certificate."""
    der = make_certificate(DN)
    register(connected.client, authentication="self_signed_tls_client_auth", tls={}, certificates=[certificate(der)])
    return connected, der


def test_the_registered_certificate_passes_though_no_authority_knows_it(pinned: tuple[Desk, bytes]) -> None:
    desk, der = pinned
    assert connect(desk, der, said="FAILED:self-signed certificate").status_code == 200


def test_another_certificate_with_the_same_names_is_another(pinned: tuple[Desk, bytes]) -> None:
    desk, _ = pinned
    for other in (make_certificate(DN, key=ec_key(number=5)), make_certificate(DN)):
        assert_refused(connect(desk, other), **INVALID_CLIENT, reason="certificate")


def test_a_registered_key_admits_its_certificates_and_an_x5c_only_itself(pinned: tuple[Desk, bytes]) -> None:
    desk, der = pinned
    bare = public_jwk(ec_key(number=40), "t")
    register(desk.client, certificates=[], jwks={"keys": [bare]})
    assert connect(desk, make_certificate("CN=renewed")).status_code == 200
    assert_refused(connect(desk, make_certificate(DN, key=ec_key(number=5))), **INVALID_CLIENT, reason="certificate")
    register(desk.client, jwks={"keys": [bare | {"x5c": [base64.b64encode(der).decode()]}]})
    assert connect(desk, der).status_code == 200
    assert_refused(connect(desk, make_certificate("CN=renewed")), **INVALID_CLIENT, reason="certificate")


# --- workloads --------------------------------------------------------------------------------------------------------
@pytest.fixture
def platform(settings: Any) -> Any:
    settings.OUTGOING_NETWORKS = ["127.0.0.0/8"]
    settings.OUTGOING_PROXY = ""
    with running_platform() as running:
        yield running


@pytest.fixture
def working(desk: Desk, platform: FakeWorkloadIssuer) -> Desk:
    """A client for which one service account of the platform stands."""
    workload = {"issuer": platform.issuer, "subject": SUBJECT, "audience": "", "jwks_url": platform.jwks_url}
    register(desk.client, authentication="private_key_jwt", workload=workload)
    return desk


def test_a_workloads_token_passes_as_often_as_it_is_presented(working: Desk, platform: FakeWorkloadIssuer) -> None:
    raw = platform.token(audience=ISSUER)
    for parameters in ({}, {"client_id": working.client.client_id}, {}):
        assert send(working, raw, **parameters).status_code == 200
    assert platform.asked == ["/openid/v1/jwks"]


WORKLOAD_ATTACKS: dict[str, tuple[dict[str, Any], str]] = {
    "another audience": ({"audience": "https://kubernetes.default.svc"}, "jwt.audience"),
    "a second audience": ({"audience": [ISSUER, "https://kubernetes.default.svc"]}, "jwt.audience"),
    "the token endpoint": ({"audience": TOKEN_ENDPOINT}, "jwt.audience"),
    "another subject": ({"audience": ISSUER, "sub": "system:serviceaccount:erp:other"}, "subject"),
    "a longer subject": ({"audience": ISSUER, "sub": f"{SUBJECT}-2"}, "subject"),
    "the subject in another case": ({"audience": ISSUER, "sub": SUBJECT.upper()}, "subject"),
    "another issuer": ({"audience": ISSUER, "iss": "https://other.example"}, "jwt.issuer"),
    "a year of life": ({"audience": ISSUER, "exp": int(time.time()) + 365 * 86400}, "jwt.lifetime"),
    "an end that is past": (
        {"audience": ISSUER, "iat": int(time.time()) - 99, "exp": int(time.time()) - 9},
        "jwt.expired",
    ),
    "no end": ({"audience": ISSUER, "exp": ...}, "jwt.claim"),
    "another type": ({"audience": ISSUER, "header": {"typ": "at+jwt"}}, "jwt.type"),
    "another kid": ({"audience": ISSUER, "header": {"kid": "op-2"}}, "jwt.key"),
    "no signature": ({"audience": ISSUER, "header": {"alg": "none"}, "sign": unsigned}, "jwt.algorithm"),
    "another's signature": ({"audience": ISSUER, "sign": rs256(rsa_key(number=3))}, "jwt.signature"),
    "a key of its own": ({"audience": ISSUER, "header": {"jwk": "{}"}}, "jwt.header"),
}


@pytest.mark.parametrize("name", list(WORKLOAD_ATTACKS))
def test_a_workloads_token_that_is_not_ours_is_refused(working: Desk, platform: FakeWorkloadIssuer, name: str) -> None:
    changes, reason = WORKLOAD_ATTACKS[name]
    response = send(working, platform.token(**changes), client_id=working.client.client_id)
    assert_refused(response, **INVALID_CLIENT, reason=reason)


def test_without_a_client_id_only_the_registered_workload_finds_its_client(
    working: Desk, platform: FakeWorkloadIssuer
) -> None:
    for changes in ({"sub": "system:serviceaccount:erp:other"}, {"iss": "https://other.example"}):
        response = send(working, platform.token(audience=ISSUER, **changes))
        assert_refused(response, **INVALID_CLIENT, reason="unknown_client")
    assert platform.asked == []


def test_a_workload_of_two_clients_names_the_one_it_means(working: Desk, platform: FakeWorkloadIssuer) -> None:
    register(make_client(client_id="twin"), authentication="private_key_jwt", workload=working.client.workload)
    raw = platform.token(audience=ISSUER)
    assert_refused(send(working, raw), **INVALID_CLIENT, reason="ambiguous")
    assert send(working, raw, client_id=working.client.client_id).status_code == 200


def test_a_platform_of_the_same_key_id_signs_for_its_own_workloads_only(
    working: Desk, platform: FakeWorkloadIssuer
) -> None:
    with running_platform(key_number=9) as other:
        raw = other.token(audience=ISSUER, iss=platform.issuer)
        response = send(working, raw, client_id=working.client.client_id)
        assert_refused(response, **INVALID_CLIENT, reason="jwt.signature")


def test_a_long_life_needs_a_dated_exception_and_has_a_limit(working: Desk, platform: FakeWorkloadIssuer) -> None:
    today, now = timezone.now().date(), int(time.time())
    day_long = platform.token(audience=ISSUER, exp=now + 24 * 3600)
    assert_refused(send(working, day_long), **INVALID_CLIENT, reason="jwt.lifetime")
    register(working.client, workload=working.client.workload | {"long_lived_until": today.isoformat()})
    assert send(working, day_long).status_code == 200
    longer = platform.token(audience=ISSUER, exp=now + 25 * 3600)
    assert_refused(send(working, longer), **INVALID_CLIENT, reason="jwt.lifetime")
    yesterday = (today - timedelta(days=1)).isoformat()
    register(working.client, workload=working.client.workload | {"long_lived_until": yesterday})
    assert_refused(send(working, day_long), **INVALID_CLIENT, reason="jwt.lifetime")


def test_an_audience_of_its_own_is_the_only_one_then(working: Desk, platform: FakeWorkloadIssuer) -> None:
    register(working.client, workload=working.client.workload | {"audience": "api://countersign"})
    assert send(working, platform.token(audience="api://countersign")).status_code == 200
    assert_refused(send(working, platform.token(audience=ISSUER)), **INVALID_CLIENT, reason="jwt.audience")


def test_keys_that_cannot_be_fetched_prove_nothing(working: Desk, platform: FakeWorkloadIssuer) -> None:
    platform.raw["/openid/v1/jwks"] = (
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nConnection: close\r\n\r\n"
    )
    assert_refused(send(working, platform.token(audience=ISSUER)), **INVALID_CLIENT, reason="outgoing.refused")


def test_an_issuer_that_leads_elsewhere_is_not_registered(settings: Any, platform: FakeWorkloadIssuer) -> None:
    redirect = f"HTTP/1.1 302 Found\r\nLocation: {platform.issuer}/.well-known/openid-configuration\r\n"
    answer = saying(f"{redirect}Content-Length: 0\r\nConnection: close\r\n\r\n".encode())
    with serving(answer) as server, pytest.raises(BadValue, match="cannot be fetched"):
        discover_keys(f"http://localhost:{server.port}")
    assert platform.asked == []
    settings.OUTGOING_NETWORKS = []
    with pytest.raises(BadValue, match="cannot be fetched"):
        discover_keys(platform.issuer)
    assert platform.asked == []


@pytest.mark.parametrize(
    "document",
    [
        {"issuer": "https://other.example"},
        {"issuer": ...},
        {"jwks_uri": ...},
        {"jwks_uri": 1},
        {"jwks_uri": "http://keys.example/jwks"},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": "https://a:b@keys.example/jwks"},
    ],
)
def test_a_document_of_another_or_without_keys_is_not_registered(
    platform: FakeWorkloadIssuer, document: dict[str, Any]
) -> None:
    platform.document = document
    with pytest.raises(BadValue):
        discover_keys(platform.issuer)


def test_a_document_that_is_none_is_not_registered(platform: FakeWorkloadIssuer) -> None:
    for body in ("", "[]", "[" * 100_000, "null", '"x"'):
        platform.raw["/.well-known/openid-configuration"] = http(body)
        with pytest.raises(BadValue):
            discover_keys(platform.issuer)
