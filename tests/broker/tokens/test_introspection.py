"""Introspection through HTTP: what a guard is told of a live token, and that nobody learns anything of another."""

import uuid
from datetime import date, timedelta

import pytest
from django.conf import settings
from django.test import Client as Http
from django.utils import timezone

from broker.directory.models import Person
from broker.events.models import Event
from broker.keys import jose
from broker.keys.models import SigningKey
from broker.keys.services import signing_key
from broker.registry.cache import raise_version
from broker.registry.models import Application, Client, Flow, IdentityProvider, RegistryVersion, Resource
from broker.sessions.models import Session
from broker.tokens.models import Grant, RefreshToken, RevokedToken
from broker.traces.models import Trace
from tests.broker.tokens.desk import basic, post_form
from tests.broker.tokens.gate import ASK, INACTIVE
from tests.broker.tokens.refusals import assert_refused
from tests.factories import CLIENT_SECRET, make_resource
from tests.flows.stage import unverified_claims as claims_of

pytestmark = pytest.mark.django_db
INVALID_CLIENT = {"error": "invalid_client", "code": "oauth.invalid_client", "status": 401}
INVALID_REQUEST = {"error": "invalid_request", "code": "oauth.invalid_request"}


def forge(claims, *, typ="at+jwt", **changes):
    """A token like ours with something changed, signed with our own key; a change to None leaves the claim out."""
    key = signing_key(SigningKey.Use.TOKEN, algorithm=SigningKey.Algorithm.RS256)
    changed = {name: value for name, value in (claims | changes).items() if value is not None}
    return jose.sign(changed, key=key, typ=typ)


def change(model, **fields):
    """As an operator does it: the change and the registry's version in one."""
    model.objects.update(**fields)
    raise_version()


# --- What is told ---------------------------------------------------------------------------------------------------
def test_a_guard_is_told_what_the_token_says_and_no_more(gate):
    token = gate.service_token()
    claims = claims_of(token)
    response = gate.introspect(token)
    assert response.status_code == 200
    assert response["Cache-Control"] == "no-store"
    assert response.json() == {
        "active": True,
        "scope": "invoices.read",
        "client_id": gate.service.client_id,
        "sub": gate.service.client_id,
        "aud": gate.resource.identifier,
        "iss": settings.BROKER_BASE_URL,
        "exp": claims["exp"],
        "iat": claims["iat"],
        "jti": claims["jti"],
        "token_type": "Bearer",
    }


def test_of_a_person_it_is_told_how_they_signed_on_and_never_their_name(gate):
    answer = gate.introspect(gate.person_tokens()["access_token"]).json()
    assert answer["sub"] == str(gate.desk.person.pk)
    assert answer["auth_time"] == int(gate.desk.participant.session.authenticated_at.timestamp())
    assert answer["scope"] == "invoices.read"
    assert not {"username", "name", "email", "gid"} & answer.keys()


def test_who_acts_for_whom_is_told(gate):
    actors = [{"sub": gate.stranger.client_id, "client_id": gate.stranger.client_id}]
    token = gate.service_token()
    Grant.objects.update(actors=actors)
    act = {"sub": gate.stranger.client_id, "act": {"sub": "another"}}
    assert gate.introspect(forge(claims_of(token), act=act)).json()["act"] == act


def test_a_bound_token_is_told_with_its_key(gate):
    token = forge(claims_of(gate.service_token()), cnf={"jkt": "a-thumbprint"})
    answer = gate.introspect(token).json()
    assert (answer["token_type"], answer["cnf"]) == ("DPoP", {"jkt": "a-thumbprint"})


def test_one_gateway_guards_several_resources(gate):
    other = make_resource()
    other.introspectors.add(gate.gateway)
    raise_version()
    Flow.objects.filter(pk=gate.flow.pk).update(resource=other)
    raise_version()
    assert gate.introspect(gate.service_token()).json()["aud"] == other.identifier


def test_a_client_may_ask_about_its_own_refresh_token(gate):
    token = gate.person_tokens(offline=True)["refresh_token"]
    answer = gate.introspect(token, caller=gate.desk.client).json()
    assert answer["active"] is True
    assert answer["client_id"] == gate.desk.client.client_id
    assert answer["sub"] == str(gate.desk.person.pk)
    assert set(answer["scope"].split()) == {"openid", "invoices.read", "offline_access"}
    assert answer["exp"] - answer["iat"] == timedelta(days=14).total_seconds()
    assert not {"username", "name", "email", "jti"} & answer.keys()


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "id_token", "whatever"])
def test_a_hint_changes_nothing(gate, hint):
    assert gate.introspect(gate.service_token(), token_type_hint=hint).json()["active"] is True


