"""Laundering by exchange: each test sends what would turn a token into more than it was. All of it is refused.

Tokens with other claims bear our real signature: what is tested is that the rules hold, not that forging is hard.
"""

import base64
import json
from datetime import timedelta

import pytest
from django.utils import timezone

from broker.events.models import Event
from broker.keys.ring import ring
from broker.registry.cache import raise_version
from broker.registry.models import Resource
from broker.tokens.models import Grant, RevokedToken
from tests.broker.tokens.estate import ACCESS_TOKEN, ID_TOKEN, JWT, SAML2, Estate, make_api, signed_again
from tests.broker.tokens.refusals import assert_refused
from tests.factories import make_application, make_flow, make_resource, make_service
from tests.flows.stage import unverified_claims as claims_of

pytestmark = pytest.mark.django_db
BROKER = "http://localhost:8000"


@pytest.fixture
def estate(db):
    yield Estate()
    ring.forget()


def refused(response, reason, *, what="subject_token"):
    """Refused, in the one shape that all of these have, and nothing was given."""
    assert_refused(response, error="invalid_request", code=f"oauth.{what}", reason=reason)


# --- The actor is left out, or swapped --------------------------------------------------------------------------------
def test_a_token_with_an_actor_is_not_exchanged_without_one(estate):
    refused(estate.exchange(estate.erp.client, estate.at_erp(), estate.hr), "actor", what="delegation")


def test_nor_where_a_flow_lets_the_client_become_the_person(estate):
    estate.change(estate.flows["erp"], impersonation=True)
    refused(estate.exchange(estate.erp.client, estate.at_erp(), estate.hr), "actor", what="delegation")


def test_impersonation_never_drops_an_actor_that_is_there(estate):
    estate.change(estate.flows["erp"], impersonation=True)
    claims = claims_of(estate.at_hr())
    assert claims["act"] == {"sub": "erp", "client_id": "erp", "act": {"sub": "crm", "client_id": "crm"}}
    assert not Grant.objects.get(pk=claims["gid"]).impersonation


def test_whoever_sends_an_actor_token_asks_for_delegation(estate):
    estate.change(estate.flows["crm"], impersonation=True)
    assert claims_of(estate.at_erp(actor=estate.own(estate.crm, estate.erp)))["act"]["client_id"] == "crm"


def test_a_client_s_own_actor_token_does_not_stand_for_the_one_that_the_token_names(estate):
    actor = estate.own(estate.erp.client, estate.hr)
    response = estate.exchange(estate.erp.client, estate.at_erp(), estate.hr, actor=actor)
    refused(response, "actor", what="delegation")


def test_a_third_client_s_token_puts_nobody_into_the_chain(estate):
    estate.let(estate.ledger.client, estate.erp)
    stranger = estate.own(estate.ledger.client, estate.erp)
    response = estate.exchange(estate.erp.client, estate.at_erp(), estate.hr, actor=stranger)
    refused(response, "actor", what="actor_token")
    estate.let(estate.erp.client, estate.erp)
    response = estate.exchange(estate.crm, estate.signed_on(), estate.erp, actor=stranger)
    refused(response, "not_meant", what="actor_token")


def test_an_actor_further_back_in_the_chain_is_not_the_present_one(estate):
    estate.let(estate.crm, estate.hr)
    actor = estate.own(estate.crm, estate.hr)
    response = estate.exchange(estate.hr.client, estate.at_hr(), estate.ledger, actor=actor)
    refused(response, "actor", what="actor_token")


def test_an_actor_token_that_was_sent_to_somebody_else_is_not_ours_to_show(estate):
    estate.let(estate.crm, estate.ledger)
    actor = estate.own(estate.crm, estate.ledger)
    response = estate.exchange(estate.erp.client, estate.at_erp(), estate.hr, actor=actor)
    refused(response, "not_meant", what="actor_token")


def test_a_person_s_token_proves_no_actor(estate):
    token = estate.at_erp()
    refused(estate.exchange(estate.crm, token, actor=token), "subject", what="actor_token")
    signed_on = estate.signed_on()
    response = estate.exchange(estate.crm, estate.signed_on(), estate.erp, actor=signed_on)
    refused(response, "subject", what="actor_token")


