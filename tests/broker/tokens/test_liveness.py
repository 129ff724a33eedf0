"""Is a token live now: what another process changed is seen by the same question, before any poll."""

import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from broker.registry.cache import parties
from broker.registry.models import Client, Flow, IdentityProvider, RegistryVersion, Resource
from broker.tokens.errors import InvalidToken
from broker.tokens.issuing import userinfo_audience
from broker.tokens.liveness import LIVENESS_CHECKS, read_live_token
from broker.tokens.models import Grant
from broker.traces.collector import Collector
from tests.broker.tokens.test_introspection import forge
from tests.factories import make_service
from tests.flows.stage import unverified_claims as claims_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("still_memories")]


def behind_our_back(rows, **fields):
    """Another process changes a party: the version is raised in the database, and this memory knows nothing of it."""
    rows.update(**fields)
    RegistryVersion.objects.update(number=RegistryVersion.objects.get().number + 1)


def read(token, *, audience=None):
    return read_live_token(token, now=timezone.now(), trace=Collector(), audience=audience)


def reason_of(token, *, audience=None):
    with pytest.raises(InvalidToken) as caught:
        read(token, audience=audience)
    return caught.value.reason


def test_a_live_token_comes_with_everything_behind_it(gate):
    service, person = read(gate.service_token()), read(gate.person_tokens()["access_token"])
    assert (service.subject, service.client, service.resource) == (gate.service, gate.service, gate.resource)
    assert (service.identity_provider, service.actors, service.scopes) == (None, (), ("invoices.read",))
    assert (person.subject, person.client) == (gate.desk.person, gate.desk.client)
    assert person.identity_provider == gate.desk.participant.session.identity_provider
    assert person.grant.session == gate.desk.participant.session
    assert int(person.expires_at.timestamp()) == person.claims["exp"]
    assert read(gate.desk.tokens()["access_token"]).resource is None


CHANGES = {
    "client": lambda gate: behind_our_back(Client.objects.filter(pk=gate.service.pk), enabled=False),
    "flow.ended": lambda gate: behind_our_back(Flow.objects.all(), ended_at=timezone.now()),
    "flow.not_approved": lambda gate: behind_our_back(Flow.objects.all(), state="proposed"),
    "flow.scope": lambda gate: behind_our_back(Flow.objects.all(), scopes=["invoices.write"]),
    "flow.scope_unknown": lambda gate: behind_our_back(Resource.objects.all(), scopes={}),
    "audience": lambda gate: behind_our_back(Resource.objects.all(), identifier="https://renamed.example"),
    "revoked": lambda gate: Grant.objects.update(revoked_at=timezone.now()),
    "grant_expired": lambda gate: Grant.objects.update(expires_at=timezone.now()),
    "unknown_grant": lambda gate: Grant.objects.all().delete(),
}


@pytest.mark.parametrize("reason", CHANGES)
def test_a_change_of_another_process_is_seen_by_the_next_question(gate, reason):
    token = gate.service_token()
    read(token)
    CHANGES[reason](gate)
    assert reason_of(token) == reason


def test_an_identity_provider_that_another_process_switched_off_vouches_no_longer(gate):
    token = gate.person_tokens()["access_token"]
    read(token)
    behind_our_back(IdentityProvider.objects.all(), enabled=False)
    assert reason_of(token) == "identity_provider"


def test_a_refresh_sees_what_another_process_changed(gate):
    tokens = gate.person_tokens(offline=True)
    refreshed = gate.desk.refresh(tokens["refresh_token"]).json()
    behind_our_back(Flow.objects.filter(client=gate.desk.client), ended_at=timezone.now())
    response = gate.desk.refresh(refreshed["refresh_token"])
    assert (response.status_code, response.json()["code"]) == (400, "flow.ended")


def test_a_refresh_of_a_client_that_another_process_switched_off_is_refused(gate):
    tokens = gate.desk.offline_tokens()
    refreshed = gate.desk.refresh(tokens["refresh_token"]).json()
    behind_our_back(Client.objects.filter(pk=gate.desk.client.pk), enabled=False)
    assert gate.desk.refresh(refreshed["refresh_token"]).json()["error"] == "invalid_grant"


def test_a_successor_under_the_same_name_is_another_client(gate):
    token = gate.service_token()
    Client.objects.filter(pk=gate.service.pk).update(retired_at=timezone.now())
    make_service(client_id=gate.service.client_id, application=gate.service.application)
    assert reason_of(token) == "client"


FORGERIES = {
    "jwt.audience": {"aud": "https://unknown.example"},
    "client": {"client_id": "nobody"},
    "subject": {"sub": "nobody"},
    "unknown_grant": {"gid": str(uuid.uuid4())},
    "jwt.lifetime": {"exp": 4_000_000_000},
    "jwt.claim": {"gid": None},
    "jwt.type": {"typ": "JWT"},
    "flow.scope": {"scope": "invoices.write"},
}


@pytest.mark.parametrize("reason", FORGERIES)
def test_each_check_says_why(gate, reason):
    assert reason_of(forge(claims_of(gate.service_token()), **FORGERIES[reason])) == reason


def test_a_token_for_one_audience_is_none_for_another(gate):
    token = gate.service_token()
    assert reason_of(token, audience=userinfo_audience()) == "jwt.audience"
    assert reason_of(gate.desk.tokens()["access_token"], audience=gate.resource.identifier) == "jwt.audience"
    other_grant = Grant.objects.get(grant_type="authorization_code").pk
    assert reason_of(forge(claims_of(token), gid=str(other_grant), client_id=gate.desk.client.client_id)) == "audience"


def test_a_token_of_an_hour_is_as_good_as_its_resource_allows_and_one_for_userinfo_is_not(gate):
    now = int(timezone.now().timestamp())
    long = {"iat": now, "exp": now + 3_600}
    assert read(forge(claims_of(gate.service_token()), **long))
    assert reason_of(forge(claims_of(gate.desk.tokens()["access_token"]), **long)) == "jwt.lifetime"


def test_the_question_is_one_and_the_memory_follows_it(gate):
    token = gate.service_token()
    read(token)
    with CaptureQueriesContext(connection) as captured:
        read(token)
    assert len(captured) == 1
    behind_our_back(Client.objects.filter(pk=gate.stranger.pk), enabled=False)
    read(token)
    with CaptureQueriesContext(connection) as captured:
        read(token)
    assert len(captured) == 1, "the memory is warm again"


def test_a_memory_that_follows_forgets_only_when_the_version_moved():
    loaded = []
    parties.follow(7)
    for version in (7, 7, 8):
        parties.follow(version)
        parties.get("key", lambda: loaded.append(1))
    assert len(loaded) == 2


def test_every_check_is_in_the_list():
    from broker.tokens import liveness

    named = {name for name in vars(liveness) if name.startswith("check_")} - {"check_backing"}
    assert {check.__name__ for check in LIVENESS_CHECKS} == named


def test_a_token_dies_with_its_last_second(gate, time_machine):
    start = timezone.now()
    time_machine.move_to(start, tick=False)
    token = gate.service_token()
    time_machine.move_to(start + timedelta(seconds=599), tick=False)
    read(token)
    time_machine.move_to(start + timedelta(seconds=600), tick=False)
    assert reason_of(token) == "jwt.expired"
