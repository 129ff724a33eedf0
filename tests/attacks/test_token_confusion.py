"""Attack: use a token of one kind where another kind is expected (items 40 and 49 of the checklist).

Every value that we hand out, or take, is tried at every door. A door opens to its own kind and to no other.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import urlencode

import pytest
from django.test import Client as Http

from broker.keys.ring import ring
from broker.registry.cache import raise_version
from broker.registry.models import Client, Resource
from broker.tokens.models import Grant, RevokedToken
from tests.broker.tokens.desk import REDIRECT_URI, basic, post_form
from tests.broker.tokens.estate import ACCESS_TOKEN, EXCHANGE, ID_TOKEN, JWT, SAML2, signed_again
from tests.broker.tokens.gate import Gate
from tests.factories import CLIENT_SECRET, make_flow, make_resource
from tests.fakes.assertions import KEY_NUMBER, KID, asserting, assertion
from tests.fakes.fake_op import public_jwk
from tests.fakes.prover import Prover
from tests.fakes.tokens import rsa_key

pytestmark = pytest.mark.django_db


@dataclass
class Scene:
    """A gate at which each kind of value is in somebody's hands."""

    gate: Gate = field(default_factory=Gate)
    next_api: Resource = field(init=False)
    values: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        gate = self.gate
        self.next_api = make_resource()
        make_flow(gate.gateway, self.next_api, grant="token_exchange", subject_class="person")
        keys = {"keys": [public_jwk(rsa_key(number=KEY_NUMBER), KID)]}
        Client.objects.filter(pk=gate.stranger.pk).update(authentication="private_key_jwt", jwks=keys)
        raise_version()
        sign_on, for_api = gate.desk.offline_tokens(), gate.person_tokens()
        self.values = {
            "an access token for userinfo": sign_on["access_token"],
            "a person's access token for an API": for_api["access_token"],
            "a service's access token for an API": gate.service_token(),
            "an ID token": sign_on["id_token"],
            "a refresh token": sign_on["refresh_token"],
            "a code": gate.desk.code(scopes=("openid",)),
            "a client assertion": assertion(gate.stranger.client_id),
            "a proof": Prover().proof("POST", "http://localhost:8000/oauth/token"),
            "a logout token": signed_again(sign_on["id_token"], typ="logout+jwt", events={"x": {}}),
            "a pushed request": self._pushed(),
            "a client's secret": CLIENT_SECRET,
        }

    def _pushed(self) -> str:
        fields = {"response_type": "code", "scope": "openid", "redirect_uri": REDIRECT_URI}
        challenge = {"code_challenge": "a" * 43, "code_challenge_method": "S256"}
        response = self.gate.post("/oauth/par", self.gate.desk.client, **fields, **challenge)
        assert response.status_code == 201, response.content
        return str(response.json()["request_uri"])

    # Doors: whether each opens to a value ----------------------------------------------------------------------------
    def userinfo(self, value: str) -> bool:
        return bool(self.gate.desk.userinfo(value).status_code == 200)

    def introspection(self, value: str) -> bool:
        return self.gate.is_active(value)

    def introspection_by_the_application(self, value: str) -> bool:
        return bool(self.gate.introspect(value, caller=self.gate.desk.client).json()["active"])

    def revocation_by_the_application(self, value: str) -> bool:
        assert self.gate.revoke(value, caller=self.gate.desk.client).status_code == 200
        return Grant.objects.exclude(revoked_at=None).exists() or RevokedToken.objects.exists()

    def refresh(self, value: str) -> bool:
        return bool(self.gate.desk.refresh(value).status_code == 200)

    def redemption(self, value: str) -> bool:
        return bool(self.gate.desk.redeem(value).status_code == 200)

    def exchange(self, value: str, **changes: str) -> bool:
        fields = {"grant_type": EXCHANGE, "subject_token": value, "subject_token_type": ACCESS_TOKEN}
        fields |= {"resource": self.next_api.identifier} | changes
        authorization = basic(self.gate.gateway.client_id, CLIENT_SECRET)
        response = post_form("/oauth/token", fields, authorization=authorization)
        assert response.status_code in {200, 400}, response.content
        return bool(response.status_code == 200)

    def exchange_as_a_jwt(self, value: str) -> bool:
        return self.exchange(value, subject_token_type=JWT)

    def exchange_as_an_id_token(self, value: str) -> bool:
        return self.exchange(value, subject_token_type=ID_TOKEN)

    def exchange_as_an_assertion(self, value: str) -> bool:
        return self.exchange(value, subject_token_type=SAML2)

    def actor(self, value: str) -> bool:
        subject = self.values["a person's access token for an API"]
        return self.exchange(subject, actor_token=value, actor_token_type=ACCESS_TOKEN)

    def client_authentication(self, value: str) -> bool:
        fields = asserting(value, client_id=self.gate.stranger.client_id, token="x")
        return bool(post_form("/oauth/introspect", fields).status_code == 200)

    def client_secret(self, value: str) -> bool:
        authorization = basic(self.gate.gateway.client_id, value)
        return bool(post_form("/oauth/introspect", {"token": "x"}, authorization=authorization).status_code == 200)

    def hint(self, value: str) -> bool:
        asked = {
            "client_id": self.gate.desk.client.client_id,
            "redirect_uri": REDIRECT_URI,
            "response_type": "code",
            "scope": "openid",
            "code_challenge": "a" * 43,
            "code_challenge_method": "S256",
            "prompt": "none",
            "id_token_hint": value,
        }
        response = Http().get(f"/oauth/authorize?{urlencode(asked)}")
        if response.status_code == 400:
            return False
        assert response["Location"].startswith(REDIRECT_URI), response["Location"]
        return "error=invalid_request" not in response["Location"]

    def authorization(self, value: str) -> bool:
        asked = {"client_id": self.gate.desk.client.client_id, "request_uri": value}
        return bool(Http().get(f"/oauth/authorize?{urlencode(asked)}").status_code in {302, 303})


