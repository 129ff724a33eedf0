"""Access tokens at the decision endpoints: meant for them, the client's own, with the scope, live, and with its key."""

from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from broker.access.points import register_point
from broker.actors import SYSTEM
from broker.keys.ring import ring
from broker.registry.cache import raise_version
from broker.registry.models import Application, Flow
from broker.tokens.models import Grant
from tests.broker.access.gateway import Gateway, action, entity, make_gateway
from tests.broker.access.policies import activate
from tests.broker.tokens.desk import Desk, lay_out_keys, post_form
from tests.broker.tokens.estate import Estate
from tests.factories import make_application, make_flow, make_resource
from tests.fakes.prover import Prover
from tests.flows.stage import unverified_claims

pytestmark = pytest.mark.django_db

ASKED = {"subject": entity("user", "alice"), "action": action("read"), "resource": entity("record", "1")}
EVERYBODY = "permit (principal, action, resource is record);"


@pytest.fixture
def gateway():
    """A gateway whose client has a flow for the decision endpoints and for another API."""
    lay_out_keys()
    made = make_gateway(policy=EVERYBODY)
    here = make_resource(
        identifier=f"{settings.BROKER_BASE_URL}/access", scopes={"access.evaluate": "Ask", "access.other": "Nothing"}
    )
    make_flow(made.client, here, scopes=["access.evaluate", "access.other"])
    make_flow(made.client, make_resource(identifier="https://api.example", scopes={"access.evaluate": "Ask"}))
    yield made
    ring.forget()


def token_for(gateway: Gateway, **fields: Any) -> str:
    asked = {"grant_type": "client_credentials", "resource": f"{settings.BROKER_BASE_URL}/access"} | fields
    answer = post_form("/oauth/token", asked, authorization=gateway.authorization)
    assert answer.status_code == 200, answer.content
    return answer.json()["access_token"]


def ask(gateway: Gateway, token: str, *, scheme: str = "Bearer", **headers: str) -> Any:
    return gateway.evaluate(**ASKED, headers={"Authorization": f"{scheme} {token}"} | headers)


def test_a_token_for_the_decision_endpoints_opens_them(gateway):
    assert ask(gateway, token_for(gateway)).json()["decision"] is True


def test_a_token_asks_about_its_client_s_own_resources_alone(gateway):
    token = token_for(gateway)
    body = {**ASKED, "resource": entity("invoice", "1")}
    answer = gateway.evaluate(**body, headers={"Authorization": f"Bearer {token}"})
    assert answer.json()["decision"] is False


def test_a_token_without_the_scope_is_forbidden(gateway):
    answer = ask(gateway, token_for(gateway, scope="access.other"))
    assert answer.status_code == 403
    assert answer.json()["code"] == "access.insufficient_scope"
    assert 'scope="access.evaluate"' in answer["WWW-Authenticate"]


def test_a_token_for_another_api_is_refused(gateway):
    assert ask(gateway, token_for(gateway, resource="https://api.example")).status_code == 401


def test_a_person_s_token_is_refused():
    """Neither a sign-on's own tokens nor one that it got for the decision endpoints lets an application ask."""
    desk = Desk()
    gateway = make_gateway(policy=EVERYBODY)
    tokens = desk.tokens()
    assert ask(gateway, tokens["access_token"]).status_code == 401
    assert ask(gateway, tokens["id_token"]).status_code == 401
    here = make_resource(identifier=f"{settings.BROKER_BASE_URL}/access", scopes={"access.evaluate": "Ask"})
    make_flow(
        desk.client, here, grant=Flow.Grant.AUTHORIZATION_CODE, subject_class=Flow.SubjectClass.PERSON, data_classes=[]
    )
    answer = desk.redeem(desk.code(scopes=("openid", "access.evaluate"), resource=here), resource=here.identifier)
    assert unverified_claims(answer.json()["access_token"])["aud"] == here.identifier
    assert ask(gateway, answer.json()["access_token"]).status_code == 401
    ring.forget()


