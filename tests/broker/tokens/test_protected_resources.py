"""Metadata of our own resources (RFC 9728)."""

import pytest
from django.conf import settings
from django.test import Client as Http

WELL_KNOWN = "/.well-known/oauth-protected-resource"


@pytest.mark.parametrize("path", settings.PROTECTED_RESOURCES)
def test_each_resource_of_ours_says_where_its_tokens_come_from(path):
    document = Http().get(f"{WELL_KNOWN}/{path}").json()
    assert document["resource"] == f"{settings.BROKER_BASE_URL}/{path}"
    assert document["authorization_servers"] == [settings.BROKER_BASE_URL]
    assert document["scopes_supported"] == list(settings.PROTECTED_RESOURCES[path])


def test_the_host_header_does_not_move_it():
    document = Http().get(f"{WELL_KNOWN}/access", headers={"host": "localhost:9999"}).json()
    assert document["resource"] == f"{settings.BROKER_BASE_URL}/access"


@pytest.mark.parametrize("path", ["", "/", "/oauth", "/oauth/userinfo/", "/../access", "/https://evil.example"])
def test_there_is_none_of_what_is_no_resource(path):
    assert Http().get(f"{WELL_KNOWN}{path}").status_code == 404


@pytest.mark.django_db
def test_who_comes_without_a_token_is_told_where_to_read(client):
    challenge = client.get("/oauth/userinfo")["WWW-Authenticate"]
    assert f'resource_metadata="{settings.BROKER_BASE_URL}{WELL_KNOWN}/oauth/userinfo"' in challenge
