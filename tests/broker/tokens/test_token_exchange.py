"""Token exchange through HTTP (RFC 8693): what it gives, and that scope, audience and life only ever narrow."""

from datetime import date, timedelta
from uuid import UUID

import pytest
from django.utils import timezone

from broker import limits
from broker.actors import SYSTEM
from broker.events.models import Event
from broker.keys.ring import ring
from broker.registry.cache import raise_version
from broker.registry.models import Client
from broker.tokens.attempts import Attempt
from broker.tokens.errors import SubjectTokenRefused
from broker.tokens.grants import token_exchange
from broker.tokens.grants.base import Permitted
from broker.tokens.models import Grant, RevokedToken
from broker.tokens.requests import TokenRequest
from broker.tokens.services import revoke_grant
from broker.traces.collector import Collector
from broker.traces.models import Trace
from tests.broker.tokens.desk import basic, post_form
from tests.broker.tokens.estate import ACCESS_TOKEN, EXCHANGE, ID_TOKEN, JWT, SAML2, TYPE, Estate
from tests.broker.tokens.refusals import assert_refused
from tests.factories import CLIENT_SECRET, make_service, make_session
from tests.flows.stage import unverified_claims as claims_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def estate(db):
    yield Estate()
    ring.forget()


def revoke(token):
    return revoke_grant(UUID(claims_of(token)["gid"]), reason="operator", actor=SYSTEM)


def assert_request_refused(response, *, reason):
    assert_refused(response, error="invalid_request", code="oauth.invalid_request", reason=reason)


def assert_subject_refused(response, *, reason):
    assert_refused(response, error="invalid_request", code="oauth.subject_token", reason=reason)


# --- What it gives --------------------------------------------------------------------------------------------------
def test_a_service_acts_for_a_person_without_becoming_that_person(estate):
    response = estate.exchange(estate.crm, estate.signed_on(), estate.erp)
    body, claims = response.json(), claims_of(response.json()["access_token"])
    assert body["issued_token_type"] == ACCESS_TOKEN
    assert body["token_type"] == "Bearer"
    assert body["scope"] == claims["scope"] == "orders.read orders.write"
    assert "refresh_token" not in body
    assert "id_token" not in body
    assert claims["sub"] == str(estate.desk.person.pk)
    assert claims["client_id"] == "crm"
    assert claims["aud"] == "https://erp.example/api"
    assert claims["act"] == {"sub": "crm", "client_id": "crm"}
    assert response["Cache-Control"] == "no-store"


def test_actors_nest_the_present_one_outermost(estate):
    claims = claims_of(estate.at_ledger())
    crm, erp, hr = ({"sub": name, "client_id": name} for name in ("crm", "erp", "hr"))
    assert claims["act"] == {**hr, "act": {**erp, "act": crm}}
    assert claims["sub"] == str(estate.desk.person.pk)


def test_the_application_s_sign_on_client_may_exchange_its_own_token(estate):
    estate.let(estate.desk.client, estate.erp)
    claims = claims_of(estate.token(estate.exchange(estate.desk.client, estate.signed_on(), estate.erp)))
    assert claims["act"]["client_id"] == estate.desk.client.client_id


def test_our_id_token_is_exchanged_by_the_client_that_it_was_given_to(estate):
    estate.let(estate.desk.client, estate.erp)
    tokens = estate.desk.tokens()
    response = estate.exchange(
        estate.desk.client, tokens["id_token"], estate.erp, subject_token_type=ID_TOKEN, requested_token_type=JWT
    )
    claims = claims_of(estate.token(response))
    assert response.json()["issued_token_type"] == JWT
    assert claims["sub"] == claims_of(tokens["id_token"])["sub"]
    assert Grant.objects.get(pk=claims["gid"]).parent_id == Grant.objects.get(grant_type="authorization_code").pk


def test_a_service_s_own_token_is_exchanged_where_the_flow_is_for_services(estate):
    estate.change(estate.flows["erp"], subject_class="client")
    token = estate.own(estate.crm, estate.erp)
    claims = claims_of(estate.token(estate.exchange(estate.erp.client, token, estate.hr)))
    assert claims["sub"] == "crm"
    assert claims["act"] == {"sub": "erp", "client_id": "erp"}


