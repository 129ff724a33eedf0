"""What a login costs in things that can be counted: no PEM, no file, no process, each certificate parsed once."""

import sys
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from federation.saml.certificates import verification_key
from federation.saml.messages import build_authn_request, post_form, redirect_url
from tests.federation.saml.desk import Desk
from tests.federation.saml.test_signing import KEY

WATCHED = ("open", "os.fork", "os.posix_spawn", "subprocess.Popen", "tempfile.mkstemp", "os.mkdir", "socket.connect")
_seen: Counter[str] = Counter()
_watching = False


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if _watching and event in WATCHED:
        _seen[event] += 1


sys.addaudithook(_watch)  # cannot be taken away again; it counts only while a test asks for it


@pytest.fixture
def counted() -> Any:
    global _watching
    _seen.clear()
    _watching = True
    yield _seen
    _watching = False


def login(desk: Desk, raw: bytes) -> None:
    request = build_authn_request(
        request_id="_1",
        issuer="i",
        destination="https://d",
        acs_url="https://a",
        issued_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    redirect_url("https://d", request, signer=KEY)
    post_form(request, signer=KEY)
    desk.verify(raw)


@pytest.mark.parametrize("encrypt", [None, "gcm"])
def test_login_opens_no_file_and_starts_no_process(counted: Counter[str], encrypt: str | None) -> None:
    desk = Desk()
    raw = desk.respond(sign="both", encrypt=encrypt)
    login(desk, raw)
    counted.clear()
    login(desk, raw)
    assert counted == Counter()


def test_login_parses_no_pem_and_each_certificate_once(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk()
    raw = desk.respond(sign="both")
    verification_key.cache_clear()
    calls: Counter[str] = Counter()

    def counting(name: str, function: Any) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            calls[name] += 1
            return function(*arguments, **options)

        return call

    for module, name in (
        (x509, "load_der_x509_certificate"),
        (x509, "load_pem_x509_certificate"),
        (serialization, "load_pem_private_key"),
        (serialization, "load_pem_public_key"),
        (serialization, "load_der_private_key"),
    ):
        monkeypatch.setattr(module, name, counting(name, getattr(module, name)))
    for _ in range(3):
        login(desk, raw)
    assert calls == {"load_der_x509_certificate": 1}
