"""client_credentials through HTTP: a service gets a token for one resource, within an approved flow alone."""

from datetime import date, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from broker.actors import SYSTEM
from broker.events.models import Event
from broker.keys import jose
from broker.keys.ring import ring
from broker.registry.cache import raise_version
from broker.registry.models import Client, Flow, Resource
from broker.registry.registering.resources import register_own_resources
from broker.tokens.models import Grant
from tests.broker.tokens.desk import basic, lay_out_keys, post_form
from tests.broker.tokens.refusals import assert_refused
from tests.factories import CLIENT_SECRET, make_flow, make_resource, make_service
from tests.flows.stage import unverified_claims as claims_of

pytestmark = pytest.mark.django_db


class Service:
    """A service with a flow for one resource."""

    def __init__(self) -> None:
        lay_out_keys()
        self.client = make_service()
        self.resource = make_resource()
        self.flow = make_flow(self.client, self.resource)

    def ask(self, *, secret: str = CLIENT_SECRET, **changes: Any) -> Any:
        fields = {"grant_type": "client_credentials"} | changes
        return post_form("/oauth/token", fields, authorization=basic(self.client.client_id, secret))


@pytest.fixture
def service(db):
    yield Service()
    ring.forget()


def test_a_service_gets_a_token_for_its_one_resource(service):
    body = service.ask().json()
    claims = claims_of(body["access_token"])
    assert body["token_type"] == "Bearer"
    assert body["scope"] == claims["scope"] == "invoices.read"
    assert claims["iss"] == settings.BROKER_BASE_URL
    assert claims["aud"] == service.resource.identifier
    assert claims["sub"] == claims["client_id"] == service.client.client_id
    assert claims["exp"] - claims["iat"] == body["expires_in"] == 600
    assert "refresh_token" not in body
    assert "id_token" not in body
    assert "act" not in claims


@pytest.mark.parametrize("mode", list(Client.Enforcement))
@pytest.mark.parametrize("path", ["api/v1", "access"])
def test_in_no_mode_a_client_gets_a_token_for_an_api_of_our_own_without_a_flow(service, path, mode):
    Client.objects.update(enforcement=mode)
    register_own_resources(actor=SYSTEM)
    ours = Resource.objects.get(identifier=f"{settings.BROKER_BASE_URL}/{path}")
    asked = {"resource": ours.identifier}
    assert_refused(service.ask(**asked), error="invalid_target", code="flow.none", reason="flow")

    flow = make_flow(service.client, ours, scopes=list(ours.scopes))
    raise_version()
    assert service.ask(**asked).status_code == 200
    Flow.objects.filter(pk=flow.pk).update(expires=date(2020, 1, 1))
    raise_version()
    assert_refused(service.ask(**asked), error="invalid_target", code="flow.ended", reason="flow")


def test_the_event_names_flow_key_and_token(service):
    claims = claims_of(service.ask().json()["access_token"])
    event = Event.objects.filter(type="token.issued").get()
    assert event.subject_id == claims["gid"]
    assert event.actor_id == service.client.client_id
    assert event.details["jti"] == claims["jti"]
    assert event.details["flow"] == service.flow.pk
    assert event.details["resource"] == service.resource.identifier


def test_all_tokens_for_one_resource_are_one_family(service):
    gids = {claims_of(service.ask().json()["access_token"])["gid"] for _ in range(3)}
    assert gids == {str(Grant.objects.get().pk)}


def test_a_revoked_family_is_followed_by_another(service):
    first = claims_of(service.ask().json()["access_token"])["gid"]
    Grant.objects.update(revoked_at=timezone.now())
    raise_version()
    assert claims_of(service.ask().json()["access_token"])["gid"] != first


def test_no_token_outlives_its_flow(service, time_machine):
    time_machine.move_to(service.flow.ends_at - timedelta(minutes=4), tick=False)
    body = service.ask().json()
    assert body["expires_in"] == 240
    assert "flow-ends" in service.ask()["Countersign-Flow"]


