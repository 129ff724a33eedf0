"""DPoP (RFC 9449) through HTTP: tokens bound to a key are given and taken with that key alone."""

from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from django.conf import settings
from django.test import Client as Http
from django.utils import timezone

from broker.keys.ring import ring
from broker.registry.cache import raise_version
from broker.registry.models import Client
from broker.tokens.models import Grant
from tests.broker.tokens.desk import Desk, basic, post_form
from tests.broker.tokens.refusals import assert_refused
from tests.factories import CLIENT_SECRET, make_flow, make_resource, make_service
from tests.fakes.prover import Prover
from tests.flows.stage import unverified_claims

pytestmark = pytest.mark.django_db
TOKEN_ADDRESS = f"{settings.BROKER_BASE_URL}/oauth/token"
USERINFO_ADDRESS = f"{settings.BROKER_BASE_URL}/oauth/userinfo"


@pytest.fixture
def prover() -> Prover:
    return Prover()


@pytest.fixture
def service(db: None):
    client = make_service()
    make_flow(client, make_resource())
    Desk()
    yield client
    ring.forget()


def ask(client: Client, proof: str, **changes: Any) -> Any:
    fields = {"grant_type": "client_credentials"} | changes
    headers = {"authorization": basic(client.client_id, CLIENT_SECRET)} | ({"dpop": proof} if proof else {})
    return post_form("/oauth/token", fields, **headers)


def with_nonce(client: Client, prover: Prover) -> None:
    """Let the prover learn the nonce, as honest clients do."""
    prover.nonce = ask(client, prover.proof("POST", TOKEN_ADDRESS))["DPoP-Nonce"]


def test_the_first_proof_is_sent_away_for_a_nonce_and_the_second_brings_a_bound_token(service, prover):
    first = ask(service, prover.proof("POST", TOKEN_ADDRESS))
    assert_refused(first, error="use_dpop_nonce", code="oauth.dpop_nonce", reason="nonce")
    prover.nonce = first["DPoP-Nonce"]
    response = ask(service, prover.proof("POST", TOKEN_ADDRESS))
    body = response.json()
    assert body["token_type"] == "DPoP"
    assert unverified_claims(body["access_token"])["cnf"] == {"jkt": prover.thumbprint}
    assert response["DPoP-Nonce"]


def test_an_rsa_key_works_too(service):
    prover = Prover(rsa.generate_private_key(65537, 2048))
    with_nonce(service, prover)
    body = ask(service, prover.proof("POST", TOKEN_ADDRESS)).json()
    assert unverified_claims(body["access_token"])["cnf"] == {"jkt": prover.thumbprint}


def test_a_client_that_shows_no_key_gets_a_bearer_token(service):
    body = ask(service, "").json()
    assert body["token_type"] == "Bearer"
    assert "cnf" not in unverified_claims(body["access_token"])


def test_a_client_that_has_to_show_a_key_gets_nothing_without(service, prover):
    Client.objects.filter(pk=service.pk).update(dpop_bound_access_tokens=True)
    raise_version()
    assert_refused(ask(service, ""), error="invalid_dpop_proof", code="oauth.dpop_proof", reason="absent")
    with_nonce(service, prover)
    assert ask(service, prover.proof("POST", TOKEN_ADDRESS)).status_code == 200


def test_a_nonce_is_good_in_its_window_and_the_next(service, prover, time_machine):
    start = timezone.now().replace(second=1, microsecond=0)
    start -= timedelta(minutes=start.minute % 5)
    time_machine.move_to(start, tick=False)
    with_nonce(service, prover)
    time_machine.move_to(start + timedelta(minutes=9), tick=False)
    assert ask(service, prover.proof("POST", TOKEN_ADDRESS)).status_code == 200
    time_machine.move_to(start + timedelta(minutes=10), tick=False)
    response = ask(service, prover.proof("POST", TOKEN_ADDRESS))
    assert_refused(response, error="use_dpop_nonce", code="oauth.dpop_nonce", reason="nonce")


@pytest.mark.parametrize(
    "address",
    [TOKEN_ADDRESS.upper().replace("/OAUTH/TOKEN", "/oauth/token"), f"{TOKEN_ADDRESS}?a=b", f"{TOKEN_ADDRESS}#part"],
)
def test_an_address_may_be_spelled_in_equal_ways(service, prover, address):
    with_nonce(service, prover)
    assert ask(service, prover.proof("POST", address)).status_code == 200