def test_a_service_s_token_that_another_one_holds_proves_no_actor(estate):
    """The ERP became the CRM by an impersonation flow; it is not the CRM for all that."""
    estate.change(estate.flows["erp"], impersonation=True, subject_class="client")
    posing = estate.token(estate.exchange(estate.erp.client, estate.own(estate.crm, estate.erp), estate.hr))
    assert claims_of(posing)["sub"] == "crm"
    assert "act" not in claims_of(posing)
    estate.change(estate.flows["erp"], subject_class="person")
    response = estate.exchange(estate.erp.client, estate.at_erp(), estate.hr, actor=posing)
    refused(response, "flow.subject_class", what="actor_token")
    estate.change(estate.flows["erp"], subject_class="client")
    response = estate.exchange(estate.erp.client, estate.at_erp(), estate.hr, actor=posing)
    refused(response, "subject", what="actor_token")


@pytest.mark.parametrize(
    "act",
    [
        None,
        {"sub": "erp", "client_id": "erp"},
        {"sub": "crm"},
        {"sub": "crm", "client_id": "crm", "act": {"sub": "erp", "client_id": "erp"}},
        {},
        "crm",
        [],
    ],
)
def test_a_token_whose_actor_is_not_the_one_of_its_grant_is_none(estate, act):
    token = signed_again(estate.at_erp(), act=act)
    refused(estate.exchange(estate.crm, token), "jwt.claim")


# --- Who may act ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "may_act",
    [
        {"sub": "erp"},
        {"client_id": "erp"},
        {"sub": "crm", "client_id": "erp"},
        {"sub": "crm", "iss": "https://elsewhere.example"},
        {"sub": "crm", "email": "crm@acme.example"},
        {"sub": ["crm"]},
        {"iss": BROKER},
        {},
        [],
        "crm",
        True,
    ],
)
def test_who_is_not_the_one_that_may_act_does_not(estate, may_act):
    token = signed_again(estate.signed_on(), may_act=may_act)
    refused(estate.exchange(estate.crm, token, estate.erp), "may_act", what="delegation")


def test_may_act_is_not_got_round_by_becoming_the_person(estate):
    estate.change(estate.flows["crm"], impersonation=True)
    token = signed_again(estate.signed_on(), may_act={"sub": "erp"})
    refused(estate.exchange(estate.crm, token, estate.erp), "may_act", what="delegation")


def test_who_may_act_acts_and_does_not_become_the_person(estate):
    estate.change(estate.flows["crm"], impersonation=True)
    token = signed_again(estate.signed_on(), may_act={"sub": "crm", "client_id": "crm"})
    claims = claims_of(estate.token(estate.exchange(estate.crm, token, estate.erp)))
    assert claims["act"]["client_id"] == "crm"
    assert "may_act" not in claims


# --- How often --------------------------------------------------------------------------------------------------------
def test_a_fourth_actor_is_one_too_many(estate):
    actor = estate.own(estate.hr.client, estate.ledger)
    response = estate.exchange(estate.ledger.client, estate.at_ledger(), estate.vault, actor=actor)
    refused(response, "depth", what="delegation")


def test_going_round_in_a_circle_is_counted(estate):
    token = estate.at_erp()
    for _ in range(2):
        token = estate.token(estate.exchange(estate.crm, token))
    refused(estate.exchange(estate.crm, token), "depth", what="delegation")


def test_exchanges_that_name_no_actor_are_counted_too(estate):
    estate.change(estate.flows["crm"], impersonation=True)
    token = estate.at_erp()
    for _ in range(2):
        token = estate.token(estate.exchange(estate.crm, token))
        assert "act" not in claims_of(token)
    refused(estate.exchange(estate.crm, token), "depth", what="delegation")


# --- The audience -----------------------------------------------------------------------------------------------------
def test_a_token_that_was_sent_to_another_service_is_not_exchanged(estate):
    """HR took a token that was on its way to the ERP, and has a flow for what it would like to have for it."""
    estate.let(estate.hr.client, estate.erp)
    actor = estate.own(estate.crm, estate.erp)
    refused(estate.exchange(estate.hr.client, estate.at_erp(), estate.ledger, actor=actor), "not_meant")
    refused(estate.exchange(estate.hr.client, estate.at_erp(), estate.erp, actor=actor), "not_meant")


def test_a_sign_on_s_token_is_only_exchanged_within_its_application(estate):
    refused(estate.exchange(estate.erp.client, estate.signed_on(), estate.hr), "not_meant")


