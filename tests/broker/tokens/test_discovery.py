"""Discovery: what it names exists, and what does not exist is not named."""

import pytest
from django.conf import settings
from django.test import Client as Http
from django.urls import Resolver404, resolve

from broker.refusals import CATALOGUE
from broker.tokens.client_auth import METHODS

PATHS = ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"]


def read(path=PATHS[0]):
    return Http().get(path).json()


def test_the_issuer_is_the_base_url_whatever_the_request_says():
    response = Http().get(PATHS[0], headers={"host": "localhost", "x-forwarded-host": "evil.example"})
    assert response.json()["issuer"] == settings.BROKER_BASE_URL
    assert "evil" not in response.content.decode()


@pytest.mark.parametrize(
    "name",
    [
        "authorization_endpoint",
        "token_endpoint",
        "userinfo_endpoint",
        "jwks_uri",
        "end_session_endpoint",
        "pushed_authorization_request_endpoint",
        "introspection_endpoint",
        "revocation_endpoint",
    ],
)
def test_every_endpoint_that_is_named_answers(name):
    address = read()[name]
    assert address.startswith(f"{settings.BROKER_BASE_URL}/oauth/")
    resolve(address.removeprefix(settings.BROKER_BASE_URL))


@pytest.mark.parametrize(
    "name",
    [
        "registration_endpoint",
        "device_authorization_endpoint",
        "frontchannel_logout_supported",
        "check_session_iframe",
    ],
)
def test_what_does_not_exist_is_not_named(name):
    assert name not in read()


def test_applications_are_told_of_a_sessions_end_by_its_sid():
    assert read()["backchannel_logout_supported"] is True
    assert read()["backchannel_logout_session_supported"] is True


def test_every_endpoint_takes_the_same_client_authentication():
    metadata = read()
    methods = metadata["token_endpoint_auth_methods_supported"]
    assert methods == metadata["introspection_endpoint_auth_methods_supported"]
    assert methods == metadata["revocation_endpoint_auth_methods_supported"]
    assert "none" not in methods


@pytest.mark.parametrize("path", ["device_authorization", "register"])
def test_endpoints_of_later_features_do_not_exist(path):
    with pytest.raises(Resolver404):
        resolve(f"/oauth/{path}")


def test_only_what_is_offered_is_listed():
    document = read()
    assert document["response_types_supported"] == ["code"]
    assert document["response_modes_supported"] == ["query", "form_post"]
    assert document["grant_types_supported"] == [
        "authorization_code",
        "refresh_token",
        "client_credentials",
        "urn:ietf:params:oauth:grant-type:token-exchange",
        "urn:ietf:params:oauth:grant-type:jwt-bearer",
    ]
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert document["token_endpoint_auth_methods_supported"] == [str(method) for method in METHODS]
    assert document["id_token_signing_alg_values_supported"] == ["RS256", "ES256"]
    assert document["scopes_supported"] == ["openid", "profile", "email", "groups", "offline_access"]
    assert document["authorization_response_iss_parameter_supported"] is True
    for name in ("claims_parameter", "request_parameter", "request_uri_parameter"):
        assert document[f"{name}_supported"] is False


def test_both_addresses_say_the_same():
    assert read(PATHS[0]) == read(PATHS[1])


@pytest.mark.parametrize("path", PATHS)
def test_it_is_cacheable_and_needs_no_database(path):
    response = Http().get(path)
    assert response["Cache-Control"] == "public, max-age=300"
    again = Http().get(path, headers={"if-none-match": response["ETag"]})
    assert again.status_code == 304
    assert not again.content
    assert Http().get(path, headers={"if-none-match": '"other"'}).status_code == 200
    assert Http().head(path).status_code == 200


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_it_is_read_only(method):
    assert getattr(Http(), method)(PATHS[0]).status_code == 405


def test_every_refusal_fits_into_a_challenge_header():
    assert all('"' not in refusal.meaning and "\\" not in refusal.meaning for refusal in CATALOGUE)
