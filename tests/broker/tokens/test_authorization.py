"""The authorization request: what is refused as a page, what by redirect, and what passes."""

import pytest

from broker import crypto
from broker.actors import Actor, ActorKind
from broker.errors import BrokerError
from broker.events.models import Event
from broker.registry.cache import raise_version
from broker.registry.models import Application, Client
from broker.tokens import authorization_checks
from broker.tokens.authorization import AuthorizationRefused, issue_code, read_authorization_request
from broker.tokens.models import AuthorizationCode
from broker.traces.collector import Collector
from tests.factories import make_client, make_participant

pytestmark = pytest.mark.django_db
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


@pytest.fixture
def party():
    return make_client()


@pytest.fixture
def parameters(party):
    return {
        "client_id": [party.client_id],
        "redirect_uri": ["https://crm.example/callback"],
        "response_type": ["code"],
        "scope": ["openid email"],
        "state": ["the state"],
        "nonce": ["the nonce"],
        "code_challenge": [CHALLENGE],
        "code_challenge_method": ["S256"],
    }


def changed(parameters, changes):
    """`parameters` with single values replaced; None takes one away."""
    merged = parameters | {name: value if isinstance(value, list) else [value] for name, value in changes.items()}
    return {name: values for name, values in merged.items() if values != [None]}


# --- pages of ours --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"client_id": None}, "oauth.invalid_request"),
        ({"client_id": ["a", "b"]}, "oauth.invalid_request"),
        ({"client_id": ""}, "oauth.unknown_client"),
        ({"client_id": "nobody"}, "oauth.unknown_client"),
        ({"client_id": "nobody\x00"}, "oauth.unknown_client"),
        ({"client_id": "x" * 5000}, "oauth.unknown_client"),
        ({"client_id": "\ufffd"}, "oauth.unknown_client"),
        ({"redirect_uri": None}, "oauth.redirect_uri"),
    ],
)
def test_nothing_is_sent_to_an_address_before_client_and_address_are_known(parameters, changes, code):
    with pytest.raises(BrokerError) as caught:
        read_authorization_request(changed(parameters, changes))
    assert not isinstance(caught.value, AuthorizationRefused)
    assert caught.value.code == code


def test_a_service_has_no_authorization_request(parameters, party):
    Client.objects.update(kind="service")
    raise_version()
    with pytest.raises(BrokerError) as caught:
        read_authorization_request(parameters)
    assert caught.value.code == "oauth.unknown_client"


@pytest.mark.parametrize("switch_off", ["client", "application", "retired_application", "retired_client"])
def test_what_is_switched_off_or_retired_cannot_ask(parameters, party, switch_off):
    if switch_off == "client":
        Client.objects.update(enabled=False)
    if switch_off == "application":
        Application.objects.update(enabled=False)
    if switch_off == "retired_application":
        Application.objects.update(retired_at=party.created_at)
    if switch_off == "retired_client":
        Client.objects.update(retired_at=party.created_at)
    raise_version()
    with pytest.raises(BrokerError) as caught:
        read_authorization_request(parameters)
    expected = "oauth.unknown_client" if switch_off == "retired_client" else "signon.application_disabled"
    assert caught.value.code == expected
    assert not isinstance(caught.value, AuthorizationRefused)


