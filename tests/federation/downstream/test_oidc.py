"""Answers to applications: a code or an error, with our issuer, in the mode that was asked for."""

from urllib.parse import parse_qs, urlsplit

import pytest
from django.conf import settings

from broker.actors import SYSTEM
from broker.errors import BrokerError
from broker.keys.ring import ring
from broker.refusals import CATALOGUE
from broker.registry.cache import raise_version
from broker.registry.models import Application, Client
from broker.tokens.authorization import AuthorizationRefused
from broker.tokens.errors import LoginRequired
from broker.tokens.models import AuthorizationCode
from broker.traces.collector import Collector
from federation.downstream import oidc
from federation.downstream.adapters import downstream_for
from tests.broker.tokens.desk import REDIRECT_URI, Desk
from tests.factories import make_client, make_participant, make_session

pytestmark = pytest.mark.django_db
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def parameters_of(client, **changes):
    fields = {
        "client_id": client.client_id,
        "redirect_uri": client.redirect_uris[0],
        "response_type": "code",
        "scope": "openid email",
        "state": "a state & more",
        "nonce": "n",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    } | changes
    return {name: [value] for name, value in fields.items()}


@pytest.fixture
def participant():
    return make_participant()


def respond(participant, **changes):
    asked = oidc.read(parameters_of(participant.client, **changes)).asked
    return oidc.respond(asked, session=participant.session, participant=participant, actor=SYSTEM, trace=Collector())


def query_of(answer):
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.url).query).items()}


def test_what_the_hall_needs_stands_in_the_request():
    client = make_client()
    request = oidc.read(parameters_of(client, prompt="login select_account", max_age="60", login_hint="a@b.example"))
    assert (request.application, request.client) == (client.application, client)
    assert (request.force, request.choose, request.passive) == (True, True, False)
    assert (request.max_age, request.login_hint) == (60, "a@b.example")
    assert oidc.read(parameters_of(client, prompt="none")).passive
    assert oidc.read(parameters_of(client, idp_hint="acme")).identity_provider_hint == "acme"


def test_a_success_carries_code_state_and_issuer_and_nothing_else(participant):
    answer = respond(participant)
    fields = query_of(answer)
    assert answer.fields is None
    assert answer.url.startswith(f"{REDIRECT_URI}?")
    assert set(fields) == {"code", "state", "iss"}
    assert fields["state"] == "a state & more"
    assert fields["iss"] == settings.BROKER_BASE_URL
    code = AuthorizationCode.objects.get()
    assert (code.redirect_uri, code.nonce, code.scopes) == (REDIRECT_URI, "n", ["openid", "email"])
    assert (code.session, code.participant) == (participant.session, participant)


def test_a_success_goes_by_form_when_that_was_asked_for(participant):
    answer = respond(participant, response_mode="form_post")
    assert answer.url == REDIRECT_URI
    assert set(answer.fields) == {"code", "state", "iss"}


@pytest.mark.parametrize(
    ("redirect_uri", "start"),
    [
        ("https://crm.example/cb?tenant=a%20b", "https://crm.example/cb?tenant=a%20b&code="),
        ("https://crm.example/cb?", "https://crm.example/cb?code="),
        ("http://localhost:9000/cb", "http://localhost:9000/cb?code="),
        ("com.acme.crm:/cb", "com.acme.crm:/cb?code="),
    ],
)
def test_a_registered_address_keeps_its_query_and_port(redirect_uri, start):
    client = make_client(redirect_uris=[redirect_uri])
    assert respond(make_participant(client=client)).url.startswith(start)


@pytest.mark.parametrize("mode", ["query", "form_post"])
def test_every_error_carries_the_issuer_and_the_state(participant, mode):
    asked = oidc.read(parameters_of(participant.client, response_mode=mode)).asked
    answer = oidc.refuse(asked, BrokerError("account.inactive", detail="inside", expected="x", actual="y"))
    fields = answer.fields or query_of(answer)
    assert dict(fields) == {
        "error": "access_denied",
        "error_description": "This account is closed.",
        "state": "a state & more",
        "iss": settings.BROKER_BASE_URL,
    }


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("signon.login_required", "login_required"),
        ("signon.interaction_required", "login_required"),
        ("service.unavailable", "temporarily_unavailable"),
        ("service.fault", "server_error"),
        ("saml.signature", "access_denied"),
        ("authority.scope", "access_denied"),
    ],
)
def test_refusals_of_the_hall_have_a_name_on_the_wire(participant, code, error):
    asked = oidc.read(parameters_of(participant.client)).asked
    assert query_of(oidc.refuse(asked, BrokerError(code)))["error"] == error


