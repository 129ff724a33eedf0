"""A client's certificate: believed from named proxies only, one only, within its dates."""

import base64
import hashlib
import ipaddress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.test import RequestFactory
from pytest_django import Settings

from broker import limits
from broker.client_certificate import ClientCertificate, read_client_certificate
from broker.errors import BrokerError
from tests.fakes.certificates import SUBJECT, as_client_cert, as_escaped_pem, make_certificate, pem
from tests.fakes.tokens import ec_key

PROXY = "10.0.0.2"


@pytest.fixture
def behind_proxy(settings: Settings) -> Settings:
    settings.TRUSTED_PROXIES = 1
    settings.CLIENT_CERTIFICATE_HEADER = "Client-Cert"
    settings.CLIENT_CERTIFICATE_VERIFIED_HEADER = "X-SSL-Client-Verify"
    settings.CLIENT_CERTIFICATE_PROXIES = ["10.0.0.0/24", "::1/128"]
    return settings


def read(value: str, *, name: str = "HTTP_CLIENT_CERT", peer: str = PROXY, **meta: Any) -> ClientCertificate | None:
    return read_client_certificate(RequestFactory().post("/oauth/token", REMOTE_ADDR=peer, **{name: value}, **meta))


def refusal(value: str, **options: Any) -> BrokerError:
    with pytest.raises(BrokerError) as refused:
        read(value, **options)
    assert refused.value.code == "request.client_certificate"
    return refused.value


def test_a_named_proxys_certificate_is_taken_apart(behind_proxy: Settings) -> None:
    ends_at = datetime(2100, 1, 1, tzinfo=UTC)
    der = make_certificate(
        dns=["Nightly.Acme.Example"],
        uris=["spiffe://acme.example/nightly"],
        addresses=["192.0.2.7", "2001:db8::7"],
        emails=["nightly@acme.example"],
        ends_at=ends_at,
    )
    found = read(as_client_cert(der), HTTP_X_SSL_CLIENT_VERIFY="SUCCESS")
    assert found is not None
    digest = hashlib.sha256(der).digest()
    key = ec_key(number=40).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert found == ClientCertificate(
        der=der,
        thumbprint=base64.urlsafe_b64encode(digest).decode().rstrip("="),
        key_thumbprint=base64.urlsafe_b64encode(hashlib.sha256(key).digest()).decode().rstrip("="),
        subject=x509.Name.from_rfc4514_string(SUBJECT),
        dns_names=("nightly.acme.example",),
        uris=("spiffe://acme.example/nightly",),
        addresses=(ipaddress.ip_address("192.0.2.7"), ipaddress.ip_address("2001:db8::7")),
        emails=("nightly@acme.example",),
        begins_at=found.begins_at,
        ends_at=ends_at,
        chain_verified=True,
    )
    assert str(der) not in repr(found)


def test_nginx_passes_it_on_as_escaped_pem(behind_proxy: Settings) -> None:
    behind_proxy.CLIENT_CERTIFICATE_HEADER = "X-SSL-Client-Cert"
    der = make_certificate()
    found = read(as_escaped_pem(der), name="HTTP_X_SSL_CLIENT_CERT")
    assert found is not None
    assert found.der == der


def test_a_server_that_ends_tls_itself_puts_it_into_the_environ(settings: Settings) -> None:
    settings.CLIENT_CERTIFICATE_HEADER = "wsgi"
    der = make_certificate()
    found = read(pem(der), name="SSL_CLIENT_CERT", SSL_CLIENT_VERIFY="SUCCESS")
    assert found is not None
    assert found.der == der
    assert found.chain_verified
    assert read(as_client_cert(der)) is None


@pytest.mark.parametrize("said", ["", "NONE", "FAILED:self-signed certificate", "success", "GENEROUS"])
def test_a_chain_is_verified_only_when_the_proxy_says_so(behind_proxy: Settings, said: str) -> None:
    found = read(as_client_cert(make_certificate()), HTTP_X_SSL_CLIENT_VERIFY=said)
    assert found is not None
    assert not found.chain_verified