# --- refusals that the application is told --------------------------------------------------------------------------
REFUSED = [
    ({"response_type": None}, "invalid_request", "oauth.invalid_request"),
    ({"response_type": ""}, "invalid_request", "oauth.invalid_request"),
    ({"response_type": "token"}, "unsupported_response_type", "oauth.unsupported_response_type"),
    ({"response_type": "id_token"}, "unsupported_response_type", "oauth.unsupported_response_type"),
    ({"response_type": "code id_token"}, "unsupported_response_type", "oauth.unsupported_response_type"),
    ({"response_type": "code token"}, "unsupported_response_type", "oauth.unsupported_response_type"),
    ({"response_type": "none"}, "unsupported_response_type", "oauth.unsupported_response_type"),
    ({"response_type": "CODE"}, "unsupported_response_type", "oauth.unsupported_response_type"),
    ({"response_mode": "fragment"}, "invalid_request", "oauth.response_mode"),
    ({"response_mode": "web_message"}, "invalid_request", "oauth.response_mode"),
    ({"response_mode": "query.jwt"}, "invalid_request", "oauth.response_mode"),
    ({"request": "eyJhbGciOiJub25lIn0.e30."}, "request_not_supported", "oauth.request_object"),
    ({"request_uri": "https://crm.example/r"}, "request_uri_not_supported", "oauth.request_object"),
    ({"request_uri": "http://169.254.169.254/"}, "request_uri_not_supported", "oauth.request_object"),
    ({"registration": "{}"}, "registration_not_supported", "oauth.invalid_request"),
    ({"resource": "https://erp.example/api"}, "invalid_target", "oauth.invalid_target"),
    ({"resource": ["https://a.example", "https://b.example"]}, "invalid_target", "oauth.invalid_target"),
    ({"scope": None}, "invalid_scope", "oauth.invalid_scope"),
    ({"scope": "email"}, "invalid_scope", "oauth.invalid_scope"),
    ({"scope": "openid admin"}, "invalid_scope", "oauth.invalid_scope"),
    ({"scope": "openid,email"}, "invalid_scope", "oauth.invalid_scope"),
    ({"scope": "OpenID"}, "invalid_scope", "oauth.invalid_scope"),
    ({"scope": "openid\temail"}, "invalid_request", "oauth.invalid_request"),
    ({"code_challenge": None, "code_challenge_method": None}, "invalid_request", "oauth.pkce_required"),
    ({"code_challenge": None}, "invalid_request", "oauth.pkce_required"),
    ({"code_challenge_method": None}, "invalid_request", "oauth.pkce_required"),
    ({"code_challenge_method": "plain"}, "invalid_request", "oauth.pkce_required"),
    ({"code_challenge_method": "s256"}, "invalid_request", "oauth.pkce_required"),
    ({"code_challenge_method": "S512"}, "invalid_request", "oauth.pkce_required"),
    ({"code_challenge": CHALLENGE[:-1]}, "invalid_request", "oauth.pkce_required"),
    ({"code_challenge": CHALLENGE + "="}, "invalid_request", "oauth.pkce_required"),
    ({"code_challenge": "+" * 43}, "invalid_request", "oauth.pkce_required"),
    ({"prompt": "none login"}, "invalid_request", "oauth.invalid_request"),
    ({"prompt": "create"}, "invalid_request", "oauth.invalid_request"),
    ({"prompt": "NONE"}, "invalid_request", "oauth.invalid_request"),
    ({"max_age": "-1"}, "invalid_request", "oauth.invalid_request"),
    ({"max_age": "1e3"}, "invalid_request", "oauth.invalid_request"),
    ({"max_age": "٣"}, "invalid_request", "oauth.invalid_request"),
    ({"max_age": "9" * 40}, "invalid_request", "oauth.invalid_request"),
    ({"nonce": "n" * 513}, "invalid_request", "oauth.invalid_request"),
    ({"nonce": "a\x00b"}, "invalid_request", "oauth.invalid_request"),
    ({"login_hint": "x" * 9000}, "invalid_request", "oauth.invalid_request"),
    ({"unheard\x00of": "x"}, "invalid_request", "oauth.invalid_request"),
    ({"nonce": ["a", "b"]}, "invalid_request", "oauth.invalid_request"),
    ({"scope": ["openid", "openid"]}, "invalid_request", "oauth.invalid_request"),
    ({"response_type": ["code", "token"]}, "invalid_request", "oauth.invalid_request"),
    ({"code_challenge": [CHALLENGE, "A" * 43]}, "invalid_request", "oauth.invalid_request"),
    ({"unheard_of": ["a", "a"]}, "invalid_request", "oauth.invalid_request"),
]


@pytest.mark.parametrize(("changes", "error", "code"), REFUSED)
def test_a_bad_request_of_a_known_client_is_told_to_it(parameters, changes, error, code):
    with pytest.raises(AuthorizationRefused) as caught:
        read_authorization_request(changed(parameters, changes))
    refused = caught.value
    assert (refused.error, refused.code) == (error, code)
    assert refused.return_to.redirect_uri == "https://crm.example/callback"
    assert refused.return_to.state == "the state"
    assert refused.return_to.response_mode == "query"


@pytest.mark.parametrize("state", [["a", "b"], ["a\nb"], ["\ufffd"], ["x" * 9000]])
def test_a_state_that_cannot_be_echoed_truly_is_not_echoed(parameters, state):
    with pytest.raises(AuthorizationRefused) as caught:
        read_authorization_request(changed(parameters, {"state": state}))
    assert caught.value.return_to.state == ""


def test_a_refusal_goes_by_form_when_that_was_asked_for(parameters):
    with pytest.raises(AuthorizationRefused) as caught:
        read_authorization_request(changed(parameters, {"response_mode": "form_post", "scope": "email"}))
    assert caught.value.return_to.response_mode == "form_post"


