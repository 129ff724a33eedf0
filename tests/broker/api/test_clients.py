"""/api/v1/clients and their secrets: what a program may change, and what stays with operators."""

import json

import pytest
from django.test import Client as DjangoClient

from broker.events.models import Event
from broker.registry.models import Client, ClientSecret, Flow
from tests.broker.api.calls import Caller, issue, make_caller, own_api, pointers, refused
from tests.factories import CLIENT_SECRET, make_application, make_client, make_flow, make_resource, make_service
from tests.flows.stage import basic

pytestmark = pytest.mark.django_db
NEW = {"client_id": "mirror", "owner": "mirror@acme.example"}
EC_KEY = {
    "kty": "EC",
    "crv": "P-256",
    "kid": "one",
    "alg": "ES256",
    "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
    "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
}


def test_a_client_is_registered_with_a_secret_and_gets_a_token_by_a_flow():
    api = make_caller()
    made = api.post("/clients", NEW)
    assert made.status_code == 201
    assert made["Location"].endswith("/api/v1/clients/mirror")
    assert made.json()["enforcement"] == "enforce"
    assert made["ETag"] == api.etag("/clients/mirror")
    secret = api.post("/clients/mirror/secrets").json()["client_secret"]
    assert secret.startswith("cs_")
    resource = make_resource()
    make_flow(Client.objects.get(client_id="mirror"), resource)
    answer = DjangoClient().post(
        "/oauth/token",
        "grant_type=client_credentials",
        content_type="application/x-www-form-urlencoded",
        headers={"Authorization": basic("mirror", secret)},
    )
    assert answer.status_code == 200


def test_the_book_names_the_caller_and_what_it_changed():
    api = make_caller(client_id="terraform")
    api.post("/clients", NEW)
    api.patch("/clients/mirror", {"enabled": False}, If_Match=api.etag("/clients/mirror"))
    created, changed = Event.objects.filter(subject_id="mirror").order_by("pk")
    assert (created.type, changed.type) == ("party.created", "party.changed")
    assert {created.actor_id, changed.actor_id} == {"terraform"}
    assert changed.details["before"] == {"enabled": True}


def test_a_change_touches_only_what_is_sent():
    api = make_caller()
    client = make_service(client_id="mirror", authentication="client_secret_post")
    answer = api.patch("/clients/mirror", {"owner": "new@acme.example"}, If_Match=api.etag("/clients/mirror"))
    assert answer.status_code == 200
    assert answer["ETag"] == api.etag("/clients/mirror")
    client.refresh_from_db()
    assert (client.owner, client.authentication) == ("new@acme.example", "client_secret_post")


def test_an_application_is_named_by_its_slug_and_may_be_taken_away():
    api = make_caller()
    make_application(slug="erp")
    api.post("/clients", {**NEW, "application": "erp"})
    assert api.get("/clients?application=erp").json()["items"][0]["client_id"] == "mirror"
    api.patch("/clients/mirror", {"application": ""}, If_Match=api.etag("/clients/mirror"))
    assert api.get("/clients/mirror").json()["application"] == ""


def test_a_client_id_may_be_an_address():
    api = make_caller()
    made = api.post("/clients", {**NEW, "client_id": "https://crm.example/a~b"})
    path = made["Location"].partition("/api/v1")[2]
    assert api.get(path).json()["client_id"] == "https://crm.example/a~b"
    secret = api.post(f"{path}/secrets").json()["id"]
    assert api.delete(f"{path}/secrets/{secret}").status_code == 204
    assert api.delete(path, If_Match="*").status_code == 204


def test_a_retired_client_is_gone_and_its_tokens_with_it():
    api, other = make_caller(), make_service(client_id="mirror")
    make_flow(other, make_resource(identifier="https://erp.example"))
    issue(other, "https://erp.example")
    assert api.delete("/clients/mirror", If_Match="*").status_code == 204
    assert refused(api.get("/clients/mirror")) == (404, "api.not_found")
    answer = DjangoClient().post(
        "/oauth/token",
        "grant_type=client_credentials",
        content_type="application/x-www-form-urlencoded",
        headers={"Authorization": basic("mirror", CLIENT_SECRET)},
    )
    assert answer.status_code == 401


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("id", 7),
        ("kind", "sign_on"),
        ("created_at", "2020-01-01T00:00:00Z"),
        ("retired_at", "2020-01-01T00:00:00Z"),
        ("redirect_uris", ["https://evil.example"]),
        ("client_secret", "one-of-my-own-0123456789abcdefghijk"),
        ("secret_hash", "k1:0"),
        ("pkce", "exempt"),
        ("credential_dates", {}),
        ("__proto__", {}),
    ],
)
def test_what_cannot_be_said_of_a_client_is_refused_by_its_name(member, value):
    api = make_caller()
    assert refused(answer := api.post("/clients", {**NEW, member: value})) == (400, "api.invalid")
    assert pointers(answer) == [f"/{member}"]
    assert not Client.objects.filter(client_id="mirror").exists()
    make_service(client_id="mirror")
    assert refused(api.patch("/clients/mirror", {member: value}, If_Match="*")) == (400, "api.invalid")