def test_a_token_that_the_client_got_in_another_one_s_name_is_refused():
    estate = Estate()
    here = make_resource(identifier=f"{settings.BROKER_BASE_URL}/access", scopes={"access.evaluate": "Ask"})
    make_flow(estate.erp.client, here, scopes=["access.evaluate"], grant=Flow.Grant.TOKEN_EXCHANGE)
    register_point(estate.erp.client, resource_types={"record": ["read"]}, actor=SYSTEM)
    gateway = Gateway(estate.erp.client, None)
    activate(EVERYBODY)
    assert gateway.evaluate(**ASKED).json()["decision"] is True

    exchanged = estate.exchange(estate.erp.client, estate.own(estate.crm, estate.erp), resource=here.identifier)

    assert ask(gateway, estate.token(exchanged)).status_code == 401
    ring.forget()


@pytest.mark.parametrize("change", [{"enabled": False}, {"retired_at": timezone.now()}], ids=["off", "retired"])
def test_a_client_s_secret_opens_nothing_when_its_application_is_switched_off(change):
    gateway = make_gateway(policy=EVERYBODY, application=make_application())
    assert gateway.evaluate(**ASKED).json()["decision"] is True
    Application.objects.update(**change)
    raise_version()
    assert gateway.evaluate(**ASKED).status_code == 401


def test_a_token_that_was_altered_or_is_none_of_ours_is_refused(gateway):
    token = token_for(gateway)
    head, body, signature = token.split(".")
    for forged in (f"{head}.{body}.", f"{head}.{body[:-4]}AAAA.{signature}", body, token + token, "x" * 9_000):
        assert ask(gateway, forged).status_code == 401


def test_a_token_is_over_with_its_grant(gateway):
    token = token_for(gateway)
    Grant.objects.update(revoked_at=timezone.now(), revoke_reason="suite")
    raise_version()
    assert ask(gateway, token).status_code == 401


def test_a_token_is_over_when_its_client_is_switched_off(gateway):
    token = token_for(gateway)
    type(gateway.client).objects.filter(pk=gateway.client.pk).update(enabled=False)
    raise_version()
    assert ask(gateway, token).status_code == 401


def test_a_token_that_is_bound_to_no_key_does_not_come_as_one_that_is(gateway):
    assert ask(gateway, token_for(gateway), scheme="DPoP", DPoP="x").status_code == 401


ADDRESS = f"{settings.BROKER_BASE_URL}/access/v1/evaluation"


@pytest.fixture
def bound(gateway) -> tuple[Prover, str]:
    """A key, and a token that is bound to it."""
    prover = Prover()
    where = f"{settings.BROKER_BASE_URL}/oauth/token"
    asked = {"grant_type": "client_credentials", "resource": f"{settings.BROKER_BASE_URL}/access"}
    for _ in range(2):  # the first answer brings the nonce
        answer = post_form("/oauth/token", asked, authorization=gateway.authorization, dpop=prover.proof("POST", where))
        prover.nonce = answer["DPoP-Nonce"]
    assert answer.json()["token_type"] == "DPoP"
    return prover, answer.json()["access_token"]


def test_a_bound_token_comes_with_a_proof_of_its_key(gateway, bound):
    prover, token = bound
    proof = prover.proof("POST", ADDRESS, access_token=token)
    assert ask(gateway, token, scheme="DPoP", DPoP=proof).json()["decision"] is True
    assert ask(gateway, token, scheme="DPoP", DPoP=proof).status_code == 401, "a proof works once"


def test_a_bound_token_is_worth_nothing_without_its_key(gateway, bound):
    prover, token = bound
    thief = Prover()
    thief.nonce = prover.nonce
    assert ask(gateway, token).status_code == 401
    assert ask(gateway, token, scheme="DPoP").status_code == 401
    assert ask(gateway, token, scheme="DPoP", DPoP=thief.proof("POST", ADDRESS, access_token=token)).status_code == 401


def test_a_proof_without_our_nonce_is_told_the_nonce(gateway, bound):
    prover, token = bound
    prover.nonce = ""
    answer = ask(gateway, token, scheme="DPoP", DPoP=prover.proof("POST", ADDRESS, access_token=token))
    assert answer.status_code == 401
    assert 'error="use_dpop_nonce"' in answer["WWW-Authenticate"]
    prover.nonce = answer["DPoP-Nonce"]
    proof = prover.proof("POST", ADDRESS, access_token=token)
    assert ask(gateway, token, scheme="DPoP", DPoP=proof).json()["decision"] is True