def test_a_client_does_not_hop_on_with_the_token_that_it_sends_to_another(estate):
    """What the CRM got for the ERP is the ERP's to exchange: the CRM has no way to HR through it."""
    estate.let(estate.crm, estate.hr)
    refused(estate.exchange(estate.crm, estate.at_erp(), estate.hr), "not_meant")


def test_services_without_an_application_are_not_one_application(estate):
    lonely, other = (
        make_service(client_id="lonely", application=None),
        make_service(client_id="other", application=None),
    )
    estate.let(lonely, estate.erp)
    api = make_api("api", scopes=("x",))
    estate.let(other, api)
    estate.change(estate.flows["other"], subject_class="client")
    refused(estate.exchange(other, estate.own(lonely, estate.erp), api), "not_meant")


def test_a_gateway_exchanges_what_is_sent_to_the_apis_that_it_serves(estate):
    gateway = make_service(client_id="gateway", application=None)
    estate.let(gateway, estate.hr)
    actor = estate.own(estate.crm, estate.erp)
    refused(estate.exchange(gateway, estate.at_erp(), estate.hr, actor=actor), "not_meant")
    estate.erp.resource.introspectors.add(gateway)
    raise_version()
    claims = claims_of(estate.token(estate.exchange(gateway, estate.at_erp(), estate.hr, actor=actor)))
    assert [claims["act"]["client_id"], claims["act"]["act"]["client_id"]] == ["gateway", "crm"]


def test_an_id_token_of_another_client_is_not_exchanged(estate):
    token = estate.desk.tokens()["id_token"]
    response = estate.exchange(estate.crm, token, estate.erp, subject_token_type=ID_TOKEN)
    refused(response, "jwt.audience")


# --- The scope --------------------------------------------------------------------------------------------------------
def test_the_way_out_and_back_does_not_widen_a_token(estate):
    """The ERP's token may read. HR, which has a flow back to the ERP with all scopes, cannot make it write."""
    estate.let(estate.hr.client, estate.erp)
    at_hr = estate.at_hr(estate.at_erp(scope="orders.read"))
    actor = estate.own(estate.erp.client, estate.hr)
    back = estate.exchange(estate.hr.client, at_hr, estate.erp, actor=actor)
    assert claims_of(estate.token(back))["scope"] == "orders.read"
    response = estate.exchange(estate.hr.client, at_hr, estate.erp, actor=actor, scope="orders.write")
    assert_refused(response, error="invalid_scope", code="oauth.invalid_scope", reason="widened")


def test_resources_that_share_their_scopes_pass_on_only_what_was_given(estate):
    """An API and what stands behind it often know the same scopes."""
    behind = make_api("behind", scopes=("orders.read", "orders.write", "stock.read"))
    estate.let(estate.erp.client, behind)
    actor, token = estate.own(estate.crm, estate.erp), estate.at_erp(scope="orders.read")
    passed_on = estate.exchange(estate.erp.client, token, behind, actor=actor)
    assert claims_of(estate.token(passed_on))["scope"] == "orders.read stock.read"
    response = estate.exchange(estate.erp.client, token, behind, actor=actor, scope="orders.write")
    assert_refused(response, error="invalid_scope", code="oauth.invalid_scope", reason="widened")


def test_a_chain_through_a_resource_that_does_not_know_a_scope_does_not_win_it_back(estate):
    behind = make_api("behind", scopes=("orders.write",))
    estate.let(estate.hr.client, behind)
    at_hr = estate.at_hr(estate.at_erp(scope="orders.read"))
    response = estate.exchange(estate.hr.client, at_hr, behind, actor=estate.own(estate.erp.client, estate.hr))
    assert_refused(response, error="invalid_scope", code="oauth.invalid_scope", reason="nothing_left")


@pytest.mark.parametrize("scope", ["orders.read orders.write admin", "", "orders.write"])
def test_a_token_whose_scope_was_widened_is_bound_by_the_register(estate, scope):
    """Only we can sign that, and even then the flow that issued it does not let it stand."""
    estate.change(estate.flows["crm"], scopes=["orders.read"])
    token = signed_again(estate.at_erp(), scope=scope)
    response = estate.exchange(estate.crm, token, scope="orders.write")
    assert response.json()["error"] in {"invalid_request", "invalid_scope"}
    assert not Event.objects.filter(type="token.exchanged", details__scopes=["orders.write"]).exists()


