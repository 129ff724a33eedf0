"""A sign-on that asks for a resource (RFC 8707): the access token is for that API alone, within an approved flow."""

from datetime import date
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client as Http

from broker.actors import Actor, ActorKind
from broker.registry.cache import raise_version
from broker.registry.models import Flow, Resource
from broker.tokens.authorization import issue_code
from broker.tokens.models import Grant
from tests.broker.tokens.desk import REDIRECT_URI, TRACE_ID, Desk
from tests.broker.tokens.refusals import assert_refused
from tests.broker.tokens.test_par import request_of
from tests.factories import make_flow, make_resource
from tests.flows.stage import unverified_claims

pytestmark = pytest.mark.django_db
SCOPES = ("openid", "email", "offline_access", "invoices.read")


class WithResource:
    """An application whose sign-ons may reach an API."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.resource = make_resource()
        self.flow = make_flow(
            desk.client, self.resource, grant=Flow.Grant.AUTHORIZATION_CODE, subject_class=Flow.SubjectClass.PERSON
        )

    def code(self, scopes: tuple[str, ...] = SCOPES) -> str:
        return issue_code(
            self.desk.client,
            session=self.desk.participant.session,
            participant=self.desk.participant,
            redirect_uri=REDIRECT_URI,
            scopes=scopes,
            nonce="the-nonce",
            code_challenge="",
            context="",
            actor=Actor(ActorKind.PERSON, str(self.desk.person.pk), "192.0.2.1", TRACE_ID),
            resource=self.resource,
        )

    def redeem(self, scopes: tuple[str, ...] = SCOPES, **changes: Any) -> Any:
        return self.desk.redeem(self.code(scopes), code_verifier=None, **changes)


@pytest.fixture
def api(desk: Desk) -> WithResource:
    return WithResource(desk)


def ask(desk: Desk, **changes: Any) -> str:
    query = urlencode(request_of(client_id=desk.client.client_id, prompt="none") | changes)
    return str(Http().get(f"/oauth/authorize?{query}")["Location"])


def test_the_access_token_is_for_the_resource_and_the_id_token_for_the_client(api):
    body = api.redeem().json()
    claims = unverified_claims(body["access_token"])
    assert claims["aud"] == api.resource.identifier
    assert claims["scope"] == "invoices.read"
    assert claims["sub"] == str(api.desk.person.pk)
    assert claims["auth_time"]
    assert unverified_claims(body["id_token"])["aud"] == api.desk.client.client_id
    assert set(body["scope"].split()) == set(SCOPES)


def test_it_is_no_token_for_userinfo(api):
    response = api.desk.userinfo(api.redeem().json()["access_token"])
    assert_refused(response, error="invalid_token", code="oauth.invalid_token", status=401, reason="jwt.audience")


def test_a_refresh_keeps_the_resource(api):
    refreshed = api.desk.refresh(api.redeem().json()["refresh_token"], resource=api.resource.identifier).json()
    assert unverified_claims(refreshed["access_token"])["aud"] == api.resource.identifier


def test_without_a_scope_of_the_resource_the_flow_says_what_is_given(api):
    body = api.redeem(("openid",)).json()
    assert unverified_claims(body["access_token"])["scope"] == "invoices.read"


def test_the_person_s_own_class_of_flow_counts(api):
    Flow.objects.update(subject_class="client")
    raise_version()
    assert_refused(api.redeem(), error="invalid_target", code="flow.subject_class", reason="flow")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"state": "proposed", "approved_by": ""}, "flow.not_approved"),
        ({"expires": date(2020, 1, 1)}, "flow.ended"),
        ({"grant": "client_credentials"}, "flow.none"),
    ],
)
def test_without_an_approved_flow_nothing_is_given_and_the_code_stays_good(api, change, code):
    before = dict(Flow.objects.values("state", "approved_by", "expires", "grant").get())
    Flow.objects.update(**change)
    raise_version()
    kept = api.code()
    refused = api.desk.redeem(kept, code_verifier=None)
    assert_refused(refused, error="invalid_target", code=code, reason="flow")
    assert not Grant.objects.exists()
    Flow.objects.filter(is_draft=False).update(**before)
    raise_version()
    assert api.desk.redeem(kept, code_verifier=None).status_code == 200


def test_an_ended_flow_ends_the_refresh(api):
    token = api.redeem().json()["refresh_token"]
    Flow.objects.update(expires=date(2020, 1, 1))
    raise_version()
    assert_refused(api.desk.refresh(token), error="invalid_target", code="flow.ended", reason="flow")


def test_a_scope_beyond_the_flow_is_refused(api):
    response = api.redeem(("openid", "invoices.write"))
    assert_refused(response, error="invalid_scope", code="flow.scope", reason="flow")


def test_the_token_request_cannot_name_another_resource(api):
    other = make_resource()
    response = api.redeem(resource=other.identifier)
    assert_refused(response, error="invalid_target", code="oauth.invalid_target", reason="not_granted")
    refused = api.desk.refresh(api.redeem().json()["refresh_token"], resource=other.identifier)
    assert_refused(refused, error="invalid_target", code="oauth.invalid_target", reason="not_granted")


def test_a_sign_on_without_a_resource_gets_none_at_the_token_endpoint(api):
    response = api.desk.redeem(api.desk.code(), resource=api.resource.identifier)
    assert_refused(response, error="invalid_target", code="oauth.invalid_target", reason="not_granted")


def test_a_refresh_does_not_widen_to_a_scope_that_was_not_granted(api):
    token = api.redeem(("openid", "offline_access", "invoices.read")).json()["refresh_token"]
    response = api.desk.refresh(token, scope="openid email invoices.read")
    assert_refused(response, error="invalid_scope", code="oauth.invalid_scope", reason="widened")


@pytest.mark.parametrize("scopes", [("openid", "offline_access"), SCOPES])
def test_a_refresh_does_not_widen_with_its_flow(api, scopes):
    body = api.redeem(scopes).json()
    Resource.objects.update(scopes={"invoices.read": "Read", "invoices.write": "Write"})
    Flow.objects.update(scopes=["invoices.read", "invoices.write"])
    raise_version()
    body = api.desk.refresh(body["refresh_token"]).json()
    assert unverified_claims(body["access_token"])["scope"] == "invoices.read"
    response = api.desk.refresh(body["refresh_token"], scope="openid invoices.write")
    assert_refused(response, error="invalid_scope", code="oauth.invalid_scope", reason="widened")


def test_a_resource_that_is_gone_takes_its_codes_along(api):
    code = api.code()
    Flow.objects.all().delete()
    Resource.objects.all().delete()
    raise_version()
    assert_refused(api.desk.redeem(code, code_verifier=None), reason="unknown")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"resource": "https://unknown.example"}, "invalid_target"),
        ({"resource": "https://unknown.example/\u00e9"}, "invalid_target"),
        ({"scope": "openid invoices.read"}, "invalid_scope"),
    ],
)
def test_the_authorization_endpoint_refuses_what_no_token_could_be_for(api, changes, error):
    assert f"error={error}" in ask(api.desk, **changes)


def test_the_authorization_endpoint_takes_one_registered_resource_with_its_scopes(api):
    good = ask(api.desk, resource=api.resource.identifier, scope="openid invoices.read")
    assert "error=login_required" in good
    query = urlencode(
        [
            *request_of(client_id=api.desk.client.client_id).items(),
            ("resource", api.resource.identifier),
            ("resource", make_resource().identifier),
        ]
    )
    assert "error=invalid_target" in Http().get(f"/oauth/authorize?{query}")["Location"]
