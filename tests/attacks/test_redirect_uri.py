"""Redirect URIs that only look registered: each is refused with a page of ours and never followed."""

import pytest

from broker.actors import SYSTEM
from broker.errors import BrokerError
from broker.registry.cache import raise_version
from broker.registry.models import Client
from broker.tokens.authorization import AuthorizationRefused
from broker.tokens.models import AuthorizationCode
from broker.traces.collector import Collector
from federation.downstream import oidc
from tests.factories import make_client, make_participant

pytestmark = pytest.mark.django_db

REGISTERED = "https://crm.example/callback"
VARIANTS = [
    "",
    "https://crm.example/callback/",
    "https://crm.example/callback?",
    "https://crm.example/callback?next=https://evil.example",
    "https://crm.example/callback#",
    "https://crm.example/callback#fragment",
    "https://crm.example/callback/../callback",
    "https://crm.example/./callback",
    "https://crm.example//callback",
    "https://crm.example/callback%2f",
    "https://crm.example/%63allback",
    "https://crm.example/Callback",
    "https://crm.example/callback%00",
    "https://crm.example/callback\x00",
    "https://crm.example/callback\r\nLocation: https://evil.example",
    "https://crm.example/callback ",
    " https://crm.example/callback",
    "https://CRM.example/callback",
    "HTTPS://crm.example/callback",
    "http://crm.example/callback",
    "https://crm.example:443/callback",
    "https://crm.example:8443/callback",
    "https://crm.example./callback",
    "https://crm.example.evil.example/callback",
    "https://evil.example/callback",
    "https://evil.example/https://crm.example/callback",
    "https://evil.example?https://crm.example/callback",
    "https://crm.example@evil.example/callback",
    "https://crm.example\\@evil.example/callback",
    "https:\\\\crm.example/callback",
    "https:/crm.example/callback",
    "//crm.example/callback",
    "/callback",
    "callback",
    "*",
    "https://*.example/callback",
    "https://crm。example/callback",
    "https://\u0441rm.example/callback",
    "javascript:alert(1)",
    "data:text/html,hello",
    "null",
    "https://crm.example/callback" + "a" * 9000,
]


@pytest.fixture
def parameters():
    client = make_client(redirect_uris=[REGISTERED])
    return {
        "client_id": [client.client_id],
        "redirect_uri": [REGISTERED],
        "response_type": ["code"],
        "scope": ["openid"],
        "code_challenge": ["A" * 43],
        "code_challenge_method": ["S256"],
    }


def assert_page(parameters):
    with pytest.raises(BrokerError) as caught:
        oidc.read(parameters)
    assert not isinstance(caught.value, AuthorizationRefused)
    assert caught.value.code == "oauth.redirect_uri"
    assert 400 <= caught.value.status < 500


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_variant_of_the_registered_address_is_refused_without_redirect(parameters, variant):
    assert_page(parameters | {"redirect_uri": [variant]})


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_variant_beside_the_registered_address_is_refused_without_redirect(parameters, variant):
    assert_page(parameters | {"redirect_uri": [REGISTERED, variant]})
    assert_page(parameters | {"redirect_uri": [variant, REGISTERED]})


def test_the_registered_address_twice_is_refused_without_redirect(parameters):
    assert_page(parameters | {"redirect_uri": [REGISTERED, REGISTERED]})


def test_a_request_without_an_address_is_refused_even_when_only_one_is_registered(parameters):
    del parameters["redirect_uri"]
    assert_page(parameters)


def test_another_clients_address_is_refused_without_redirect(parameters):
    make_client(redirect_uris=["https://erp.example/callback"])
    assert_page(parameters | {"redirect_uri": ["https://erp.example/callback"]})


def test_an_address_that_is_no_longer_registered_gets_no_code(parameters):
    asked = oidc.read(parameters).asked
    Client.objects.update(redirect_uris=["https://crm.example/other"])
    raise_version()
    participant = make_participant(client=Client.objects.get())
    with pytest.raises(BrokerError) as caught:
        oidc.respond(asked, session=participant.session, participant=participant, actor=SYSTEM, trace=Collector())
    assert caught.value.code == "oauth.redirect_uri"
    assert not AuthorizationCode.objects.exists()


def test_the_registered_address_passes_letter_by_letter(parameters):
    for address in (
        REGISTERED,
        "https://crm.example:8443/cb?tenant=a%20b&x=1",
        "http://localhost:9000/cb",
        "com.acme.crm:/cb",
    ):
        client = make_client(redirect_uris=[address])
        request = oidc.read(parameters | {"client_id": [client.client_id], "redirect_uri": [address]})
        assert request.asked["redirect_uri"] == address
