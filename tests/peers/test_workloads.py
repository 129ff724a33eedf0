"""A job in a cluster has no secret: the token that its platform gave it is its proof."""

import time
from typing import Any

import httpx2
import pytest

from tests.fakes.fake_workload_issuer import FakeWorkloadIssuer
from tests.fakes.tokens import rs256, rsa_key
from tests.peers.broker import BASE_URL, Broker
from tests.peers.token_parties import STOCK, OpenIDClient

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def ask(token: str) -> httpx2.Response:
    form = {
        "grant_type": "client_credentials",
        "resource": STOCK,
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": token,
    }
    with httpx2.Client(trust_env=False, timeout=30) as http:
        return http.post(f"{BASE_URL}/oauth/token", data=form)


def test_a_workload_obtains_a_token_as_often_as_it_needs(
    platform: FakeWorkloadIssuer, npm_resource: str, npm: OpenIDClient
) -> None:
    projected = platform.token(audience=BASE_URL)
    for _ in range(2):
        answer = ask(projected)
        assert answer.status_code == 200, answer.text
        told = npm.fetch(answer.json()["access_token"], scheme="Bearer").answer
        assert told["body"]["claims"]["client_id"] == "cluster-job"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"audience": "https://kubernetes.default.svc"}, "jwt.audience"),
        ({"audience": [BASE_URL, "https://kubernetes.default.svc"]}, "jwt.audience"),
        ({"sub": "system:serviceaccount:erp:daily-export"}, "unknown_client"),
        ({"iss": "http://127.0.19.27:18100"}, "unknown_client"),
        ({"exp": int(time.time()) - 1}, "jwt.expired"),
        ({"sign": rs256(rsa_key(number=9))}, "jwt.signature"),
    ],
    ids=["audience", "one-more-audience", "workload", "issuer", "expired", "key"],
)
def test_any_other_token_of_a_platform_is_refused(
    changes: dict[str, Any], reason: str, broker: Broker, platform: FakeWorkloadIssuer
) -> None:
    answer = ask(platform.token(**{"audience": BASE_URL} | changes))
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert broker.reason(answer.headers["Countersign-Trace"]) == reason
