"""Attacks on /api/v1: other tokens, other ways in, more than was given, and bodies that readers read differently."""

import json
from typing import Any

import pytest

from broker import limits
from broker.actors import SYSTEM
from broker.console.models import Operator
from broker.console.services import create_operator
from broker.events.models import Event
from broker.registry.models import Client
from broker.registry.registering.clients import change_client, retire_client
from broker.registry.registering.flow_drafts import end_flow
from broker.throttling import throttle
from broker.traces.bounded import BUDGET as REFUSALS
from broker.traces.models import Trace
from tests.broker.api.calls import ALL, Caller, issue, make_caller, own_api, refused
from tests.broker.tokens.desk import post_form
from tests.factories import CLIENT_SECRET, make_flow, make_resource, make_service
from tests.fakes.prover import Prover
from tests.flows.stage import Browser, answer_of, basic, make_company

pytestmark = pytest.mark.django_db
INVALID = (401, "oauth.invalid_token")
WAYS = [
    ("GET", "/clients", "registry.read"),
    ("POST", "/clients", "registry.write"),
    ("GET", "/clients/mirror", "registry.read"),
    ("PATCH", "/clients/mirror", "registry.write"),
    ("DELETE", "/clients/mirror", "registry.write"),
    ("GET", "/clients/mirror/secrets", "registry.read"),
    ("POST", "/clients/mirror/secrets", "registry.write"),
    ("DELETE", "/clients/mirror/secrets/1", "registry.write"),
    ("GET", "/flows", "registry.read"),
    ("POST", "/flows", "registry.write"),
    ("GET", "/flows/1", "registry.read"),
    ("PATCH", "/flows/1", "registry.write"),
    ("DELETE", "/flows/1", "registry.write"),
    ("GET", "/resources", "registry.read"),
    ("GET", "/approvals", "registry.read"),
    ("GET", "/approvals/1", "registry.read"),
    ("GET", "/grants", "grants.read"),
    ("GET", "/grants/0190a2b4-7c11-7c3e-9d5b-2f6d1c0a9e44", "grants.read"),
    ("DELETE", "/grants/0190a2b4-7c11-7c3e-9d5b-2f6d1c0a9e44", "grants.revoke"),
    ("GET", "/decisions", "decisions.read"),
    ("GET", "/decisions/0190a2b4-7c11-7c3e-9d5b-2f6d1c0a9e44", "decisions.read"),
]


def body_of(method):
    return {} if method in ("POST", "PATCH") else None


@pytest.mark.parametrize(("method", "path", "scope"), WAYS)
def test_every_operation_refuses_who_has_every_scope_but_its_own(method, path, scope):
    api = make_caller(*(one for one in ALL if one != scope))
    make_service(client_id="mirror")
    answer = api.send(method, path, body_of(method), If_Match="*")
    assert refused(answer) == (403, "api.insufficient_scope")
    assert 'error="insufficient_scope"' in answer["WWW-Authenticate"]


@pytest.mark.parametrize(("method", "path", "scope"), WAYS)
def test_every_operation_refuses_who_has_no_token(method, path, scope):
    answer = Caller(Client(), "").send(method, path, body_of(method), If_Match="*")
    assert refused(answer) == INVALID
    assert 'resource_metadata="' in answer["WWW-Authenticate"]
    assert "error=" not in answer["WWW-Authenticate"], "who sent no token is told no error"


def test_a_refused_caller_changed_nothing():
    api = make_caller("registry.read")
    make_service(client_id="mirror")
    before = Client.objects.count()
    for method, path, scope in WAYS:
        if scope != "registry.read":
            api.send(method, path, body_of(method), If_Match="*")
    assert Client.objects.count() == before
    assert Client.objects.get(client_id="mirror").enabled


# --- Other tokens


def test_a_token_for_another_audience_opens_nothing():
    api, resource = make_caller(), make_resource(scopes=dict.fromkeys(ALL, "the same names"))
    make_flow(api.client, resource, scopes=list(ALL))
    api.token = issue(api.client, resource.identifier)
    assert refused(api.get("/clients")) == INVALID


def test_a_token_for_decisions_opens_nothing():
    api = make_caller()
    resource = type(own_api()).objects.get(identifier="http://localhost:8000/access")
    make_flow(api.client, resource, scopes=["access.evaluate"])
    api.token = issue(api.client, resource.identifier)
    assert refused(api.get("/clients")) == INVALID


def test_a_persons_tokens_open_nothing():
    company = make_company()
    tokens = company.redeem(answer_of(company.sign_on(Browser()))["code"]).json()
    api = make_caller()
    for name in ("access_token", "id_token"):
        api.token = tokens[name]
        assert refused(api.get("/clients")) == INVALID


