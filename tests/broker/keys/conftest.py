"""An expectation, claims that meet it, and keys that the suite makes once."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from broker import limits
from broker.keys import jose
from broker.keys.ring import ring
from broker.keys.values import Expectation
from tests.fakes.made_keys import make_keys_once
from tests.fakes.tokens import ec_key, rsa_key

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ISSUER = "https://sso.example"
AUDIENCE = "https://api.example"


@pytest.fixture(autouse=True)
def _keys_are_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    make_keys_once(monkeypatch)


@pytest.fixture(autouse=True)
def _fresh_ring() -> Iterator[None]:
    ring.forget()
    yield
    ring.forget()


@pytest.fixture
def expectation() -> Callable[..., Expectation]:
    """`expectation(issuer=…)`: what our own access token must be, with changes."""
    expected = Expectation(
        keys=(
            jose.verification_key(rsa_key().public_key(), kid="rsa", algorithm="RS256", use="sig"),
            jose.verification_key(ec_key().public_key(), kid="ec", algorithm="ES256", use="sig"),
            jose.verification_key(rsa_key(number=1).public_key(), kid="sealing", algorithm="RS256", use="enc"),
        ),
        types=frozenset({"at+jwt"}),
        max_bytes=limits.JWT_BEARER_BYTES,
        issuer=ISSUER,
        audience=frozenset({AUDIENCE}),
        greatest_age=timedelta(minutes=10),
        greatest_lifetime=timedelta(minutes=10),
        skew=timedelta(seconds=5),
        after_expiry=timedelta(0),
        required=frozenset({"sub", "client_id", "jti"}),
        now=NOW,
    )
    return lambda **changes: replace(expected, **changes)


@pytest.fixture
def claims() -> Callable[..., dict[str, Any]]:
    """`claims(exp=…, sub=None)`: claims that meet the expectation, with changes; `...` removes one."""

    def make(**changes: Any) -> dict[str, Any]:
        now = int(NOW.timestamp())
        made = {
            "iss": ISSUER,
            "sub": "8b2e",
            "aud": AUDIENCE,
            "iat": now - 60,
            "exp": now + 300,
            "jti": "t1",
            "client_id": "crm",
        } | changes
        return {name: value for name, value in made.items() if value is not ...}

    return make
