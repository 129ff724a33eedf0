"""grant_type=jwt-bearer through HTTP (RFC 7523): an identity provider's JWT, made for us, brings a person's token."""

from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from broker.events.models import Event
from broker.keys.ring import ring
from broker.once.models import UsedValue
from broker.registry.cache import raise_version
from broker.registry.models import Flow, IdentityProvider
from broker.tokens.models import Grant
from tests.broker.tokens.estate import ID_TOKEN
from tests.broker.tokens.refusals import assert_refused
from tests.fakes.fake_op import ALICE, CLIENT_ID, running
from tests.fakes.tokens import rs256, rsa_key, unsigned
from tests.flows.foreign_stage import Foreigners
from tests.flows.stage import unverified_claims as claims_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def stage(db, settings):
    settings.OUTGOING_NETWORKS = ["127.0.0.0/8"]
    settings.OUTGOING_PROXY = ""
    with running() as provider:
        yield Foreigners(provider)
    ring.forget()


def refused(response: Any, reason: str) -> None:
    assert_refused(response, reason=reason)
    assert not Grant.objects.filter(grant_type="jwt_bearer", created_at__gt=timezone.now()).exists()
    assert not Event.objects.filter(type="token.issued").exists()


def test_an_assertion_brings_a_token_that_names_who_asked(stage):
    response = stage.bear(stage.assertion())
    body = response.json()
    assert response.status_code == 200, body
    claims = claims_of(body["access_token"])
    assert claims["sub"] == str(stage.alice.pk)
    assert claims["act"] == {"sub": "nightly", "client_id": "nightly"}
    assert claims["aud"] == stage.erp.resource.identifier
    assert body["scope"] == "orders.read"
    assert not {"refresh_token", "id_token", "issued_token_type"} & set(body)
    event = Event.objects.get(type="token.issued")
    assert event.details["person"] == str(stage.alice.pk)
    assert event.details["subject_token"] == f"{stage.globex.pk} the-jti"
    assert event.connection == "globex"


def test_no_token_outlives_its_assertion(stage, time_machine):
    now = timezone.now().replace(microsecond=0) + timedelta(seconds=1)
    time_machine.move_to(now, tick=False)
    seconds = int(now.timestamp())
    assert stage.bear(stage.assertion(iat=seconds, exp=seconds + 42)).json()["expires_in"] == 42


def test_an_assertion_with_an_id_works_once(stage):
    assertion = stage.assertion()
    assert stage.bear(assertion).status_code == 200
    assert_refused(stage.bear(assertion), reason="replayed")
    assert_refused(stage.bear(stage.assertion()), reason="replayed")
    assert stage.bear(stage.assertion(jti="another")).status_code == 200
    assert Grant.objects.count() == 2


def test_an_assertion_that_brought_nothing_is_not_used_up(stage):
    assertion = stage.assertion()
    assert stage.bear(assertion, scope="orders.write").json()["error"] == "invalid_scope"
    assert not UsedValue.objects.filter(kind="jwt-bearer").exists()
    assert stage.bear(assertion).status_code == 200


def test_an_assertion_without_an_id_works_until_it_ends(stage):
    assertion = stage.assertion(jti=...)
    assert [stage.bear(assertion).status_code for _ in range(2)] == [200, 200]


@pytest.mark.parametrize("change", [{"impersonation": True}])
def test_an_explicit_flow_lets_the_client_become_the_person(stage, change):
    Flow.objects.filter(grant="jwt_bearer").update(**change)
    raise_version()
    assert "act" not in claims_of(stage.bear(stage.assertion()).json()["access_token"])
    assert Grant.objects.get().impersonation


