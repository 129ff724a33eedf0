"""GET /oauth/jwks, as relying parties and caches meet it."""

import json

import pytest
from django.urls import include, path

from broker import limits
from broker.actors import SYSTEM
from broker.keys.models import SigningKey
from broker.keys.ring import ring
from broker.keys.services import announce_key, ensure_keys

from .conftest import NOW

urlpatterns = [path("", include("broker.keys.urls"))]
pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


@pytest.fixture
def keys():
    return ensure_keys(SYSTEM)


def test_the_jwks_names_each_token_key_once(client, keys):
    response = client.get("/oauth/jwks")
    assert response.status_code == 200
    assert response["Content-Type"] == "application/jwk-set+json"
    found = json.loads(response.content)["keys"]
    assert sorted((key["alg"], key["kty"], key["use"]) for key in found) == [
        ("ES256", "EC", "sig"),
        ("RS256", "RSA", "sig"),
    ]
    assert {key["kid"] for key in found} == {key.kid for key in keys if key.use == SigningKey.Use.TOKEN}


def test_no_private_member_is_published(client, keys):
    for key in json.loads(client.get("/oauth/jwks").content)["keys"]:
        assert key.keys() <= {"kty", "alg", "use", "kid", "n", "e", "crv", "x", "y"}


def test_caches_may_keep_it_for_an_hour_and_ask_by_etag(client, keys):
    first = client.get("/oauth/jwks")
    assert first["Cache-Control"] == f"public, max-age={int(limits.JWKS_MAX_AGE.total_seconds())}"
    again = client.get("/oauth/jwks", headers={"If-None-Match": first["ETag"]})
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", first["ETag"])


def test_the_etag_changes_with_an_announced_key(client, keys):
    first = client.get("/oauth/jwks")
    announce_key(SigningKey.Use.TOKEN, algorithm=SigningKey.Algorithm.ES256, now=NOW, actor=SYSTEM)
    again = client.get("/oauth/jwks", headers={"If-None-Match": first["ETag"]})
    assert again.status_code == 200
    assert len(json.loads(again.content)["keys"]) == 3


def test_head_is_answered_like_get(client, keys):
    response = client.head("/oauth/jwks")
    assert (response.status_code, response.content) == (200, b"")
    assert response["ETag"] == client.get("/oauth/jwks")["ETag"]


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_other_methods_are_refused(method, client, keys):
    response = getattr(client, method)("/oauth/jwks")
    assert response.status_code == 405
    assert response["Allow"] == "GET, HEAD"


def test_without_keys_the_answer_is_503_and_not_to_be_kept(client):
    ring.forget()
    response = client.get("/oauth/jwks")
    assert response.status_code == 503
    assert response["Cache-Control"] == "no-store"
    assert json.loads(response.content)["code"] == "service.unavailable"