def test_the_way_in_which_the_person_signed_on_is_told_on(estate):
    session = estate.desk.participant.session
    session.authenticated_at = timezone.now() - timedelta(minutes=3)
    session.context, session.methods = "urn:mfa", ["otp"]
    session.save()
    claims = claims_of(estate.at_hr())
    assert (claims["acr"], claims["amr"]) == ("urn:mfa", ["otp"])
    assert claims["auth_time"] == int(session.authenticated_at.timestamp())


def test_who_knows_a_person_by_a_pairwise_name_goes_on_with_one_of_its_own(estate):
    Client.objects.filter(pk=estate.desk.client.pk).update(subject_type="pairwise")
    estate.change(estate.erp.client, subject_type="pairwise")
    signed_on = estate.signed_on()
    at_erp = estate.token(estate.exchange(estate.crm, signed_on, estate.erp))
    at_hr = estate.at_hr(at_erp)
    assert len({claims_of(token)["sub"] for token in (signed_on, at_erp, at_hr)}) == 3
    assert claims_of(at_erp)["sub"] == str(estate.desk.person.pk)


def test_an_actor_token_of_the_client_itself_confirms_it(estate):
    actor = estate.own(estate.crm, estate.erp)
    claims = claims_of(estate.token(estate.exchange(estate.crm, estate.signed_on(), estate.erp, actor=actor)))
    assert claims["act"] == {"sub": "crm", "client_id": "crm"}


def test_the_present_actor_needs_no_actor_token_and_circles_are_counted(estate):
    once = estate.at_erp(scope="orders.read")
    twice = estate.token(estate.exchange(estate.crm, once))
    crm = {"sub": "crm", "client_id": "crm"}
    assert claims_of(twice)["act"] == {**crm, "act": crm}
    assert claims_of(twice)["aud"] == claims_of(once)["aud"]


def test_an_explicit_flow_lets_a_service_become_the_person(estate):
    estate.change(estate.flows["crm"], impersonation=True)
    token = estate.at_erp()
    assert "act" not in claims_of(token)
    assert claims_of(token)["client_id"] == "crm"
    grant = Grant.objects.get(pk=claims_of(token)["gid"])
    assert grant.impersonation
    assert grant.actors == []
    assert Event.objects.get(type="token.exchanged").details["impersonation"] is True


def test_the_event_names_what_was_exchanged_by_whom_and_for_what(estate):
    signed_on = estate.signed_on()
    claims = claims_of(estate.at_hr(estate.token(estate.exchange(estate.crm, signed_on, estate.erp))))
    first, second = Event.objects.filter(type="token.exchanged").order_by("id")
    assert first.details["subject_token"] == claims_of(signed_on)["jti"]
    assert first.details["parent"] == claims_of(signed_on)["gid"]
    assert first.details["subject_token_type"] == ACCESS_TOKEN
    assert second.details["actors"] == ["erp", "crm"]
    assert second.details["flow"] == estate.flows["erp"].pk
    assert second.details["jti"] == claims["jti"]
    assert second.details["person"] == str(estate.desk.person.pk)
    assert second.details["actor_parent"] == str(Grant.objects.get(client__client_id="crm", person=None).pk)
    assert second.subject_id == claims["gid"]
    assert second.actor_id == "erp"


def test_a_guard_is_told_who_acts_for_whom(estate):
    token = estate.at_ledger()
    told = estate.introspect(estate.ledger, token)
    assert told["active"] is True
    assert told["act"] == claims_of(token)["act"]
    assert told["sub"] == str(estate.desk.person.pk)
    assert told["client_id"] == "hr"
    assert estate.introspect(estate.hr, token) == {"active": False}


def test_a_success_leaves_its_event_and_no_trace(estate):
    signed_on = estate.signed_on()
    before = Trace.objects.count()
    assert estate.exchange(estate.crm, signed_on, estate.erp).status_code == 200
    assert Trace.objects.count() == before


# --- Scope ----------------------------------------------------------------------------------------------------------
def test_a_scope_that_is_asked_for_is_all_that_is_given(estate):
    assert claims_of(estate.at_erp(scope="orders.read"))["scope"] == "orders.read"