# --- The type is proven -----------------------------------------------------------------------------------------------
def test_a_token_of_every_kind_under_every_other_kind_s_name_is_refused(estate):
    estate.let(estate.desk.client, estate.erp)
    tokens = estate.desk.offline_tokens()
    logout = {"events": {"http://schemas.openid.net/event/backchannel-logout": {}}, "nonce": None}
    kinds = {
        "access token": (tokens["access_token"], {ACCESS_TOKEN, JWT}),
        "ID token": (tokens["id_token"], {ID_TOKEN}),
        "refresh token": (tokens["refresh_token"], set()),
        "code": (estate.desk.code(), set()),
        "logout token": (signed_again(tokens["id_token"], typ="logout+jwt", **logout), set()),
        "security event": (signed_again(tokens["id_token"], typ="secevent+jwt"), set()),
        "client assertion": (
            signed_again(tokens["id_token"], iss="crm", sub="crm", aud=BROKER, sid=None, gid=None),
            set(),
        ),
        "request object": (signed_again(tokens["id_token"], typ="oauth-authz-req+jwt"), set()),
        "DPoP proof": (signed_again(tokens["access_token"], typ="dpop+jwt"), set()),
        "introspection answer": (signed_again(tokens["access_token"], typ="token-introspection+jwt"), set()),
        "plain JWT": (signed_again(tokens["access_token"], typ="JWT"), set()),
        "access token, long form": (signed_again(tokens["access_token"], typ="application/at+jwt"), set()),
        "ID token as access token": (signed_again(tokens["id_token"], typ="at+jwt"), set()),
        "SAML assertion": (base64.urlsafe_b64encode(b"<saml:Assertion/>").decode(), set()),
        "JSON": (json.dumps({"sub": "alice"}), set()),
        "nonsense": ("x", set()),
    }
    for kind, (token, allowed) in kinds.items():
        for declared in (ACCESS_TOKEN, JWT, ID_TOKEN, SAML2):
            response = estate.exchange(estate.desk.client, token, estate.erp, subject_token_type=declared)
            if declared in allowed:
                assert response.status_code == 200, (kind, declared, response.content)
                continue
            body = response.json()
            assert (response.status_code, body["error"], body["code"]) == (
                400,
                "invalid_request",
                "oauth.subject_token",
            ), (kind, declared)


def test_no_other_kind_of_token_proves_an_actor(estate):
    tokens = estate.desk.offline_tokens()
    own = estate.own(estate.crm, estate.erp)
    for token in (
        tokens["id_token"],
        tokens["refresh_token"],
        estate.desk.code(),
        signed_again(own, typ="JWT"),
        signed_again(own, typ="dpop+jwt"),
        signed_again(own, gid=None),
        signed_again(own, client_id="erp"),
        signed_again(own, sub="erp"),
        signed_again(own, aud="https://hr.example/api"),
        signed_again(own, exp=1),
        own[:-4] + "AAAA",
        "x",
    ):
        response = estate.exchange(estate.crm, estate.signed_on(), estate.erp, actor=token)
        assert (response.status_code, response.json()["code"]) == (400, "oauth.actor_token")