def test_without_a_header_for_it_no_chain_is_verified(behind_proxy: Settings) -> None:
    behind_proxy.CLIENT_CERTIFICATE_VERIFIED_HEADER = ""
    found = read(as_client_cert(make_certificate()), HTTP_X_SSL_CLIENT_VERIFY="SUCCESS", HTTP_="SUCCESS")
    assert found is not None
    assert not found.chain_verified


@pytest.mark.parametrize("peer", ["10.0.1.2", "192.0.2.1", "127.0.0.1", "", "unix:", "10.0.0.2.evil"])
def test_the_word_of_another_peer_counts_for_nothing(behind_proxy: Settings, peer: str) -> None:
    assert read(as_client_cert(make_certificate()), peer=peer, HTTP_X_FORWARDED_FOR=PROXY) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"TRUSTED_PROXIES": 0},
        {"CLIENT_CERTIFICATE_HEADER": ""},
        {"CLIENT_CERTIFICATE_HEADER": "X-Other"},
        {"CLIENT_CERTIFICATE_PROXIES": []},
        {"CLIENT_CERTIFICATE_HEADER": "wsgi"},
    ],
)
def test_a_header_that_no_setting_asks_for_counts_for_nothing(behind_proxy: Settings, changes: dict[str, Any]) -> None:
    for name, value in changes.items():
        setattr(behind_proxy, name, value)
    assert read(as_client_cert(make_certificate())) is None


def test_a_caller_without_a_certificate_has_none(behind_proxy: Settings) -> None:
    assert read("") is None


@pytest.mark.parametrize(
    "value",
    [
        "x",
        "::",
        ":####:",
        ":aGVsbG8=:",
        ":aGVsbG8",
        "aGVsbG8=",
        ":aGVsbG8=:;a=1",
        ":a:",
    ],
)
def test_what_is_no_certificate_is_refused(behind_proxy: Settings, value: str) -> None:
    refusal(value)


def test_a_header_that_stands_twice_is_refused(behind_proxy: Settings) -> None:
    one, other = make_certificate(), make_certificate("CN=other")
    refusal(f"{as_client_cert(one)},{as_client_cert(other)}")
    refusal(f"{as_client_cert(one)}, {as_client_cert(one)}")


def test_bytes_after_the_certificate_are_refused(behind_proxy: Settings) -> None:
    refusal(as_client_cert(make_certificate() + b"\x00"))
    refusal(as_client_cert(make_certificate() * 2))


@pytest.mark.parametrize("between", ["", "%0A", "%2C", "%20text%20"])
def test_two_certificates_in_pem_are_refused(behind_proxy: Settings, between: str) -> None:
    behind_proxy.CLIENT_CERTIFICATE_HEADER = "X-SSL-Client-Cert"
    value = as_escaped_pem(make_certificate()) + between + as_escaped_pem(make_certificate("CN=other"))
    refusal(value, name="HTTP_X_SSL_CLIENT_CERT")


def test_a_key_in_pem_is_no_certificate(behind_proxy: Settings) -> None:
    behind_proxy.CLIENT_CERTIFICATE_HEADER = "X-SSL-Client-Cert"
    value = as_escaped_pem(make_certificate()).replace("CERTIFICATE", "PUBLIC%20KEY")
    refusal(value, name="HTTP_X_SSL_CLIENT_CERT")


def test_a_certificate_that_is_too_large_is_refused(behind_proxy: Settings) -> None:
    small = make_certificate(padding=limits.CLIENT_CERTIFICATE_BYTES - 800)
    assert read(as_client_cert(small)) is not None
    refusal(as_client_cert(make_certificate(padding=limits.CLIENT_CERTIFICATE_BYTES)))
    refusal(":" + "A" * limits.CLIENT_CERTIFICATE_HEADER_CHARS + ":")


def test_a_certificate_serves_between_its_dates_only(behind_proxy: Settings) -> None:
    begins_at, ends_at = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)
    value = as_client_cert(make_certificate(begins_at=begins_at, ends_at=ends_at))
    for moment in (begins_at, ends_at):
        with time_machine.travel(moment, tick=False):
            assert read(value) is not None
    for moment in (begins_at - timedelta(seconds=1), ends_at + timedelta(seconds=1)):
        with time_machine.travel(moment, tick=False):
            refusal(value)