def test_for_the_same_resource_a_token_reaches_no_further_than_the_one_it_came_from(estate):
    narrow = estate.at_erp(scope="orders.read")
    assert claims_of(estate.token(estate.exchange(estate.crm, narrow)))["scope"] == "orders.read"
    assert estate.exchange(estate.crm, narrow, scope="orders.write").json()["error"] == "invalid_scope"
    assert estate.exchange(estate.crm, narrow, scope="orders.read orders.write").json()["error"] == "invalid_scope"


@pytest.mark.parametrize(
    ("scope", "code"),
    [
        ("people.write", "flow.scope"),
        ("people.read people.write", "flow.scope"),
        ("people.delete", "flow.scope_unknown"),
        ("orders.read", "flow.scope_unknown"),
        ("openid", "flow.scope_unknown"),
    ],
)
def test_a_scope_outside_the_flow_is_refused(estate, scope, code):
    estate.change(estate.flows["erp"], scopes=["people.read"])
    response = estate.exchange(
        estate.erp.client, estate.at_erp(), estate.hr, actor=estate.own(estate.crm, estate.erp), scope=scope
    )
    assert response.status_code == 400
    assert (response.json()["error"], response.json()["code"]) == ("invalid_scope", code)


# --- Life -----------------------------------------------------------------------------------------------------------
def test_no_token_outlives_the_one_that_it_came_from(estate, time_machine):
    time_machine.move_to(timezone.now(), tick=False)
    estate.change(estate.erp.resource, token_lifetime=3600)
    signed_on = estate.signed_on()
    time_machine.shift(timedelta(minutes=7))
    response = estate.exchange(estate.crm, signed_on, estate.erp)
    assert response.json()["expires_in"] == 180
    assert claims_of(response.json()["access_token"])["exp"] == claims_of(signed_on)["exp"]


def test_no_token_outlives_the_proof_of_its_actor(estate, time_machine):
    time_machine.move_to(timezone.now(), tick=False)
    actor = estate.own(estate.crm, estate.erp)
    time_machine.shift(timedelta(minutes=4))
    token = estate.token(estate.exchange(estate.erp.client, estate.at_erp(), estate.hr, actor=actor))
    assert claims_of(token)["exp"] == claims_of(actor)["exp"]
    assert Grant.objects.get(pk=claims_of(token)["gid"]).expires_at.timestamp() <= claims_of(actor)["exp"]


def test_no_token_outlives_its_flow(estate, time_machine):
    time_machine.move_to(estate.flows["crm"].ends_at - timedelta(minutes=4), tick=False)
    session = estate.desk.participant.session
    estate.change(session, expires_at=timezone.now() + timedelta(hours=1))
    response = estate.exchange(estate.crm, estate.signed_on(), estate.erp)
    assert response.json()["expires_in"] == 240


# --- Audience -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["resource", "audience"])
def test_an_audience_without_a_flow_is_refused(estate, name):
    response = estate.exchange(estate.crm, estate.signed_on(), **{name: estate.hr.resource.identifier})
    assert (response.json()["error"], response.json()["code"]) == ("invalid_target", "flow.none")


def test_a_flow_for_another_grant_is_none_for_this_one(estate):
    estate.change(estate.flows["crm"], grant="jwt_bearer")
    response = estate.exchange(estate.crm, estate.signed_on(), estate.erp)
    assert (response.json()["error"], response.json()["code"]) == ("invalid_target", "flow.none")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"state": "proposed", "approved_by": ""}, "flow.not_approved"),
        ({"expires": date(2020, 1, 1)}, "flow.ended"),
        ({"ended_at": timezone.now() - timedelta(days=1)}, "flow.ended"),
        ({"subject_class": "client"}, "flow.subject_class"),
    ],
)
@pytest.mark.parametrize("impersonation", [False, True])
def test_a_flow_that_does_not_fit_issues_nothing(estate, change, code, impersonation):
    estate.change(estate.flows["crm"], impersonation=impersonation, **change)
    response = estate.exchange(estate.crm, estate.signed_on(), estate.erp)
    assert (response.json()["error"], response.json()["code"]) == ("invalid_target", code)
    assert not Event.objects.filter(type="token.exchanged").exists()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, "unnamed"),
        ({"resource": "https://unknown.example"}, "unknown"),
        ({"audience": "https://unknown.example"}, "unknown"),
        ({"resource": "https://erp.example/api", "audience": "https://hr.example/api"}, "several"),
        ({"audience": "erp"}, "unknown"),
    ],
)
def test_a_target_that_is_none_is_refused(estate, changes, reason):
    response = estate.exchange(estate.crm, estate.signed_on(), **changes)
    assert_refused(response, error="invalid_target", code="oauth.invalid_target", reason=reason)