def test_a_success_leaves_no_event_and_no_trace(gate):
    token = gate.service_token()
    before = (Event.objects.count(), Trace.objects.count())
    gate.introspect(token)
    gate.introspect("unknown")
    assert (Event.objects.count(), Trace.objects.count()) == before


# --- What is not active ---------------------------------------------------------------------------------------------
ENDS = {
    "the grant was revoked": lambda gate: Grant.objects.update(revoked_at=timezone.now()),
    "the grant is over": lambda gate: Grant.objects.update(expires_at=timezone.now()),
    "the grant is gone": lambda gate: Grant.objects.all().delete(),
    "the client is disabled": lambda gate: change(Client, enabled=False),
    "the application is retired": lambda gate: change(Application, retired_at=timezone.now()),
    "the flow ended": lambda gate: change(Flow, ended_at=timezone.now()),
    "the flow's last day is over": lambda gate: change(Flow, expires=date(2020, 1, 1)),
    "the flow is no longer approved": lambda gate: change(Flow, state="refused"),
    "the flow lost the scope": lambda gate: change(Flow, scopes=["invoices.write"]),
    "the flow is for other subjects": lambda gate: change(Flow, subject_class="neither"),
    "the flow is gone": lambda gate: (Flow.objects.all().delete(), raise_version()),
    "the resource lost the scope": lambda gate: change(Resource, scopes={"invoices.write": "Change"}),
}
PERSONAL_ENDS = {
    "the person left": lambda gate: Person.objects.update(is_active=False),
    "the session ended": lambda gate: Session.objects.update(ended_at=timezone.now()),
    "the session is over": lambda gate: Session.objects.update(expires_at=timezone.now()),
    "the identity provider is disabled": lambda gate: change(IdentityProvider, enabled=False),
    "the company is disabled": lambda gate: (
        IdentityProvider.objects.get().organisation.__class__.objects.update(enabled=False),
        raise_version(),
    ),
}


def only_the_caller_stays(gate):
    """What ends in these tests ends for the others: a gateway that is switched off itself learns nothing anyway."""
    Client.objects.filter(pk=gate.gateway.pk).update(enabled=True)
    Application.objects.filter(pk=gate.gateway.application_id).update(retired_at=None)
    raise_version()


@pytest.mark.parametrize("end", ENDS)
def test_a_service_s_token_ends_at_the_next_question_when(gate, end):
    token = gate.service_token()
    assert gate.is_active(token)
    ENDS[end](gate)
    only_the_caller_stays(gate)
    assert gate.introspect(token).json() == INACTIVE


@pytest.mark.parametrize("end", ENDS | PERSONAL_ENDS)
def test_a_person_s_token_ends_at_the_next_question_when(gate, end):
    token = gate.person_tokens()["access_token"]
    assert gate.is_active(token)
    (ENDS | PERSONAL_ENDS)[end](gate)
    only_the_caller_stays(gate)
    assert gate.introspect(token).json() == INACTIVE


@pytest.mark.parametrize("end", [end for end in ENDS | PERSONAL_ENDS if not end.startswith("the session")])
def test_a_refresh_token_ends_at_the_next_question_when(gate, end):
    token = gate.person_tokens(offline=True)["refresh_token"]
    caller = gate.desk.client
    assert gate.introspect(token, caller=caller).json()["active"] is True
    (ENDS | PERSONAL_ENDS)[end](gate)
    answer = gate.introspect(token, caller=caller)
    assert answer.json() == INACTIVE or answer.json()["error"] == "invalid_client"


def test_offline_access_outlives_the_session_and_its_access_token_too(gate):
    tokens = gate.person_tokens(offline=True)
    Session.objects.update(ended_at=timezone.now())
    assert gate.is_active(tokens["access_token"])
    assert gate.introspect(tokens["refresh_token"], caller=gate.desk.client).json()["active"] is True


def test_an_actor_that_is_switched_off_acts_for_nobody(gate):
    token = gate.service_token()
    Grant.objects.update(actors=[{"sub": "x", "client_id": gate.stranger.client_id}])
    assert gate.is_active(token)
    Client.objects.filter(pk=gate.stranger.pk).update(enabled=False)
    raise_version()
    assert gate.introspect(token).json() == INACTIVE


def test_one_token_ends_alone(gate):
    revoked, other = gate.service_token(), gate.service_token()
    RevokedToken.objects.create(
        jti=claims_of(revoked)["jti"], revoked_at=timezone.now(), expires_at=timezone.now() + timedelta(hours=1)
    )
    assert gate.introspect(revoked).json() == INACTIVE
    assert gate.is_active(other)


