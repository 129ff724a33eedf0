"""Pushed authorization requests (RFC 9126) through HTTP."""

from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from django.conf import settings
from django.test import Client as Http
from django.utils import timezone

from broker.registry.cache import raise_version
from broker.registry.models import Client
from broker.tokens.models import PushedRequest
from broker.tokens.pushed_requests import forget_pushed
from tests.broker.tokens.desk import REDIRECT_URI, basic, post_form
from tests.broker.tokens.refusals import assert_refused
from tests.factories import CLIENT_SECRET, make_client
from tests.fakes.prover import Prover

pytestmark = pytest.mark.django_db
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
PAR_ADDRESS = f"{settings.BROKER_BASE_URL}/oauth/par"


def request_of(**changes: Any) -> dict[str, Any]:
    fields = {
        "response_type": "code",
        "redirect_uri": REDIRECT_URI,
        "scope": "openid email",
        "state": "the-state",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        "login_hint": "alice@acme.example",
    } | changes
    return {name: value for name, value in fields.items() if value is not None}


def push(desk: Any, fields: dict[str, Any] | None = None, **headers: str) -> Any:
    headers = {"authorization": desk.authorization} | headers
    return post_form("/oauth/par", request_of() if fields is None else fields, **headers)


def bring(client_id: str, request_uri: str, **more: str) -> Any:
    query = urlencode({"client_id": client_id, "request_uri": request_uri} | more)
    return Http(raise_request_exception=False).get(f"/oauth/authorize?{query}")


def is_under_way(response: Any) -> bool:
    """The broker went on to the sign-on: to an identity provider, or to a page that asks for one."""
    return response.status_code in (200, 302, 303) and "error=" not in response.get("Location", "")


def test_a_pushed_request_is_brought_by_its_reference(desk):
    response = push(desk)
    body = response.json()
    assert response.status_code == 201
    assert response["Cache-Control"] == "no-store"
    assert body["expires_in"] == 90
    assert body["request_uri"].startswith("urn:ietf:params:oauth:request_uri:")
    assert is_under_way(bring(desk.client.client_id, body["request_uri"]))


def test_what_stands_beside_the_reference_counts_for_nothing(desk):
    reference = push(desk, request_of(prompt="none")).json()["request_uri"]
    answer = bring(desk.client.client_id, reference, redirect_uri="https://evil.example/", prompt="login", state="x")
    sent_to = urlsplit(answer["Location"])
    assert f"{sent_to.scheme}://{sent_to.netloc}{sent_to.path}" == REDIRECT_URI
    parameters = parse_qs(sent_to.query)
    assert parameters["error"] == ["login_required"]
    assert parameters["state"] == ["the-state"]


def test_a_reference_works_once(desk):
    reference = push(desk).json()["request_uri"]
    assert is_under_way(bring(desk.client.client_id, reference))
    second = bring(desk.client.client_id, reference)
    assert second.status_code == 400
    assert b"oauth.request_uri" in second.content


def test_a_reference_ends(desk, time_machine):
    reference = push(desk).json()["request_uri"]
    time_machine.move_to(timezone.now() + timedelta(seconds=90), tick=False)
    assert b"oauth.request_uri" in bring(desk.client.client_id, reference).content


def test_a_reference_is_its_own_client_s_and_stays_good_for_it(desk):
    reference = push(desk).json()["request_uri"]
    assert b"oauth.request_uri" in bring(make_client().client_id, reference).content
    assert b"oauth.request_uri" in bring("nobody", reference).content
    assert is_under_way(bring(desk.client.client_id, reference))


@pytest.mark.parametrize("name", ["urn:ietf:params:oauth:request_uri:guessed", "urn:ietf:params:oauth:request_uri:"])
def test_a_reference_that_we_never_gave_is_refused(desk, name):
    answer = bring(desk.client.client_id, name)
    assert answer.status_code == 400
    assert b"oauth.request_uri" in answer.content


def test_an_address_of_another_house_is_never_fetched(desk):
    answer = bring(desk.client.client_id, "https://evil.example/request.jwt", **request_of())
    assert "error=request_uri_not_supported" in answer["Location"]