def test_a_client_keeps_its_name():
    api = make_caller()
    make_service(client_id="mirror")
    assert refused(api.patch("/clients/mirror", {"client_id": "other"}, If_Match="*")) == (400, "api.invalid")


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"client_id": ""}, "/client_id"),
        ({"client_id": "x" * 201}, "/client_id"),
        ({"client_id": None}, "/client_id"),
        ({"client_id": {"a": 1}}, "/client_id"),
        ({"owner": "nobody"}, "/owner"),
        ({"enabled": "perhaps"}, "/enabled"),
        ({"authentication": "none"}, "/authentication"),
        ({"application": "unheard-of"}, "/application"),
        ({"jwks_url": "javascript:alert(1)"}, "/jwks_url"),
        ({"jwks": []}, "/jwks"),
        ({"workload": {"issuer": {}}}, "/workload/issuer"),
        ({"client_id": "0190a2b4-7c11-7c3e-9d5b-2f6d1c0a9e44"}, ""),
        ({"client_id": "with space"}, ""),
        ({"jwks": {"keys": []}}, ""),
        ({"jwks": {"keys": [{**EC_KEY, "d": "870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE"}]}}, ""),
        ({"jwks": {"keys": [{"kty": "oct", "k": "AAAA"}]}}, ""),
        ({"jwks_url": "http://169.254.169.254/keys"}, ""),
        ({"authentication": "private_key_jwt"}, ""),
        ({"workload": {"issuer": "https://x.example"}}, ""),
    ],
)
def test_a_value_that_cannot_be_is_refused_at_its_place(change, pointer):
    answer = make_caller().post("/clients", NEW | change)
    assert refused(answer) == (400, "api.invalid")
    assert pointers(answer) == [pointer]
    assert not Client.objects.filter(owner=NEW["owner"]).exists()


def test_a_private_key_is_not_repeated_in_the_refusal():
    answer = make_caller().post("/clients", {**NEW, "jwks": {"keys": [{**EC_KEY, "d": "private-member"}]}})
    assert b"private-member" not in answer.content


def test_a_name_that_is_taken_is_a_conflict():
    api = make_caller()
    api.post("/clients", NEW)
    assert refused(api.post("/clients", NEW)) == (409, "api.conflict")


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_sign_on_clients_stay_with_the_console(method):
    api, client = make_caller(), make_client(client_id="crm")
    answer = api.send(method, "/clients/crm", {"enabled": False} if method == "PATCH" else None, If_Match="*")
    assert refused(answer) == (409, "api.conflict")
    assert refused(api.post("/clients/crm/secrets")) == (409, "api.conflict")
    secret = client.secrets.get()
    assert refused(api.delete(f"/clients/crm/secrets/{secret.pk}")) == (409, "api.conflict")
    client.refresh_from_db()
    assert client.enabled
    assert client.retired_at is None
    assert client.secrets.get().expires_at is None


# --- What only operators may


@pytest.mark.parametrize("enforcement", ["observe", "warn"])
def test_nobody_gets_a_client_that_needs_no_flow(enforcement):
    api = make_caller()
    assert refused(api.post("/clients", {**NEW, "enforcement": enforcement})) == (403, "api.operators_only")
    make_service(client_id="strict")
    answer = api.patch("/clients/strict", {"enforcement": enforcement}, If_Match="*")
    assert refused(answer) == (403, "api.operators_only")
    assert Client.objects.get(client_id="strict").enforcement == "enforce"


def test_a_lenient_client_may_be_made_stricter():
    api = make_caller()
    make_service(client_id="old", enforcement="observe")
    assert api.patch("/clients/old", {"enforcement": "warn", "owner": "a@b.example"}, If_Match="*").status_code == 200
    assert api.patch("/clients/old", {"enforcement": "enforce"}, If_Match="*").status_code == 200
    assert refused(api.patch("/clients/old", {"enforcement": "warn"}, If_Match="*")) == (403, "api.operators_only")