def test_the_resource_can_be_named_and_its_algorithm_counts(service):
    Resource.objects.update(token_algorithm="ES256", token_lifetime=60)
    raise_version()
    for name in ("resource", "audience"):
        body = service.ask(**{name: service.resource.identifier}, scope="invoices.read").json()
        assert body["expires_in"] == 60
        assert jose.unverified_audience(body["access_token"], max_bytes=8192) == {service.resource.identifier}


@pytest.mark.parametrize(
    ("changes", "error", "code"),
    [
        ({"resource": "https://unknown.example"}, "invalid_target", "oauth.invalid_target"),
        ({"resource": "https://a.example", "audience": "https://b.example"}, "invalid_target", "oauth.invalid_target"),
        ({"scope": "invoices.write"}, "invalid_scope", "flow.scope"),
        ({"scope": "invoices.read invoices.write"}, "invalid_scope", "flow.scope"),
        ({"scope": "invoices.delete"}, "invalid_scope", "flow.scope_unknown"),
        ({"scope": "openid"}, "invalid_scope", "flow.scope_unknown"),
    ],
)
def test_what_the_flow_does_not_allow_is_refused(service, changes, error, code):
    response = service.ask(**changes)
    assert response.status_code == 400
    assert (response.json()["error"], response.json()["code"]) == (error, code)
    assert not Grant.objects.exists()
    assert not Event.objects.filter(type="token.issued").exists()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"state": Flow.State.PROPOSED, "approved_by": ""}, "flow.not_approved"),
        ({"expires": date(2020, 1, 1)}, "flow.ended"),
        ({"subject_class": "person"}, "flow.subject_class"),
        ({"grant": "token_exchange"}, "flow.none"),
        ({"scopes": []}, "flow.scope"),
    ],
)
def test_a_flow_that_does_not_fit_issues_nothing(service, change, code):
    Flow.objects.update(**change)
    raise_version()
    response = service.ask(resource=service.resource.identifier)
    assert response.status_code == 400
    assert response.json()["code"] == code


@pytest.mark.parametrize("enforcement", ["observe", "warn"])
def test_a_client_that_is_not_enforced_yet_gets_what_the_resource_has(service, enforcement):
    Client.objects.update(enforcement=enforcement)
    raise_version()
    response = service.ask(resource=service.resource.identifier, scope="invoices.write")
    assert response.json()["scope"] == "invoices.write"
    assert response.get("Countersign-Flow", "") == ("outside-flow" if enforcement == "warn" else "")


def test_without_a_resource_the_flows_have_to_tell_which(service):
    make_flow(service.client, make_resource())
    assert_refused(service.ask(), error="invalid_target", code="oauth.invalid_target", reason="unnamed")
    Flow.objects.all().delete()
    raise_version()
    assert_refused(service.ask(), error="invalid_target", code="oauth.invalid_target", reason="unnamed")


def test_an_application_s_sign_on_client_cannot_ask_in_its_own_name(service):
    Client.objects.update(kind="sign_on")
    raise_version()
    assert_refused(service.ask(), error="unauthorized_client", code="oauth.unauthorized_client", reason="kind")


@pytest.mark.parametrize("change", [{"enabled": False}, {"retired_at": timezone.now()}])
def test_a_client_that_is_switched_off_gets_nothing(service, change):
    Client.objects.update(**change)
    raise_version()
    assert service.ask().json()["error"] == "invalid_client"


def test_an_application_that_is_switched_off_takes_its_services_along(service):
    service.client.application.__class__.objects.update(enabled=False)
    raise_version()
    assert_refused(service.ask(), error="invalid_grant", code="oauth.invalid_grant", reason="application")


def test_a_wrong_secret_gets_nothing(service):
    assert service.ask(secret="another-secret-0123456789abcdefghij").json()["error"] == "invalid_client"