def test_a_client_exempt_from_pkce_must_send_a_nonce(parameters, party):
    Client.objects.update(pkce="exempt")
    raise_version()
    bare = changed(parameters, {"code_challenge": None, "code_challenge_method": None})
    assert read_authorization_request(bare).code_challenge == ""
    with pytest.raises(AuthorizationRefused) as caught:
        read_authorization_request(changed(bare, {"nonce": None}))
    assert caught.value.code == "oauth.nonce_required"


@pytest.mark.parametrize(
    "changes",
    [{"code_challenge_method": "plain"}, {"code_challenge_method": None}, {"code_challenge": None}],
)
def test_a_client_exempt_from_pkce_cannot_use_a_weak_form_of_it(parameters, party, changes):
    Client.objects.update(pkce="exempt")
    raise_version()
    with pytest.raises(AuthorizationRefused) as caught:
        read_authorization_request(changed(parameters, changes))
    assert caught.value.code == "oauth.pkce_required"


# --- what passes ----------------------------------------------------------------------------------------------------
def test_a_whole_request_is_read(parameters, party):
    request = read_authorization_request(
        changed(
            parameters,
            {
                "scope": "openid email  offline_access email",
                "prompt": "login consent",
                "max_age": "0",
                "login_hint": "alice@acme.example",
                "idp_hint": "acme",
                "response_mode": "form_post",
            },
        )
    )
    assert request.client == party
    assert request.scopes == ("openid", "email", "offline_access")
    assert request.prompts == {"login", "consent"}
    assert request.max_age == 0
    assert request.login_hint == "alice@acme.example"
    assert request.identity_provider_hint == "acme"
    assert request.return_to.response_mode == "form_post"
    assert (request.nonce, request.code_challenge) == ("the nonce", CHALLENGE)


@pytest.mark.parametrize(
    "changes",
    [
        {"claims": '{"id_token": {"email": null}}'},
        {"ui_locales": "de-DE"},
        {"acr_values": "urn:example:high"},
        {"display": "page"},
        {"unheard_of": "x"},
        {"request": ""},
        {"request_uri": ""},
        {"registration": ""},
        {"prompt": ""},
        {"state": None},
        {"nonce": None},
        {"state": "ü€ 𝄞 &=+%"},
    ],
)
def test_what_is_unknown_or_empty_is_ignored(parameters, changes):
    assert read_authorization_request(changed(parameters, changes)).scopes == ("openid", "email")


def test_every_check_leaves_its_name_in_the_trace(parameters):
    collector = Collector()
    read_authorization_request(parameters, collector=collector)
    checks = [*authorization_checks.TRUST_CHECKS, *authorization_checks.REQUEST_CHECKS]
    names = [f"authorize.{check.__name__.removeprefix('check_')}" for check in checks]
    assert [entry["name"] for entry in collector.entries] == names
    assert all(entry["passed"] for entry in collector.entries)


def test_a_refusal_leaves_what_was_expected_and_what_came(parameters):
    collector = Collector()
    with pytest.raises(AuthorizationRefused):
        read_authorization_request(changed(parameters, {"response_type": "token"}), collector=collector)
    last = collector.entries[-1]
    assert (last["name"], last["passed"], last["expected"], last["actual"]) == (
        "authorize.response_type",
        False,
        "code",
        "token",
    )


def test_every_check_function_stands_in_a_tuple():
    written = {name for name in vars(authorization_checks) if name.startswith("check_")}
    run = {check.__name__ for check in (*authorization_checks.TRUST_CHECKS, *authorization_checks.REQUEST_CHECKS)}
    assert written == run


# --- codes ----------------------------------------------------------------------------------------------------------
def test_a_code_is_256_bits_stored_as_a_keyed_hash_with_its_bindings(party):
    participant = make_participant(client=party)
    actor = Actor(ActorKind.PERSON, str(participant.session.person_id), "192.0.2.1", "ABCDE-12345")
    value = issue_code(
        party,
        session=participant.session,
        participant=participant,
        redirect_uri="https://crm.example/callback",
        scopes=["openid"],
        nonce="n",
        code_challenge=CHALLENGE,
        context="phr",
        actor=actor,
    )
    code = AuthorizationCode.objects.get()
    assert len(value) == 43
    assert code.code_hash == crypto.keyed_hash(value, purpose="authorization-code")
    assert (code.client, code.redirect_uri, code.code_challenge) == (party, "https://crm.example/callback", CHALLENGE)
    assert (code.expires_at - code.created_at).total_seconds() == 60
    assert (code.trace_id, code.context) == ("ABCDE-12345", "phr")
    assert value not in str([*Event.objects.values(), *AuthorizationCode.objects.values()])