def test_a_person_with_a_token_for_this_very_api_is_no_caller():
    company = make_company()
    api = make_caller()
    make_flow(company.client, own_api(), grant="authorization_code", subject_class="person", scopes=["registry.read"])
    answer = company.sign_on(Browser(), ask={"scope": "openid registry.read", "resource": own_api().identifier})
    tokens = company.redeem(answer_of(answer)["code"], resource=own_api().identifier).json()
    assert tokens["scope"], tokens
    api.token = tokens["access_token"]
    assert refused(api.get("/clients")) == INVALID


@pytest.mark.parametrize(
    "change", [lambda t: t[:-4], lambda t: t + "A", lambda t: t.rsplit(".", 1)[0] + ".", str.swapcase]
)
def test_a_token_that_was_touched_opens_nothing(change):
    api = make_caller()
    api.token = change(api.token)
    assert refused(api.get("/clients")) == INVALID


@pytest.mark.parametrize(
    "end",
    [
        lambda client: end_flow(client.flows.get(), actor=SYSTEM),
        lambda client: change_client(client, enabled=False, actor=SYSTEM),
        lambda client: retire_client(client, actor=SYSTEM),
    ],
)
def test_a_token_ends_with_what_it_stands_on_at_the_next_request(end):
    api = make_caller()
    assert api.get("/clients").status_code == 200
    end(api.client)
    assert refused(api.get("/clients")) == INVALID


# --- Other ways in


def test_a_token_in_the_query_is_refused():
    api = make_caller()
    answer = Caller(api.client, "").get(f"/clients?access_token={api.token}")
    assert refused(answer) == (400, "oauth.invalid_request")


def test_a_token_in_a_cookie_or_a_form_is_nobodys():
    api = make_caller()
    stranger = Caller(api.client, "")
    stranger.http.cookies["access_token"] = api.token
    assert refused(stranger.get("/clients")) == INVALID
    form = {"Content_Type": "application/x-www-form-urlencoded"}
    assert refused(stranger.post("/clients", f"access_token={api.token}".encode(), **form)) == INVALID


@pytest.mark.parametrize(
    "header", ["Basic {0}", "Token {0}", "{0}", "Bearer", "Bearer {0} {0}", "Bearer {0},Bearer {0}"]
)
def test_another_scheme_is_refused(header):
    api = make_caller()
    assert refused(Caller(api.client, "").get("/clients", Authorization=header.format(api.token))) == INVALID


def test_an_operators_console_session_counts_for_nothing():
    operator, _ = create_operator("one@acme.example", name="One", role=Operator.Role.OPERATOR, actor=SYSTEM)
    stranger = Caller(Client(), "")
    stranger.http.force_login(operator, backend="broker.console.backends.OperatorBackend")
    assert refused(stranger.get("/clients")) == INVALID
    assert refused(stranger.post("/clients", {"client_id": "mirror", "owner": "a@acme.example"})) == INVALID
    assert not Client.objects.filter(client_id="mirror").exists()


def test_a_bearer_token_is_no_bound_one():
    api = make_caller()
    assert refused(Caller(api.client, "").get("/clients", Authorization=f"DPoP {api.token}"))[0] == 401


def test_a_token_that_is_bound_to_a_key_opens_nothing_without_it():
    api, prover = make_caller(), Prover()
    token_address, clients = "http://localhost:8000/oauth/token", "http://localhost:8000/api/v1/clients"
    form = {"grant_type": "client_credentials", "resource": own_api().identifier}

    def ask() -> Any:
        authorization = basic(api.client.client_id, CLIENT_SECRET)
        return post_form("/oauth/token", form, authorization=authorization, dpop=prover.proof("POST", token_address))

    prover.nonce = ask()["DPoP-Nonce"]
    api.token = ask().json()["access_token"]
    assert refused(api.get("/clients")) == INVALID, "as a bearer token"
    bound = f"DPoP {api.token}"
    assert refused(api.get("/clients", Authorization=bound)) == (401, "oauth.dpop_proof")
    good = prover.proof("GET", clients, access_token=api.token)
    answer = api.get("/clients?limit=1", Authorization=bound, DPoP=good)
    assert answer.status_code == 200
    assert answer["DPoP-Nonce"]
    for proof in (
        good,
        prover.proof("POST", clients, access_token=api.token),
        prover.proof("GET", f"{clients}/mirror", access_token=api.token),
        prover.proof("GET", clients, access_token="another"),
        Prover().proof("GET", clients, access_token=api.token, nonce=prover.nonce),
    ):
        refusal = api.get("/clients", Authorization=bound, DPoP=proof)
        assert refusal.status_code == 401
        assert refused(refusal)[1] in ("oauth.dpop_proof", "oauth.invalid_token")