def test_our_userinfo_endpoint_is_no_target(estate):
    audience = claims_of(estate.signed_on())["aud"]
    response = estate.exchange(estate.crm, estate.signed_on(), audience=audience)
    assert_refused(response, error="invalid_target", code="oauth.invalid_target", reason="unknown")


# --- The form -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("missing", ["subject_token", "subject_token_type"])
def test_subject_token_and_its_type_are_required(estate, missing):
    assert_request_refused(estate.exchange(estate.crm, "x", estate.erp, **{missing: None}), reason="missing")


@pytest.mark.parametrize(
    "declared", ["refresh_token", "saml1", "access_token ", "ACCESS_TOKEN", "", "urn:example", "id-jag"]
)
def test_a_type_that_is_not_offered_is_refused(estate, declared):
    response = estate.exchange(estate.crm, estate.signed_on(), estate.erp, subject_token_type=f"{TYPE}{declared}")
    assert_request_refused(response, reason="token_type")


@pytest.mark.parametrize("requested", [f"{TYPE}refresh_token", ID_TOKEN, SAML2, "jwt", "urn:example"])
def test_only_access_tokens_are_issued(estate, requested):
    response = estate.exchange(estate.crm, estate.signed_on(), estate.erp, requested_token_type=requested)
    assert_request_refused(response, reason="requested_token_type")


@pytest.mark.parametrize(
    "changes", [{"actor_token_type": ACCESS_TOKEN}, {"actor_token": "x"}, {"actor_token": "x", "actor_token_type": ""}]
)
def test_an_actor_token_comes_with_its_type_and_the_type_with_its_token(estate, changes):
    response = estate.exchange(estate.crm, estate.signed_on(), estate.erp, **changes)
    assert_request_refused(response, reason="missing")


@pytest.mark.parametrize("declared", [ID_TOKEN, SAML2, f"{TYPE}refresh_token"])
def test_an_actor_token_is_an_access_token_of_ours(estate, declared):
    actor = estate.own(estate.crm, estate.erp)
    response = estate.exchange(estate.crm, estate.signed_on(), estate.erp, actor=actor, actor_token_type=declared)
    assert_request_refused(response, reason="token_type")


@pytest.mark.parametrize("name", ["subject_token", "actor_token", "resource", "audience", "scope"])
def test_a_parameter_that_stands_twice_is_refused(estate, name):
    token = estate.signed_on()
    fields = [("grant_type", EXCHANGE), ("subject_token", token), ("subject_token_type", ACCESS_TOKEN)]
    fields += [(name, "x"), (name, "x")]
    response = post_form("/oauth/token", fields, authorization=basic("crm", CLIENT_SECRET))
    assert_request_refused(response, reason="repeated")