class SignOn:
    """A person's token, bound to a key."""

    def __init__(self, desk: Desk, prover: Prover, *, scopes: tuple[str, ...] = ("openid", "email")) -> None:
        self.desk, self.prover = desk, prover
        with_nonce(desk.client, prover)
        self.response = self.send(desk.redemption(desk.code(scopes=scopes)))

    def send(self, fields: dict[str, Any], *, prover: Prover | None = None) -> Any:
        headers = {"authorization": self.desk.authorization}
        if prover is None:
            prover = self.prover
        headers["dpop"] = prover.proof("POST", TOKEN_ADDRESS)
        return post_form("/oauth/token", fields, **headers)

    @property
    def token(self) -> str:
        return str(self.response.json()["access_token"])

    def userinfo(self, *, scheme: str = "DPoP", proof: str | None = None, method: str = "GET") -> Any:
        if proof is None:
            proof = self.prover.proof(method, USERINFO_ADDRESS, access_token=self.token)
        headers = {"authorization": f"{scheme} {self.token}"} | ({"dpop": proof} if proof else {})
        return Http(raise_request_exception=False).generic(method, "/oauth/userinfo", headers=headers)


def test_userinfo_answers_who_shows_the_key(desk, prover):
    bound = SignOn(desk, prover)
    response = bound.userinfo()
    assert response.status_code == 200, response.content
    assert response.json()["sub"] == str(desk.person.pk)
    assert response["DPoP-Nonce"]


def test_a_bound_token_is_worth_nothing_as_a_bearer_token(desk, prover):
    bound = SignOn(desk, prover)
    for proof in ("", None):
        response = bound.userinfo(scheme="Bearer", proof=proof)
        assert_refused(response, error="invalid_token", code="oauth.invalid_token", status=401, reason="scheme")


def test_a_bearer_token_does_not_come_by_the_scheme_of_a_bound_one(desk, prover):
    token = desk.tokens()["access_token"]
    with_nonce(desk.client, prover)
    proof = prover.proof("GET", USERINFO_ADDRESS, access_token=token)
    response = Http().get("/oauth/userinfo", headers={"authorization": f"DPoP {token}", "dpop": proof})
    assert_refused(response, error="invalid_token", code="oauth.invalid_token", status=401, reason="scheme")


def test_a_stolen_token_is_worth_nothing_with_another_key(desk, prover):
    bound = SignOn(desk, prover)
    thief = Prover()
    thief.nonce = prover.nonce
    response = bound.userinfo(proof=thief.proof("GET", USERINFO_ADDRESS, access_token=bound.token))
    assert_refused(response, error="invalid_dpop_proof", code="oauth.dpop_proof", status=401, reason="key")
    assert response["WWW-Authenticate"].startswith('DPoP realm="countersign", algs="ES256 RS256"')


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"ath": None}, "token"),
        ({"ath": "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"}, "token"),
        ({"htm": "POST"}, "method"),
        ({"htu": TOKEN_ADDRESS}, "address"),
    ],
)
def test_a_proof_for_another_request_shows_nothing_at_userinfo(desk, prover, changes, reason):
    bound = SignOn(desk, prover)
    proof = prover.proof("GET", USERINFO_ADDRESS, access_token=bound.token, **changes)
    response = bound.userinfo(proof=proof)
    assert_refused(response, error="invalid_dpop_proof", code="oauth.dpop_proof", status=401, reason=reason)


def test_userinfo_asks_for_its_nonce(desk, prover):
    bound = SignOn(desk, prover)
    response = bound.userinfo(proof=prover.proof("GET", USERINFO_ADDRESS, access_token=bound.token, nonce=None))
    assert_refused(response, error="use_dpop_nonce", code="oauth.dpop_nonce", status=401, reason="nonce")
    assert 'error="use_dpop_nonce"' in response["WWW-Authenticate"]
    assert response["DPoP-Nonce"]


def test_a_refresh_stays_bound_and_its_key_may_change(desk, prover):
    bound = SignOn(desk, prover, scopes=("openid", "offline_access"))
    assert Grant.objects.get().confirmation == {"jkt": prover.thumbprint}
    successor = Prover()
    successor.nonce = prover.nonce
    fields = {"grant_type": "refresh_token", "refresh_token": bound.response.json()["refresh_token"]}
    response = bound.send(fields, prover=successor)
    assert unverified_claims(response.json()["access_token"])["cnf"] == {"jkt": successor.thumbprint}


def test_a_refresh_of_a_bound_grant_never_gives_a_bearer_token(desk, prover):
    bound = SignOn(desk, prover, scopes=("openid", "offline_access"))
    response = desk.refresh(bound.response.json()["refresh_token"])
    assert_refused(response, reason="binding")
    fields = {"grant_type": "refresh_token", "refresh_token": bound.response.json()["refresh_token"]}
    assert bound.send(fields).status_code == 200, "the refused request has used nothing up"