@pytest.fixture
def scene(db: None) -> Iterator[Scene]:
    yield Scene()
    ring.forget()


OPENS: dict[Callable[[Scene, str], bool], set[str]] = {
    Scene.userinfo: {"an access token for userinfo"},
    Scene.introspection: {"a person's access token for an API", "a service's access token for an API"},
    Scene.introspection_by_the_application: {"a refresh token"},
    Scene.revocation_by_the_application: {
        "an access token for userinfo",
        "a person's access token for an API",
        "a refresh token",
    },
    Scene.refresh: {"a refresh token"},
    Scene.redemption: {"a code"},
    Scene.exchange: {"a person's access token for an API"},
    Scene.exchange_as_a_jwt: {"a person's access token for an API"},
    Scene.exchange_as_an_id_token: set(),
    Scene.exchange_as_an_assertion: set(),
    Scene.actor: set(),
    Scene.client_authentication: {"a client assertion"},
    Scene.client_secret: {"a client's secret"},
    Scene.hint: {"an ID token"},
    Scene.authorization: {"a pushed request"},
}


@pytest.mark.parametrize("door", OPENS, ids=lambda door: door.__name__)
def test_a_door_opens_to_its_own_kind_and_to_no_other(scene: Scene, door: Callable[[Scene, str], bool]) -> None:
    opened = {kind for kind, value in scene.values.items() if kind not in OPENS[door] and door(scene, value)}
    assert opened == set()
    for kind in OPENS[door]:
        assert door(scene, scene.values[kind]), f"{kind} is not even taken where it belongs"


@pytest.mark.parametrize("door", OPENS, ids=lambda door: door.__name__)
@pytest.mark.parametrize("typ", ["JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt", "logout+jwt", "dpop+jwt"])
def test_claims_of_one_kind_under_the_type_of_another_open_nothing(
    scene: Scene, door: Callable[[Scene, str], bool], typ: str
) -> None:
    """Signed by our own key, as if one of our writers had made a mistake."""
    for kind in ("an access token for userinfo", "a person's access token for an API", "an ID token"):
        if typ != ("JWT" if kind == "an ID token" else "at+jwt"):
            assert not door(scene, signed_again(scene.values[kind], typ=typ)), kind