@pytest.mark.parametrize("header", ["X-HTTP-Method-Override", "X-Method-Override"])
def test_the_method_is_the_method(header):
    api = make_caller()
    make_service(client_id="mirror")
    answer = api.post("/clients/mirror", {}, If_Match="*", **{header: "DELETE"})
    assert refused(answer) == (405, "request.method")
    assert Client.objects.get(client_id="mirror").retired_at is None


# --- Bodies


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"1",
        b"{",
        b'{"client_id": "mirror",}',
        b'{"client_id": "mirror", "client_id": "other", "owner": "a@acme.example"}',
        b'{"client_id": "mirror", "client_\\u0069d": "other"}',
        b'{"client_id": NaN}',
        b'{"client_id": Infinity}',
        b'{"client_id": 1e999}',
        b'{"client_id": ' + b"9" * 50_000 + b"}",
        b'{"client_id": ' + b'{"a":' * 60 + b"1" + b"}" * 61,
        b'{"jwks": ' + b"[" * 30_000 + b"]" * 30_000 + b"}",
        b'{"client_id": "\xff"}',
        b'{"client_id": "\xed\xa0\x80"}',
        b'{"client_id": "\\ud800"}',
        b'{"client_id": "a\\u0000b"}',
        b'\xef\xbb\xbf{"client_id": "mirror"}',
        '{"client_id": "mirror"}'.encode("utf-16"),
        b'{"client_id": "mirror"} {"client_id": "other"}',
        b"client_id=mirror",
        b"<client/>",
    ],
)
def test_a_body_that_is_not_one_plain_object_is_refused(body):
    api = make_caller()
    answer = api.post("/clients", body)
    assert refused(answer) in {(400, "api.malformed"), (400, "api.invalid")}
    assert len(answer.content) < 2_000, "a refusal does not repeat what was sent"
    assert not Client.objects.filter(client_id__in=["mirror", "other"]).exists()


@pytest.mark.parametrize(
    "kind",
    [
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain",
        "text/json",
        "application/xml",
        "application/merge-patch+json",
        "application/jsonx",
        "",
    ],
)
def test_a_body_of_another_type_is_refused(kind):
    api = make_caller()
    body = json.dumps({"client_id": "mirror", "owner": "a@acme.example"}).encode()
    assert refused(api.post("/clients", body, Content_Type=kind)) == (415, "api.media_type")
    assert not Client.objects.filter(client_id="mirror").exists()


def test_a_body_that_is_too_large_is_refused_before_anybody_reads_it():
    api = make_caller()
    answer = api.post("/clients", b'{"owner": "' + b"a" * limits.FORM_BYTES + b'"}')
    assert refused(answer) == (413, "request.too_large")


@pytest.mark.parametrize("name", ["a" * 5_000, "\n\r\t", "<script>", "/~1~0", "🔑"])
def test_an_unknown_member_is_named_with_care(name):
    answer = make_caller().post("/clients", {"client_id": "mirror", "owner": "a@acme.example", name: 1})
    assert refused(answer) == (400, "api.invalid")
    (error,) = answer.json()["errors"]
    assert len(error["pointer"]) < 130
    assert not Client.objects.filter(client_id="mirror").exists()


def test_a_thousand_unknown_members_make_no_long_answer():
    answer = make_caller().post("/clients", {f"m{number}": 1 for number in range(3_000)})
    assert refused(answer) == (400, "api.invalid")
    assert len(answer.json()["errors"]) <= 20


# --- Floods


def test_a_flood_of_strangers_does_not_fill_the_tables(settings):
    settings.THROTTLE_PROCESSES = 1
    stranger = Caller(Client(), "")
    events, traces = Event.objects.count(), Trace.objects.count()
    for _ in range(REFUSALS.permits + 50):
        assert refused(stranger.get("/clients")) == INVALID
    assert Trace.objects.count() - traces <= REFUSALS.permits * 2
    assert Event.objects.count() - events <= REFUSALS.permits * 2 + 2
    assert Event.objects.filter(type="refusals.counted").exists()
    throttle.forget()


def test_no_token_stands_in_the_book_the_traces_or_the_log(caplog):
    api = make_caller("registry.read")
    api.get("/clients")
    api.post("/clients", {})
    Caller(api.client, "").get(f"/clients?access_token={api.token}")
    api.token = api.token[:-4]
    api.get("/clients")
    everything = str(list(Event.objects.values())) + str(list(Trace.objects.values())) + caplog.text
    assert api.token.split(".")[1] not in everything
    assert api.token not in everything