@pytest.mark.parametrize("enforcement", ["observe", "warn"])
def test_a_client_that_is_not_enforced_keeps_what_it_got_outside_a_flow_until_an_operator_ends_it(gate, enforcement):
    Client.objects.filter(pk=gate.service.pk).update(enforcement=enforcement)
    change(Flow, scopes=["invoices.write"])
    token = gate.ask(scope="invoices.read", resource=gate.resource.identifier).json()["access_token"]
    assert gate.is_active(token)
    change(Flow, ended_at=timezone.now())
    assert gate.introspect(token).json() == INACTIVE


def test_a_brown_out_leaves_what_was_issued(gate, time_machine):
    time_machine.move_to((gate.flow.ends_at - timedelta(hours=3)).replace(minute=1), tick=False)
    Flow.objects.update(expires=gate.flow.expires)
    change(Client, enforcement="observe")
    token = gate.service_token()
    change(Client, enforcement="enforce")
    assert gate.ask().json()["code"] == "flow.browned_out"
    assert gate.is_active(token)


def test_a_token_dies_at_its_end(gate, time_machine):
    start = timezone.now()
    time_machine.move_to(start, tick=False)
    token = gate.service_token()
    time_machine.move_to(start + timedelta(minutes=10), tick=False)
    assert gate.introspect(token).json() == INACTIVE


NO_TOKENS = ["x", "a.b.c", "..", "a.b", "é", "\u0000", "x" * 8_192, "." * 100, str(uuid.UUID(int=7))]


@pytest.mark.parametrize("token", [token for token in NO_TOKENS if token != "\u0000"])
def test_what_is_no_token_is_inactive_and_no_error(gate, token):
    response = gate.introspect(token)
    assert (response.status_code, response.json()) == (200, INACTIVE)