def test_a_request_that_was_refused_is_answered_at_the_applications_address(participant):
    with pytest.raises(AuthorizationRefused) as caught:
        oidc.read(parameters_of(participant.client, response_type="token"))
    fields = query_of(oidc.refuse_request(caught.value))
    assert fields["error"] == "unsupported_response_type"
    assert (fields["state"], fields["iss"]) == ("a state & more", settings.BROKER_BASE_URL)


def test_descriptions_hold_only_the_characters_that_the_wire_allows():
    for refusal in CATALOGUE:
        assert all(" " <= letter <= "~" and letter not in '"\\' for letter in refusal.meaning), refusal.code


@pytest.mark.parametrize("change", [{"enabled": False}, {"retired_at": "2026-01-01T00:00:00Z"}])
def test_a_client_that_was_switched_off_meanwhile_gets_no_code(participant, change):
    asked = oidc.read(parameters_of(participant.client)).asked
    Client.objects.update(**change)
    raise_version()
    with pytest.raises(BrokerError) as caught:
        oidc.respond(asked, session=participant.session, participant=participant, actor=SYSTEM, trace=Collector())
    assert caught.value.code == "signon.application_disabled"
    assert not AuthorizationCode.objects.exists()


def test_an_application_that_was_switched_off_meanwhile_gets_no_code(participant):
    asked = oidc.read(parameters_of(participant.client)).asked
    Application.objects.update(enabled=False)
    raise_version()
    with pytest.raises(BrokerError) as caught:
        oidc.respond(asked, session=participant.session, participant=participant, actor=SYSTEM, trace=Collector())
    assert caught.value.code == "signon.application_disabled"


def test_a_client_gets_no_code_for_another_applications_part_of_a_session(participant):
    other = make_client()
    asked = oidc.read(parameters_of(other)).asked
    with pytest.raises(BrokerError):
        oidc.respond(asked, session=participant.session, participant=participant, actor=SYSTEM, trace=Collector())
    assert not AuthorizationCode.objects.exists()


def test_the_door_is_found_by_the_protocol_that_the_request_names(participant):
    asked = oidc.read(parameters_of(participant.client)).asked
    assert downstream_for(asked) is oidc


# --- id_token_hint ---------------------------------------------------------------------------------------------------
@pytest.fixture
def desk(db):
    yield Desk()
    ring.forget()


def test_a_hint_that_names_the_person_gets_a_code(desk):
    asked = oidc.read(parameters_of(desk.client, id_token_hint=desk.tokens()["id_token"], prompt="none")).asked
    answer = oidc.respond(
        asked, session=desk.participant.session, participant=desk.participant, actor=SYSTEM, trace=Collector()
    )
    assert "code" in query_of(answer)


def test_a_hint_that_names_another_person_gets_login_required(desk):
    asked = oidc.read(parameters_of(desk.client, id_token_hint=desk.tokens()["id_token"])).asked
    participant = make_participant(client=desk.client, session=make_session(handle="another-browser"))
    before = AuthorizationCode.objects.count()
    with pytest.raises(LoginRequired) as caught:
        oidc.respond(asked, session=participant.session, participant=participant, actor=SYSTEM, trace=Collector())
    assert query_of(oidc.refuse(asked, caught.value))["error"] == "login_required"
    assert AuthorizationCode.objects.count() == before


@pytest.mark.parametrize("hint", ["x", "a.b.c", "e30.e30.", "x" * 40_000])
def test_a_hint_that_is_not_ours_is_refused(desk, hint):
    with pytest.raises(AuthorizationRefused) as caught:
        oidc.read(parameters_of(desk.client, id_token_hint=hint))
    assert caught.value.error == "invalid_request"


def test_a_hint_of_another_client_is_refused(desk):
    hint = desk.tokens()["id_token"]
    with pytest.raises(AuthorizationRefused) as caught:
        oidc.read(parameters_of(make_client(), id_token_hint=hint))
    assert caught.value.error == "invalid_request"