@pytest.mark.parametrize("state", [Flow.State.APPROVED, Flow.State.PROPOSED])
def test_nobody_takes_over_another_client_that_may_call_the_api(state):
    api = make_caller("registry.write", "registry.read")
    other = make_service(client_id="auditor")
    make_flow(other, own_api(), scopes=["grants.revoke"], state=state)
    secret = other.secrets.get()
    assert refused(api.post("/clients/auditor/secrets")) == (403, "api.operators_only")
    assert refused(api.delete(f"/clients/auditor/secrets/{secret.pk}")) == (403, "api.operators_only")
    for change in ({"jwks": {"keys": [EC_KEY]}, "authentication": "private_key_jwt"}, {"enabled": False}):
        assert refused(api.patch("/clients/auditor", change, If_Match="*")) == (403, "api.operators_only")
    assert refused(api.delete("/clients/auditor", If_Match="*")) == (403, "api.operators_only")
    assert other.secrets.count() == 1


def test_a_caller_rotates_its_own_secret_and_changes_nothing_else_of_itself():
    api = make_caller(client_id="terraform")
    assert api.post("/clients/terraform/secrets").status_code == 201
    assert refused(api.patch("/clients/terraform", {"owner": "me@x.example"}, If_Match="*"))[1] == "api.operators_only"
    assert refused(api.delete("/clients/terraform", If_Match="*"))[1] == "api.operators_only"


# --- Secrets


def test_a_secret_is_shown_once_and_stands_nowhere_else(caplog):
    api = make_caller()
    api.post("/clients", NEW)
    made = api.post("/clients/mirror/secrets", Idempotency_Key="one")
    value = made.json()["client_secret"]
    assert made["Cache-Control"] == "no-store"
    for path in ("/clients/mirror/secrets", "/clients/mirror", "/clients"):
        assert value not in api.get(path).content.decode()
    listed = api.get("/clients/mirror/secrets").json()["items"]
    assert set(listed[0]) == {"id", "scheme", "created_at", "rotate_by", "expires_at"}
    everything = json.dumps(list(Event.objects.values("details", "subject_id")), default=str)
    assert value not in everything
    assert value not in caplog.text
    assert ClientSecret.objects.get(client__client_id="mirror").secret_hash not in everything


def test_a_third_secret_ends_the_first_and_an_ended_one_may_be_ended_again():
    api = make_caller()
    api.post("/clients", NEW)
    ids = [api.post("/clients/mirror/secrets").json()["id"] for _ in range(3)]
    listed = {row["id"]: row for row in api.get("/clients/mirror/secrets").json()["items"]}
    assert [listed[one]["expires_at"] is None for one in ids] == [False, True, True]
    for _ in range(2):
        assert api.delete(f"/clients/mirror/secrets/{ids[1]}").status_code == 204
    assert Event.objects.filter(type="credential.ended").count() == 2


def test_a_secret_is_found_under_its_own_client_only():
    api = make_caller()
    make_service(client_id="mirror")
    foreign = make_service(client_id="other").secrets.get()
    for secret_id in (foreign.pk, 0, 2**63 - 1, 2**63, 10**40):
        assert refused(api.delete(f"/clients/mirror/secrets/{secret_id}")) == (404, "api.not_found")
    foreign.refresh_from_db()
    assert foreign.expires_at is None


@pytest.mark.parametrize("body", [{"value": "mine"}, {"client_secret": "mine"}, {"expires_at": None}])
def test_nothing_can_be_said_of_a_new_secret(body):
    api = make_caller()
    make_service(client_id="mirror")
    assert refused(api.post("/clients/mirror/secrets", body)) == (400, "api.invalid")
    assert ClientSecret.objects.filter(client__client_id="mirror").count() == 1


@pytest.mark.parametrize("name", ["nobody", "%00", "x" * 300, "%F0%9F%92%A9", "'; DROP TABLE--"])
def test_a_client_that_is_not_there_is_not_found(name):
    api = make_caller()
    for method in ("GET", "PATCH", "DELETE"):
        body = {"enabled": False} if method == "PATCH" else None
        assert refused(api.send(method, f"/clients/{name}", body, If_Match="*")) == (404, "api.not_found")
    assert refused(api.get(f"/clients/{name}/secrets")) == (404, "api.not_found")
    assert refused(api.post(f"/clients/{name}/secrets")) == (404, "api.not_found")


def test_a_caller_without_a_token_learns_nothing_of_what_exists():
    make_caller(client_id="there")
    stranger = Caller(Client(), "")
    assert stranger.get("/clients/there").json()["code"] == stranger.get("/clients/nobody").json()["code"]
