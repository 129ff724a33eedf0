"""Resource servers that are not ours take our tokens, and refuse those that are not for them."""

import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from tests.peers.broker import BASE_URL, ROOT, Broker
from tests.peers.processes import START_SECONDS, outer_environment
from tests.peers.token_parties import ORDERS, STOCK, AuthlibClient, OpenIDClient


def call(url: str, token: str, *, method: str = "GET") -> httpx2.Response:
    """A call with a bearer token, by nobody's library."""
    with httpx2.Client(trust_env=False, timeout=30) as http:
        return http.request(method, url, headers={"Authorization": f"Bearer {token}"})


def ask_jose(npm: OpenIDClient) -> dict[str, Any]:
    """What jose's verifier says of a new token: its `claims` and `kid`, and the kids that are `kept`."""
    answer = call(f"{STOCK}/jose", npm.ask("npm-basic").token)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def until(ask: Callable[[], dict[str, Any]], is_reached: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Ask again until it is reached: processes and verifiers keep keys for a while."""
    deadline = time.monotonic() + START_SECONDS
    while not is_reached(told := ask()):
        assert time.monotonic() < deadline, told
        time.sleep(0.5)
    return told


# --- Authlib's ResourceProtector: it asks, or it verifies ------------------------------------------------------------
@pytest.mark.parametrize("url", [ORDERS, f"{ORDERS}/verified"], ids=["asks", "verifies"])
def test_authlib_takes_a_token_for_what_its_scope_allows(
    url: str, authlib_resource: str, authlib: AuthlibClient
) -> None:
    reader = authlib.ask("authlib-post").token
    writer = authlib.ask("authlib-basic", scope="orders.read orders.write").token
    read = call(url, reader)
    assert (read.status_code, read.json()["client_id"]) == (200, "authlib-post")
    assert call(url, reader, method="POST").status_code == 403
    assert call(url, writer, method="POST").status_code == 200


@pytest.mark.parametrize("url", [ORDERS, f"{ORDERS}/verified"], ids=["asks", "verifies"])
def test_authlib_refuses_a_token_for_another_audience(
    url: str, authlib_resource: str, authlib: AuthlibClient, npm: OpenIDClient
) -> None:
    assert call(url, npm.ask("npm-basic").token).status_code == 401
    assert call(url, authlib.ask("authlib-basic").token[:-8] + "AAAAAAAA").status_code == 401


def test_authlib_refuses_what_was_revoked_since(authlib_resource: str, authlib: AuthlibClient) -> None:
    token = authlib.ask("authlib-basic").token
    assert call(ORDERS, token).status_code == 200
    authlib.use("authlib-basic", "revoke_token", token=token)
    assert call(ORDERS, token).status_code == 401


# --- express-oauth2-jwt-bearer and jose ------------------------------------------------------------------------------
@pytest.mark.parametrize("url", [STOCK, f"{STOCK}/jose"], ids=["express-oauth2-jwt-bearer", "jose"])
def test_npm_s_verifiers_take_a_token_and_refuse_another_audience(
    url: str, npm_resource: str, npm: OpenIDClient
) -> None:
    told = call(url, npm.ask("npm-basic").token)
    assert (told.status_code, told.json()["claims"]["iss"]) == (200, BASE_URL)
    elsewhere = npm.ask("npm-basic", scope="orders.read", resource=ORDERS).token
    assert call(url, elsewhere).status_code == 401


def test_a_scope_that_was_not_granted_opens_nothing(npm_resource: str, npm: OpenIDClient) -> None:
    assert call(f"{STOCK}/changes", npm.ask("npm-basic").token).status_code == 403


def test_a_bound_token_is_taken_with_a_proof_by_its_key(npm_resource: str, npm: OpenIDClient) -> None:
    token = npm.ask("npm-bound", dpop="first").token
    told = npm.fetch(token, dpop="first").answer
    assert (told["status"], told["body"]["claims"]["client_id"]) == (200, "npm-bound")


@pytest.mark.parametrize("scheme", ["Bearer", "DPoP"])
def test_a_bound_token_without_a_proof_is_refused(scheme: str, npm_resource: str, npm: OpenIDClient) -> None:
    token = npm.ask("npm-bound", dpop="first").token
    assert npm.fetch(token, scheme=scheme).answer["status"] in {400, 401}


def test_a_bound_token_with_another_s_proof_is_refused(npm_resource: str, npm: OpenIDClient) -> None:
    token = npm.ask("npm-bound", dpop="first").token
    npm.ask("npm-bound", dpop="thief")
    refused = npm.fetch(token, dpop="thief")
    assert refused.problem is not None or refused.answer["status"] in {400, 401}, refused.whole


def test_an_exchanged_token_tells_the_api_who_acts(
    npm_resource: str, authlib: AuthlibClient, npm: OpenIDClient
) -> None:
    token = authlib.exchange("orders-api", authlib.ask("authlib-basic").token).token
    claims = call(STOCK, token).json()["claims"]
    assert (claims["sub"], claims["client_id"], claims["act"]["sub"]) == ("authlib-basic", "orders-api", "orders-api")


def test_a_verifier_that_keeps_our_keys_follows_a_rotation(
    broker: Broker, npm_resource: str, npm: OpenIDClient
) -> None:
    old = npm.ask("npm-basic").token
    first = call(f"{STOCK}/jose", old).json()
    before = first["kid"]
    broker.manage("rotate_keys", "--announce", "token/RS256")
    meanwhile = until(lambda: ask_jose(npm), lambda told: len(told["kept"]) > len(first["kept"]))
    assert meanwhile["kid"] == before, "the successor signs before it was published for a day"
    in_a_day = subprocess.run(
        ["faketime", "-f", "+25h", sys.executable, "manage.py", "rotate_keys"],
        cwd=ROOT,
        env=outer_environment() | broker.environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "activated" in in_a_day.stdout, in_a_day.stdout + in_a_day.stderr
    renewed = until(lambda: ask_jose(npm), lambda told: told["kid"] != before)
    assert renewed["kid"] in set(meanwhile["kept"]) - set(first["kept"])
    assert call(f"{STOCK}/jose", old).json()["kid"] == before
    assert call(STOCK, npm.ask("npm-basic").token).status_code == 200