# --- Whoever and whatever ended -------------------------------------------------------------------------------------
ENDINGS = {
    "the person left": (lambda estate: (estate.desk.person, {"is_active": False}), "person"),
    "the session ended": (
        lambda estate: (estate.desk.participant.session, {"ended_at": timezone.now()}),
        "session",
    ),
    "the session is over": (
        lambda estate: (estate.desk.participant.session, {"expires_at": timezone.now()}),
        "session",
    ),
    "the identity provider is off": (
        lambda estate: (estate.desk.participant.session.identity_provider, {"enabled": False}),
        "identity_provider",
    ),
    "the identity provider is retired": (
        lambda estate: (estate.desk.participant.session.identity_provider, {"retired_at": timezone.now()}),
        "identity_provider",
    ),
    "its organisation is off": (
        lambda estate: (estate.desk.participant.session.identity_provider.organisation, {"enabled": False}),
        "identity_provider",
    ),
    "the sign-on's client is off": (lambda estate: (estate.desk.client, {"enabled": False}), "client"),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_ended_since_the_sign_on_is_exchanged_no_more(estate, ending):
    find, reason = ENDINGS[ending]
    token = estate.signed_on()
    row, fields = find(estate)
    estate.change(row, **fields)
    assert_subject_refused(estate.exchange(estate.crm, token, estate.erp), reason=reason)


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_ended_since_ends_what_was_exchanged_before(estate, ending):
    find, reason = ENDINGS[ending]
    token, actor = estate.at_erp(), estate.own(estate.crm, estate.erp)
    row, fields = find(estate)
    estate.change(row, **fields)
    assert_subject_refused(estate.exchange(estate.erp.client, token, estate.hr, actor=actor), reason=reason)


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_ended_since_is_told_to_no_guard_as_live(estate, ending):
    find, _ = ENDINGS[ending]
    token = estate.at_hr()
    assert estate.introspect(estate.hr, token)["active"] is True
    row, fields = find(estate)
    estate.change(row, **fields)
    assert estate.introspect(estate.hr, token) == {"active": False}


@pytest.mark.parametrize("client_id", ["crm", "erp"])
def test_an_actor_anywhere_in_the_chain_that_was_switched_off_ends_it_for_every_guard(estate, client_id):
    token = estate.at_ledger()
    assert estate.introspect(estate.ledger, token)["active"] is True
    estate.change(Client.objects.get(client_id=client_id), enabled=False)
    assert estate.introspect(estate.ledger, token) == {"active": False}


def test_a_flow_that_ended_ends_what_it_issued_for_every_guard(estate):
    token = estate.at_hr()
    estate.change(estate.flows["erp"], ended_at=timezone.now() - timedelta(seconds=1))
    assert estate.introspect(estate.hr, token) == {"active": False}


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_ended_since_ends_our_id_token_too(estate, ending):
    find, _ = ENDINGS[ending]
    estate.let(estate.desk.client, estate.erp)
    token = estate.desk.tokens()["id_token"]
    row, fields = find(estate)
    estate.change(row, **fields)
    response = estate.exchange(estate.desk.client, token, estate.erp, subject_token_type=ID_TOKEN)
    # The client itself, where that is what ended, does not even get as far as that.
    assert response.json()["error"] == (
        "invalid_client" if ending == "the sign-on's client is off" else "invalid_request"
    )


def test_offline_access_is_the_application_s_alone(estate):
    tokens = estate.desk.offline_tokens()
    estate.change(estate.desk.participant.session, ended_at=timezone.now())
    response = estate.exchange(estate.crm, tokens["access_token"], estate.erp)
    assert_subject_refused(response, reason="session")


def test_a_resource_s_scope_of_that_name_lets_nothing_outlive_the_session(estate):
    estate.change(estate.erp.resource, scopes={"orders.read": "x", "offline_access": "x"})
    estate.change(estate.flows["crm"], scopes=["orders.read", "offline_access"])
    token = estate.at_erp()
    assert estate.introspect(estate.erp, token)["scope"] == "orders.read offline_access"
    estate.change(estate.desk.participant.session, ended_at=timezone.now())
    assert estate.introspect(estate.erp, token) == {"active": False}


def test_an_actor_that_was_switched_off_acts_no_more(estate):
    token, actor = estate.at_erp(), estate.own(estate.crm, estate.erp)
    estate.change(estate.crm, enabled=False)
    assert_subject_refused(estate.exchange(estate.erp.client, token, estate.hr, actor=actor), reason="client")


def test_an_actor_further_back_that_was_switched_off_ends_the_whole_chain(estate):
    token, actor = estate.at_hr(), estate.own(estate.erp.client, estate.hr)
    estate.change(estate.crm, enabled=False)
    response = estate.exchange(estate.hr.client, token, estate.ledger, actor=actor)
    assert_subject_refused(response, reason="client")


@pytest.mark.parametrize("role", ["actor", "ancestor"])
def test_a_successor_under_the_name_of_one_that_is_gone_does_not_bring_its_chain_back(estate, role):
    if role == "ancestor":
        estate.change(estate.flows["crm"], impersonation=True)
        token = estate.token(estate.exchange(estate.erp.client, estate.at_erp(), estate.hr))
    else:
        token = estate.at_hr()
    assert estate.introspect(estate.hr, token)["active"] is True
    estate.change(estate.crm, retired_at=timezone.now(), enabled=False)
    make_service(client_id="crm", application=estate.desk.client.application)
    raise_version()
    assert estate.introspect(estate.hr, token) == {"active": False}


def test_a_client_whose_token_was_exchanged_takes_what_came_of_it_along(estate):
    """It acts in no chain: the sign-on's client, whose token stood at the beginning."""
    token, actor = estate.at_hr(), estate.own(estate.erp.client, estate.hr)
    estate.change(estate.desk.client, enabled=False)
    response = estate.exchange(estate.hr.client, token, estate.ledger, actor=actor)
    assert_subject_refused(response, reason="client")


def test_a_flow_that_ended_ends_its_tokens_for_exchanges(estate):
    token, actor = estate.at_erp(), estate.own(estate.crm, estate.erp)
    estate.change(estate.flows["crm"], ended_at=timezone.now() - timedelta(seconds=1))
    response = estate.exchange(estate.erp.client, token, estate.hr, actor=actor)
    assert_subject_refused(response, reason="flow.ended")


def test_a_revoked_token_is_exchanged_no_more(estate):
    token = estate.signed_on()
    revoke(token)
    assert_subject_refused(estate.exchange(estate.crm, token, estate.erp), reason="revoked")


def test_an_expired_token_is_exchanged_no_more(estate, time_machine):
    time_machine.move_to(timezone.now(), tick=False)
    token = estate.signed_on()
    time_machine.shift(limits.ACCESS_TOKEN_LIFETIME)
    assert_subject_refused(estate.exchange(estate.crm, token, estate.erp), reason="jwt.expired")


def test_an_actor_token_that_expired_or_was_revoked_proves_nothing(estate, time_machine):
    time_machine.move_to(timezone.now(), tick=False)
    actor = estate.own(estate.crm, estate.erp)
    revoke(actor)
    response = estate.exchange(estate.crm, estate.signed_on(), estate.erp, actor=actor)
    assert_refused(response, error="invalid_request", code="oauth.actor_token", reason="revoked")
    later = estate.own(estate.crm, estate.erp)
    time_machine.shift(limits.ACCESS_TOKEN_LIFETIME)
    response = estate.exchange(estate.crm, estate.signed_on(), estate.erp, actor=later)
    assert_refused(response, error="invalid_request", code="oauth.actor_token", reason="jwt.expired")


# --- Families -------------------------------------------------------------------------------------------------------
def test_revoking_an_ancestor_kills_every_descendant(estate):
    signed_on = estate.signed_on()
    at_erp = estate.token(estate.exchange(estate.crm, signed_on, estate.erp))
    at_ledger = estate.at_ledger(estate.at_hr(at_erp))
    other = estate.at_erp()
    assert revoke(signed_on)
    assert Grant.objects.get(pk=claims_of(at_ledger)["gid"]).revoke_reason == "operator"
    assert Grant.objects.filter(person=estate.desk.person, revoked_at=None).count() == 2
    assert Grant.objects.get(pk=claims_of(other)["gid"]).revoked_at is None
    event = Event.objects.get(type="grant.revoked")
    assert event.details["descendants"] == 3
    response = estate.exchange(estate.ledger.client, at_ledger, estate.vault, actor=estate.own(estate.crm, estate.erp))
    assert_subject_refused(response, reason="revoked")


def test_revoking_a_link_in_the_middle_leaves_what_stands_before_it(estate):
    at_erp = estate.at_erp()
    at_hr = estate.at_hr(at_erp)
    at_ledger = estate.at_ledger(at_hr)
    revoke(at_hr)
    assert Grant.objects.get(pk=claims_of(at_erp)["gid"]).revoked_at is None
    assert Grant.objects.get(pk=claims_of(at_ledger)["gid"]).revoked_at is not None


def test_revoking_what_proved_the_actor_kills_what_it_proved(estate):
    at_hr = estate.at_hr()
    proof = Grant.objects.get(client=estate.crm, grant_type="client_credentials")
    revoke_grant(proof.pk, reason="operator", actor=SYSTEM)
    assert Grant.objects.get(pk=claims_of(at_hr)["gid"]).revoked_at is not None


def test_a_grant_is_revoked_with_its_family_once(estate):
    token = estate.at_erp()
    assert revoke(token)
    assert not revoke(token)
    assert Event.objects.filter(type="grant.revoked").count() == 1


@pytest.mark.parametrize("what", ["grant", "token"])
def test_what_is_revoked_between_the_judgement_and_the_issuing_is_not_issued(estate, what):
    signed_on = estate.signed_on()
    form = {"grant_type": EXCHANGE, "subject_token": signed_on, "subject_token_type": ACCESS_TOKEN}
    proposal = token_exchange.propose(
        TokenRequest(form, ""),
        client=estate.crm,
        resource=estate.erp.resource,
        attempt=Attempt(SYSTEM, Collector()),
        now=timezone.now(),
    )
    if what == "grant":
        revoke(signed_on)
    else:
        now, jti = timezone.now(), claims_of(signed_on)["jti"]
        RevokedToken.objects.create(jti=jti, revoked_at=now, expires_at=now + timedelta(hours=1))
    with pytest.raises(SubjectTokenRefused):
        proposal.take(Permitted(("orders.read",)))


def test_each_exchange_is_a_grant_of_its_own_that_ends_with_its_token(estate):
    signed_on = estate.signed_on()
    first, second = (claims_of(estate.token(estate.exchange(estate.crm, signed_on, estate.erp))) for _ in range(2))
    assert first["gid"] != second["gid"]
    for claims in (first, second):
        grant = Grant.objects.get(pk=claims["gid"])
        assert int(grant.expires_at.timestamp()) == claims["exp"]
        assert grant.parent_token == claims_of(signed_on)["jti"]
        assert grant.scopes == ["orders.read", "orders.write"]


def test_another_person_s_session_has_nothing_to_do_with_it(estate):
    other = make_session(handle="another-session")
    token = estate.at_erp()
    estate.change(other, ended_at=timezone.now())
    assert estate.exchange(estate.crm, token).status_code == 200


def test_a_refresh_token_that_is_given_back_ends_what_came_of_its_family(estate):
    tokens = estate.desk.offline_tokens()
    at_hr = estate.at_hr(estate.token(estate.exchange(estate.crm, tokens["access_token"], estate.erp)))
    assert estate.introspect(estate.hr, at_hr)["active"] is True
    estate.give_back(estate.desk.client, tokens["refresh_token"])
    assert estate.introspect(estate.hr, at_hr) == {"active": False}


def test_a_proof_that_is_given_back_ends_what_it_proved_and_no_more(estate):
    actor = estate.own(estate.crm, estate.erp)
    at_erp = estate.at_erp()
    proved = estate.token(estate.exchange(estate.erp.client, at_erp, estate.hr, actor=actor))
    other = estate.at_hr(at_erp)
    estate.give_back(estate.crm, actor)
    assert estate.introspect(estate.hr, proved) == {"active": False}
    assert estate.introspect(estate.hr, other)["active"] is True


def test_an_exchanged_token_that_is_given_back_ends_what_came_of_it(estate):
    at_erp = estate.at_erp()
    at_hr = estate.at_hr(at_erp)
    estate.give_back(estate.crm, at_erp)
    assert estate.introspect(estate.hr, at_hr) == {"active": False}
    assert estate.introspect(estate.erp, at_erp) == {"active": False}


# --- Clients --------------------------------------------------------------------------------------------------------
def test_a_client_that_does_not_prove_itself_gets_nothing(estate):
    fields = {"subject_token": estate.signed_on(), "subject_token_type": ACCESS_TOKEN}
    response = estate.ask(Client(client_id="crm-2"), {"grant_type": EXCHANGE} | fields)
    assert response.json()["error"] == "invalid_client"


def test_a_client_that_is_not_enforced_yet_is_still_bound_by_the_token(estate):
    """Observing lets it reach what no flow allows, as the actor that it is; never to drop an actor or to widen."""
    estate.change(estate.crm, enforcement="observe")
    token = estate.token(estate.exchange(estate.crm, estate.signed_on(), estate.hr))
    assert claims_of(token)["act"]["client_id"] == "crm"
    narrow = estate.at_erp(scope="orders.read")
    assert estate.exchange(estate.crm, narrow, scope="orders.write").json()["error"] == "invalid_scope"