@pytest.mark.parametrize(
    ("changes", "error", "code"),
    [
        ({"redirect_uri": "https://evil.example/"}, "invalid_request", "oauth.redirect_uri"),
        ({"redirect_uri": None}, "invalid_request", "oauth.redirect_uri"),
        ({"response_type": "token"}, "unsupported_response_type", "oauth.unsupported_response_type"),
        ({"scope": "email"}, "invalid_scope", "oauth.invalid_scope"),
        ({"code_challenge": None}, "invalid_request", "oauth.pkce_required"),
        ({"code_challenge_method": "plain"}, "invalid_request", "oauth.pkce_required"),
        ({"request": "e30.e30.e30"}, "request_not_supported", "oauth.request_object"),
        ({"request_uri": "urn:ietf:params:oauth:request_uri:x"}, "invalid_request", "oauth.invalid_request"),
        ({"client_id": "another"}, "invalid_request", "oauth.invalid_request"),
        ({"resource": "https://unknown.example"}, "invalid_target", "oauth.invalid_target"),
        ({"dpop_jkt": "short"}, "invalid_request", "oauth.invalid_request"),
        ({"max_age": "soon"}, "invalid_request", "oauth.invalid_request"),
    ],
)
def test_a_request_that_would_fail_later_fails_when_it_is_pushed(desk, changes, error, code):
    response = push(desk, request_of(**changes))
    assert response.status_code == 400
    assert (response.json()["error"], response.json()["code"]) == (error, code)
    assert not PushedRequest.objects.exists()


@pytest.mark.parametrize("method", ["get", "put", "delete"])
def test_only_post_is_offered(method):
    assert getattr(Http(), method)("/oauth/par").status_code == 405


def test_nobody_pushes_without_a_secret(desk):
    response = push(desk, authorization=basic(desk.client.client_id, "another-secret-0123456789abcdefghij"))
    assert_refused(response, error="invalid_client", code="oauth.invalid_client", status=401, reason="secret")
    assert not PushedRequest.objects.exists()


def test_a_service_signs_nobody_on(desk):
    Client.objects.update(kind="service")
    raise_version()
    assert push(desk).json()["code"] == "oauth.unknown_client"


def test_a_client_that_has_to_push_cannot_go_through_the_browser_alone(desk):
    Client.objects.update(require_pushed_authorization_requests=True)
    raise_version()
    plain = Http().get(f"/oauth/authorize?{urlencode(request_of(client_id=desk.client.client_id))}")
    assert "error=invalid_request" in plain["Location"]
    assert is_under_way(bring(desk.client.client_id, push(desk).json()["request_uri"]))


def test_nothing_of_it_is_stored_in_clear_and_it_is_soon_forgotten(desk):
    fields = request_of(client_secret=CLIENT_SECRET, client_id=desk.client.client_id)
    reference = post_form("/oauth/par", fields).json().get("request_uri", "")
    del fields["client_secret"]
    reference = reference or push(desk, fields).json()["request_uri"]
    row = str(PushedRequest.objects.values().get())
    for secret in ("alice@acme.example", "the-state", CLIENT_SECRET, reference, reference[-20:]):
        assert secret not in row
    assert forget_pushed(now=timezone.now()) == 0
    assert forget_pushed(now=timezone.now() + timedelta(seconds=181)) == 1


class TestWithAKey:
    """A key named when the request is pushed is the one that redeems the code (RFC 9449 section 10)."""

    def proof(self, desk: Any, prover: Prover) -> str:
        if not prover.nonce:
            prover.nonce = push(desk, dpop=prover.proof("POST", PAR_ADDRESS))["DPoP-Nonce"]
        return prover.proof("POST", PAR_ADDRESS)

    def test_a_proof_at_the_push_names_it(self, desk):
        prover = Prover()
        proof = self.proof(desk, prover)
        assert push(desk, request_of(dpop_jkt=prover.thumbprint), dpop=proof).status_code == 201

    def test_it_cannot_name_another(self, desk):
        prover = Prover()
        proof = self.proof(desk, prover)
        response = push(desk, request_of(dpop_jkt=Prover().thumbprint), dpop=proof)
        assert_refused(response, error="invalid_request", code="oauth.invalid_request", reason="dpop_jkt")