CHANGES = {
    "another subject's grant": {"gid": "3f2504e0-4f89-11d3-9a0c-0305e82c3301"},
    "no grant": {"gid": None},
    "a grant that is none": {"gid": "x"},
    "another client": {"client_id": "erp"},
    "another audience": {"aud": "https://hr.example/api"},
    "two audiences": {"aud": ["https://erp.example/api", "https://hr.example/api"]},
    "an unknown audience": {"aud": "https://elsewhere.example"},
    "another issuer": {"iss": "https://elsewhere.example"},
    "no end": {"exp": None},
    "an end in the past": {"exp": 1},
    "a long life": {"exp": 4_000_000_000},
    "a beginning in the future": {"nbf": 4_000_000_000},
    "no id": {"jti": None},
    "no scope": {"scope": None},
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_claim_that_is_not_what_it_was_is_refused(estate, change):
    token = signed_again(estate.at_erp(), **CHANGES[change])
    response = estate.exchange(estate.crm, token, estate.erp)
    assert (response.status_code, response.json()["code"]) == (400, "oauth.subject_token")


@pytest.mark.parametrize(
    "change",
    [
        {"gid": None},
        {"gid": "x"},
        {"gid": "3f2504e0-4f89-11d3-9a0c-0305e82c3301"},
        {"sid": None},
        {"at_hash": None},
        {"auth_time": None},
        {"sub": "somebody else"},
        {"sub": None},
        {"aud": ["crm"]},
        {"exp": 1},
        {"exp": 4_000_000_000},
        {"iss": "https://elsewhere.example"},
    ],
)
def test_our_id_token_with_another_claim_is_refused(estate, change):
    estate.let(estate.desk.client, estate.erp)
    token = signed_again(estate.desk.tokens()["id_token"], typ="JWT", **change)
    response = estate.exchange(estate.desk.client, token, estate.erp, subject_token_type=ID_TOKEN)
    assert (response.status_code, response.json()["code"]) == (400, "oauth.subject_token")


def test_an_id_token_that_was_a_hint_for_a_month_is_exchanged_for_ten_minutes(estate, time_machine):
    time_machine.move_to(timezone.now(), tick=False)
    estate.let(estate.desk.client, estate.erp)
    token = estate.desk.tokens()["id_token"]
    time_machine.shift(timedelta(minutes=10))
    response = estate.exchange(estate.desk.client, token, estate.erp, subject_token_type=ID_TOKEN)
    refused(response, "jwt.expired")


# --- Revocation -------------------------------------------------------------------------------------------------------
def test_one_token_that_was_revoked_is_exchanged_no_more_though_its_family_goes_on(estate):
    token = estate.own(estate.crm, estate.erp)
    estate.change(estate.flows["erp"], subject_class="client")
    end = timezone.now() + timedelta(hours=1)
    RevokedToken.objects.create(jti=claims_of(token)["jti"], revoked_at=timezone.now(), expires_at=end)
    refused(estate.exchange(estate.erp.client, token, estate.hr), "token_revoked")
    assert estate.exchange(estate.erp.client, estate.own(estate.crm, estate.erp), estate.hr).status_code == 200


def test_a_resource_that_is_gone_takes_its_tokens_along(estate):
    token, actor = estate.at_erp(), estate.own(estate.crm, estate.erp)
    api = make_resource(identifier="https://elsewhere.example")
    estate.change(estate.erp.resource, identifier="https://erp.example/moved")
    response = estate.exchange(estate.erp.client, token, estate.hr, actor=actor)
    assert (response.status_code, response.json()["code"]) == (400, "oauth.subject_token")
    assert Resource.objects.filter(pk=api.pk).exists()


def test_a_token_that_is_bound_to_its_client_s_key_comes_with_that_key(estate):
    bound = signed_again(estate.at_erp(), cnf={"jkt": "A" * 43})
    response = estate.exchange(estate.crm, bound)
    assert_refused(response, reason="binding")


# --- What strangers learn ---------------------------------------------------------------------------------------------
def test_every_refusal_of_a_subject_token_looks_the_same(estate):
    token = estate.signed_on()
    revoked = estate.signed_on()
    Grant.objects.filter(pk=claims_of(revoked)["gid"]).update(revoked_at=timezone.now())
    expired = signed_again(token, exp=int(timezone.now().timestamp()) - 1)
    unknown = signed_again(token, gid="3f2504e0-4f89-11d3-9a0c-0305e82c3301")
    elsewhere = estate.own(estate.erp.client, estate.hr)
    answers = set()
    for presented in (revoked, expired, unknown, elsewhere, token[:-4] + "AAAA", "x"):
        body = estate.exchange(estate.crm, presented, estate.erp).json()
        body.pop("trace_id")
        answers.add(json.dumps(body, sort_keys=True))
    assert len(answers) == 1


def test_what_is_refused_leaves_no_grant_and_no_token_in_the_book(estate):
    before = Grant.objects.count()
    token = estate.signed_on()
    estate.exchange(estate.erp.client, token, estate.hr)
    assert Grant.objects.count() == before + 1
    event = Event.objects.filter(type="token.refused").get()
    assert token not in json.dumps(event.details)


def test_a_client_cannot_ask_what_a_flow_of_another_one_allows(estate):
    stranger = make_service(client_id="stranger", application=make_application())
    make_flow(stranger, estate.ledger.resource, grant="token_exchange", subject_class="person")
    refused(estate.exchange(stranger, estate.signed_on(), estate.ledger), "not_meant")