FORGERIES = {
    "another type": {"typ": "JWT"},
    "no type": {"typ": None},
    "another issuer": {"iss": "https://evil.example"},
    "another audience": {"aud": "https://unknown.example"},
    "two audiences": {"aud": ["https://a.example", "https://b.example"]},
    "another client": {"client_id": "nobody"},
    "another subject": {"sub": "nobody"},
    "another grant": {"gid": str(uuid.uuid4())},
    "no grant": {"gid": "x"},
    "expired": {"iat": 1_000_000_000, "exp": 1_000_000_600},
    "too long": {"exp": 4_000_000_000},
    "no jti": {"jti": None},
    "a scope that was never given": {"scope": "invoices.write"},
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_what_we_would_never_have_written_is_inactive(gate, forgery):
    claims = claims_of(gate.service_token())
    assert gate.introspect(forge(claims, **FORGERIES[forgery])).json() == INACTIVE


def test_a_signature_of_another_key_is_inactive(gate):
    head, payload, signature = gate.service_token().split(".")
    swapped = "A" if signature[10] != "A" else "B"
    assert gate.introspect(f"{head}.{payload}.{signature[:10]}{swapped}{signature[11:]}").json() == INACTIVE


# --- Who may ask ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["stranger", "service"])
def test_nobody_but_the_resource_s_introspectors_is_told(gate, name):
    assert gate.introspect(gate.service_token(), caller=getattr(gate, name)).json() == INACTIVE


def test_a_gateway_that_lost_its_place_is_told_nothing_at_the_next_question(gate):
    token = gate.service_token()
    assert gate.is_active(token)
    gate.resource.introspectors.clear()
    raise_version()
    assert gate.introspect(token).json() == INACTIVE


def test_the_application_is_not_told_of_its_own_access_token(gate):
    token = gate.person_tokens()["access_token"]
    assert gate.introspect(token, caller=gate.desk.client).json() == INACTIVE


@pytest.mark.parametrize("name", ["gateway", "stranger", "service"])
def test_a_refresh_token_is_its_own_client_s_affair(gate, name):
    token = gate.person_tokens(offline=True)["refresh_token"]
    assert gate.introspect(token, caller=getattr(gate, name)).json() == INACTIVE


def test_nobody_guards_our_own_userinfo_endpoint(gate):
    token = gate.desk.tokens()["access_token"]
    assert gate.introspect(token).json() == INACTIVE
    assert gate.introspect(token, caller=gate.desk.client).json() == INACTIVE


def test_a_used_refresh_token_is_inactive(gate):
    token = gate.person_tokens(offline=True)["refresh_token"]
    gate.desk.refresh(token)
    assert gate.introspect(token, caller=gate.desk.client).json() == INACTIVE


@pytest.mark.parametrize("model", [RefreshToken, Grant])
def test_a_refresh_token_past_its_end_is_inactive(gate, model):
    token = gate.person_tokens(offline=True)["refresh_token"]
    model.objects.update(expires_at=timezone.now())
    assert gate.introspect(token, caller=gate.desk.client).json() == INACTIVE


def test_every_inactive_answer_is_the_same_answer(gate):
    revoked = gate.service_token()
    Grant.objects.update(revoked_at=timezone.now())
    raise_version()
    foreign = gate.service_token()
    answers = [
        gate.introspect("x"),
        gate.introspect("a.b.c"),
        gate.introspect(revoked),
        gate.introspect(foreign, caller=gate.stranger),
        gate.introspect(forge(claims_of(foreign), iat=1_000_000_000, exp=1_000_000_600)),
        gate.introspect(gate.desk.tokens()["id_token"]),
    ]
    assert {answer.content for answer in answers} == {b'{"active": false}'}
    assert len({frozenset(answer.headers) for answer in answers}) == 1


def test_who_does_not_authenticate_is_told_nothing(gate):
    token = gate.service_token()
    assert_refused(post_form(ASK, {"token": token}), **INVALID_CLIENT, reason="no_credentials")
    wrong = gate.post(ASK, gate.gateway, secret="another-secret-0123456789abcdefghij", token=token)
    assert wrong.json()["error"] == "invalid_client"
    assert 'Basic realm="countersign"' in wrong["WWW-Authenticate"]
    bearer = post_form(ASK, {"token": token}, authorization=f"Bearer {token}")
    assert bearer.json()["error"] == "invalid_client"


def test_a_disabled_gateway_is_told_nothing(gate):
    token = gate.service_token()
    Client.objects.filter(pk=gate.gateway.pk).update(enabled=False)
    raise_version()
    assert gate.introspect(token).json()["error"] == "invalid_client"


def test_a_gateway_that_was_disabled_a_moment_ago_is_told_nothing(gate, still_memories):
    token = gate.service_token()
    assert gate.is_active(token)
    # Another process raised the version; this one still remembers the gateway as it was.
    Client.objects.filter(pk=gate.gateway.pk).update(enabled=False)

    RegistryVersion.objects.update(number=10**6)
    assert gate.introspect(token).json() == INACTIVE


def test_a_request_must_be_one_well_formed_post(gate):
    token = gate.service_token()
    authorization = basic(gate.gateway.client_id, CLIENT_SECRET)
    http = Http(raise_request_exception=False)
    assert http.get(ASK, {"token": token}, headers={"authorization": authorization}).status_code == 405
    response = gate.post(ASK, gate.gateway, token_type_hint="access_token")
    assert_refused(response, **INVALID_REQUEST, reason="missing")
    twice = post_form(ASK, [("token", token), ("token", token)], authorization=authorization)
    assert_refused(twice, **INVALID_REQUEST, reason="repeated")
    in_url = post_form(f"{ASK}?token={token}", {"token": token}, authorization=authorization)
    assert_refused(in_url, **INVALID_REQUEST, reason="query")
    both = post_form(ASK, {"token": token, "client_secret": CLIENT_SECRET}, authorization=authorization)
    assert_refused(both, **INVALID_REQUEST, reason="two_methods")
    as_json = http.post(
        ASK, {"token": token}, content_type="application/json", headers={"authorization": authorization}
    )
    assert_refused(as_json, **INVALID_REQUEST, reason="content_type")


# --- What it costs --------------------------------------------------------------------------------------------------
def test_a_warm_question_is_one_query_whatever_the_answer(gate, still_memories, django_assert_num_queries):
    token = gate.service_token()
    refresh_token = gate.person_tokens(offline=True)["refresh_token"]
    gate.introspect(token)
    gate.introspect(token, caller=gate.stranger)
    gate.introspect(refresh_token, caller=gate.desk.client)
    gate.introspect(forge(claims_of(token), aud="https://unknown.example"))
    with django_assert_num_queries(1) as captured:
        assert gate.is_active(token)
    assert captured.captured_queries[0]["sql"].startswith("SELECT")
    for question in (
        lambda: gate.introspect(token, caller=gate.stranger),
        lambda: gate.introspect("a.b.c"),
        lambda: gate.introspect("x"),
        lambda: gate.introspect(forge(claims_of(token), aud="https://unknown.example")),
        lambda: gate.introspect(refresh_token),
        lambda: gate.introspect(refresh_token, caller=gate.desk.client),
    ):
        with django_assert_num_queries(1):
            question()
    Grant.objects.update(revoked_at=timezone.now())
    with django_assert_num_queries(1):
        assert not gate.is_active(token)
