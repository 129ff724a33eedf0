"""/api/v1/grants and decisions: what was given and decided, and taking it back."""

import uuid

import pytest

from broker.access.models import Decision
from broker.events.models import Event
from broker.tokens.models import Grant
from tests.broker.access.policies import activate
from tests.broker.api.calls import issue, make_caller, refused
from tests.factories import CLIENT_SECRET, make_flow, make_resource, make_service
from tests.flows.stage import Browser, answer_of, basic, make_company

pytestmark = pytest.mark.django_db


def test_a_revoked_grant_ends_its_tokens_at_the_next_request():
    api, other = make_caller(), make_caller("registry.read")
    grant = Grant.objects.get(client=other.client)
    assert other.get("/clients").status_code == 200
    assert api.delete(f"/grants/{grant.pk}").status_code == 204
    assert refused(other.get("/clients")) == (401, "oauth.invalid_token")
    shown = api.get(f"/grants/{grant.pk}").json()
    assert shown["revoked_at"]
    assert shown["revoke_reason"] == "management API"
    assert api.delete(f"/grants/{grant.pk}").status_code == 204
    assert Event.objects.filter(type="grant.revoked", actor_id=api.client.client_id).count() == 1


def test_a_persons_grant_names_the_person_by_id_and_shows_no_token():
    company = make_company()
    code = answer_of(company.sign_on(Browser()))["code"]
    tokens = company.redeem(code).json()
    api = make_caller()
    (shown,) = api.get(f"/grants?client={company.client.client_id}").json()["items"]
    assert uuid.UUID(shown["person"])
    assert api.get(f"/grants?person={shown['person']}").json()["items"] == [shown]
    text = api.get("/grants").content.decode()
    for secret in (tokens["access_token"], tokens["id_token"], code, "alice@acme.example", "Ålesund"):
        assert secret not in text


@pytest.mark.parametrize("query", ["person=nobody", "person=", "grant_type=%00", "client__client_id=x", "revoked_at=x"])
def test_a_filter_of_no_use_is_refused(query):
    assert refused(make_caller().get(f"/grants?{query}")) == (400, "api.invalid")


@pytest.mark.parametrize("scope", ["grants.read", "registry.write", "decisions.read"])
def test_revoking_needs_its_own_scope(scope):
    api = make_caller(scope)
    grant = Grant.objects.get(client=api.client)
    assert refused(api.delete(f"/grants/{grant.pk}")) == (403, "api.insufficient_scope")
    grant.refresh_from_db()
    assert grant.revoked_at is None


@pytest.mark.parametrize("grant_id", [uuid.UUID(int=0), "nothing", "00000000"])
def test_a_grant_that_is_not_there_is_not_found(grant_id):
    api = make_caller()
    assert refused(api.get(f"/grants/{grant_id}"))[0] == 404
    assert refused(api.delete(f"/grants/{grant_id}"))[0] == 404


def test_decisions_are_read_without_what_they_were_made_from():
    activate("permit (principal, action, resource);")
    api = make_caller()
    gateway = make_service(client_id="gateway")
    answer = api.http.post(
        "/access/v1/evaluation",
        {
            "subject": {"type": "user", "id": "alice-in-secret"},
            "action": {"name": "read"},
            "resource": {"type": "record", "id": "record-1"},
        },
        content_type="application/json",
        headers={"Authorization": basic("gateway", CLIENT_SECRET)},
    )
    assert answer.status_code == 200
    (shown,) = api.get("/decisions?caller=gateway").json()["items"]
    assert shown["decision"] is False, "a gateway that nobody declared is told no"
    assert api.get(f"/decisions/{shown['id']}").json() == shown
    assert "alice-in-secret" not in str(shown)
    assert api.get("/decisions?action=write").json()["items"] == []
    assert Decision.objects.filter(caller=gateway.client_id).exists()


@pytest.mark.parametrize("scope", ["registry.read", "grants.read", "registry.write"])
def test_decisions_need_their_own_scope(scope):
    api = make_caller(scope)
    assert refused(api.get("/decisions")) == (403, "api.insufficient_scope")
    assert refused(api.get(f"/decisions/{uuid.uuid4()}")) == (403, "api.insufficient_scope")


def test_the_newest_comes_first_and_pages_follow_one_another():
    api = make_caller()
    resource = make_resource()
    for _ in range(5):
        client = make_service()
        make_flow(client, resource)
        issue(client, resource.identifier)
    seen, query = [], "/grants?limit=2"
    while query:
        answer = api.get(query)
        seen += [row["id"] for row in answer.json()["items"]]
        cursor = answer.json()["next_cursor"]
        query = f"/grants?limit=2&cursor={cursor}" if cursor else ""
    wanted = [str(pk) for pk in Grant.objects.order_by("-created_at", "-id").values_list("pk", flat=True)]
    assert seen == wanted
    assert len(seen) == 6