def test_a_flow_for_exchanges_is_none_for_assertions(stage):
    Flow.objects.filter(grant="jwt_bearer").delete()
    raise_version()
    body = stage.bear(stage.assertion()).json()
    assert (body["error"], body["code"]) == ("invalid_target", "flow.none")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"aud": CLIENT_ID}, "oidc.audience"),
        ({"aud": f"{settings.BROKER_BASE_URL}/oauth/token"}, "oidc.audience"),
        ({"aud": f"{settings.BROKER_BASE_URL}/"}, "oidc.audience"),
        ({"aud": [settings.BROKER_BASE_URL, "https://elsewhere.example"]}, "oidc.audience"),
        ({"aud": ...}, "oidc.claim"),
        ({"iss": "https://evil.example"}, "oidc.issuer"),
        ({"iss": settings.BROKER_BASE_URL}, "oidc.issuer"),
        ({"iss": "nightly", "sub": "nightly"}, "oidc.issuer"),
        ({"sub": ...}, "oidc.claim"),
        ({"sub": "bob"}, "account.unknown"),
        ({"sub": CLIENT_ID}, "oidc.subject"),
        ({"exp": ...}, "oidc.claim"),
        ({"exp": 1}, "oidc.expired"),
        ({"exp": 4_000_000_000}, "oidc.lifetime"),
        ({"iat": ...}, "oidc.claim"),
        ({"iat": 4_000_000_000}, "oidc.lifetime"),
        ({"nbf": 4_000_000_000}, "oidc.lifetime"),
        ({"act": {"sub": "mallory"}}, "oidc.claim"),
        ({"may_act": {"sub": "nightly"}}, "may_act"),
        ({"may_act": {"sub": "erp", "iss": settings.BROKER_BASE_URL}}, "may_act"),
        ({"scope": "orders.read"}, "oidc.type"),
        ({"client_id": "nightly"}, "oidc.type"),
        ({"typ": "Bearer"}, "oidc.type"),
        ({"events": {}}, "oidc.type"),
        ({"jti": ""}, "oidc.claim"),
        ({"jti": 5}, "oidc.claim"),
    ],
)
def test_what_is_no_assertion_for_us_is_refused(stage, changes, reason):
    refused(stage.bear(stage.assertion(**changes)), reason)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"sign": unsigned, "header": {"alg": "none"}}, "oidc.algorithm"),
        ({"sign": rs256(rsa_key(number=9))}, "oidc.signature"),
        ({"header": {"kid": "unknown"}}, "oidc.key"),
        ({"header": {"typ": "at+jwt"}}, "oidc.type"),
        ({"header": {"typ": "oauth-id-jag+jwt"}}, "oidc.type"),
        ({"header": {"typ": "client-authentication+jwt"}}, "oidc.type"),
        ({"header": {"crit": ["exp"]}}, "oidc.header"),
    ],
)
def test_an_assertion_that_its_provider_did_not_sign_as_one_is_refused(stage, options, reason):
    refused(stage.bear(stage.assertion(**options)), reason)


@pytest.mark.parametrize("raw", ["x", "a.b.c", "e30.e30.", "eyJhbGciOiJub25lIn0.e30.", "é"])
def test_nonsense_is_refused(stage, raw):
    body = stage.bear(raw).json()
    assert (body["error"], body["code"]) == ("invalid_grant", "oauth.invalid_grant")


def test_an_id_token_for_us_is_no_assertion_and_an_assertion_is_no_id_token(stage):
    refused(stage.bear(stage.jwt()), "oidc.audience")
    response = stage.exchange(stage.assertion(), ID_TOKEN)
    assert_refused(response, error="invalid_request", code="oauth.subject_token", reason="oidc.issuer")


def test_a_token_of_ours_is_no_assertion(stage):
    token = stage.exchange(stage.jwt()).json()["access_token"]
    assert_refused(stage.bear(token), reason="oidc.issuer")


def test_assertion_and_resource_are_required(stage):
    assert_refused(stage.bear(""), error="invalid_request", code="oauth.invalid_request", reason="missing")
    response = stage.bear(stage.assertion(), resource=None)
    assert_refused(response, error="invalid_target", code="oauth.invalid_target", reason="unnamed")


def test_a_leaver_and_a_provider_that_is_switched_off_bring_nothing(stage):
    type(stage.alice).objects.filter(pk=stage.alice.pk).update(is_active=False)
    refused(stage.bear(stage.assertion()), "account.inactive")
    type(stage.alice).objects.filter(pk=stage.alice.pk).update(is_active=True)
    IdentityProvider.objects.filter(pk=stage.globex.pk).update(enabled=False)
    raise_version()
    refused(stage.bear(stage.assertion()), "oidc.issuer")


def test_every_refusal_of_an_assertion_looks_the_same(stage):
    answers = set()
    for assertion in ("x", stage.assertion(sub="bob"), stage.assertion(exp=1), stage.assertion(aud=ALICE["sub"])):
        body = stage.bear(assertion).json()
        body.pop("trace_id")
        answers.add(tuple(sorted(body.items())))
    assert len(answers) == 1
