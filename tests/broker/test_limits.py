"""Each row of the table of limits: what is at the limit passes, what is above it does not."""

import json
import re
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlencode

import pytest
import time_machine
from cryptography.hazmat.primitives.asymmetric import rsa
from django.test import Client as Http
from django.test import RequestFactory
from django.utils import timezone
from pydantic import SecretStr

from broker import env, limits, outgoing
from broker.access import decisions
from broker.access.models import Decision, Flip
from broker.access.names import Unreadable, cedar_record
from broker.access.policy import read_rules
from broker.access.registering import try_version
from broker.actors import SYSTEM, Actor, ActorKind
from broker.approvals.services import approve
from broker.client_certificate import open_certificate
from broker.console.models import Operator
from broker.delivery.models import Delivery
from broker.delivery.pruning import prune
from broker.directory.attributes import check_claims
from broker.directory.doctor import check_authority
from broker.directory.groups import add_members, create_group
from broker.directory.models import Person
from broker.directory.rules import check_rule, schedule_rule, simulate_rule
from broker.directory.sources import Source, SourceKind
from broker.errors import BrokerError
from broker.events import reading
from broker.events.catalogue import OPERATOR_CREATED, PERSON_CHANGED
from broker.events.grouped import GroupCommit
from broker.events.models import Event
from broker.events.services import record
from broker.keys import jose
from broker.keys.ring import ring
from broker.keys.services import RSA_BITS
from broker.keys.strict_json import NotStrictJson, read_object
from broker.keys.values import Expectation
from broker.registry import credential_values, secrets
from broker.registry.credential_uses import UseMemory
from broker.registry.flow_endings import tell_endings
from broker.registry.flow_report import UNUSED, read_register
from broker.registry.flow_use import touch_flow
from broker.registry.flows import FlowQuestion, permit
from broker.registry.models import FlowEvidence
from broker.registry.registering.flows import ask_for_approval
from broker.registry.values import BadValue
from broker.tokens.authorization import AuthorizationRefused, read_authorization_request
from broker.tokens.client_methods.private_key import verify_own_assertion
from broker.tokens.errors import InvalidRequest
from broker.tokens.models import Grant
from broker.tokens.requests import read_form
from broker.tokens.services import forget_ended
from broker.tokens.verification import verify_id_token_hint
from broker.traces.collector import Collector
from federation.logout.requests import OWN_WISH, open_request, seal_request
from tests.broker.access import house
from tests.broker.access.gateway import action, entity, make_gateway
from tests.broker.directory.sources import HR, say
from tests.broker.events.readers import FIRST
from tests.broker.tokens.desk import Desk
from tests.factories import make_client, make_flow, make_organisation, make_person, make_resource, make_service
from tests.fakes.assertions import assertion
from tests.fakes.certificates import make_certificate
from tests.fakes.fake_op import public_jwk
from tests.fakes.server import serving, trickling
from tests.fakes.tokens import forge, rs256, rsa_key

NOW = datetime(2026, 3, 1, tzinfo=UTC)


# --- JWTs -----------------------------------------------------------------------------------------------------------
def verify(claims, *, max_bytes):
    now = int(NOW.timestamp())
    payload = {"iss": "i", "aud": "a", "iat": now, "exp": now + 60} | claims
    token = forge({"alg": "RS256", "kid": "k", "typ": "JWT"}, payload, rs256(rsa_key()))
    expectation = Expectation(
        keys=(jose.verification_key(rsa_key().public_key(), kid="k", algorithm="RS256", use="sig"),),
        types=frozenset({"JWT"}),
        max_bytes=max_bytes,
        issuer="i",
        audience=frozenset({"a"}),
        greatest_age=timedelta(minutes=1),
        greatest_lifetime=timedelta(minutes=1),
        skew=timedelta(0),
        after_expiry=timedelta(0),
        required=frozenset(),
        now=NOW,
    )
    jose.verify(token, expectation)
    return len(token)


@pytest.mark.parametrize("limit", [limits.JWT_BEARER_BYTES, limits.JWT_ID_TOKEN_BYTES])
def test_jwt_bearer_bytes_and_jwt_id_token_bytes(limit):
    # Three bytes of claims are four letters of token; the rest of this token is less than 600.
    assert verify({"x": "y" * ((limit - 600) // 4 * 3)}, max_bytes=limit) > limit - 600
    with pytest.raises(BrokerError) as caught:
        verify({"x": "y" * (limit // 4 * 3)}, max_bytes=limit)
    assert caught.value.code == "jwt.too_large"


def test_jwt_id_token_bytes_has_room_for_two_hundred_group_ids():
    groups = [f"3f2504e0-4f89-11d3-9a0c-0305e82c3{number:03}" for number in range(200)]
    assert verify({"groups": groups}, max_bytes=limits.JWT_ID_TOKEN_BYTES) > limits.JWT_BEARER_BYTES


def test_jwt_json_depth():
    def nested(depth):
        return json.dumps({"a": 1}).replace("1", "[" * (depth - 1) + "]" * (depth - 1)).encode()

    assert read_object(nested(limits.JWT_JSON_DEPTH))
    with pytest.raises(NotStrictJson):
        read_object(nested(limits.JWT_JSON_DEPTH + 1))


def test_rsa_bits_min():
    assert RSA_BITS >= limits.RSA_BITS_MIN >= 2048
    assert jose.signing_material(rsa_key(limits.RSA_BITS_MIN), kid="k", algorithm="RS256")
    weak = rsa.generate_private_key(public_exponent=65537, key_size=limits.RSA_BITS_MIN - 8)
    with pytest.raises(ValueError, match="does not fit"):
        jose.signing_material(weak, kid="k", algorithm="RS256")


# --- Keys. Their lives are walked through in tests/broker/keys/test_services.py -------------------------------------
def test_key_announce_is_longer_than_anybody_remembers_older_keys():
    assert limits.KEY_ANNOUNCE > limits.KEY_POLL_INTERVAL + limits.JWKS_MAX_AGE


def test_key_retire_and_key_retire_encryption_are_longer_than_what_the_key_made():
    assert max(limits.ACCESS_TOKEN_LIFETIME, limits.ID_TOKEN_LIFETIME) <= limits.KEY_RETIRE
    assert limits.KEY_RETIRE <= limits.KEY_RETIRE_ENCRYPTION


# --- Outgoing requests ----------------------------------------------------------------------------------------------
def fetch_slowly(settings, **caps):
    settings.OUTGOING_NETWORKS = ["127.0.0.0/8"]
    endless = trickling(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", b"x" * 65536, pause=0.01, pieces=2000)
    with serving(endless) as server, pytest.raises(BrokerError) as caught:
        outgoing.fetch(f"http://127.0.0.1:{server.port}/", purpose="limits", accept="*/*", **caps)
    return caught.value.detail


def test_outgoing_json_bytes(settings):
    assert limits.OUTGOING_JSON_BYTES == 512 * 1024
    assert "too large" in fetch_slowly(settings, max_bytes=limits.OUTGOING_JSON_BYTES)


def test_outgoing_total_seconds(settings):
    defaults = outgoing.fetch.__kwdefaults__
    assert defaults["total_seconds"] == limits.OUTGOING_TOTAL_SECONDS <= 20
    began = time.monotonic()
    assert "Timeout" in fetch_slowly(settings, max_bytes=10**9, total_seconds=0.2)
    assert time.monotonic() - began < 5


def test_outgoing_connect_seconds():
    defaults = outgoing.fetch.__kwdefaults__
    assert defaults["connect_seconds"] == limits.OUTGOING_CONNECT_SECONDS <= 5
    assert limits.OUTGOING_CONNECT_SECONDS < limits.OUTGOING_TOTAL_SECONDS


# --- Clients, codes and tokens --------------------------------------------------------------------------------------
@pytest.mark.django_db
def test_a_secret_of_another_house_has_its_bounds():
    client = make_client(secret=None)
    for chars in (limits.CLIENT_SECRET_CHARS_MIN - 1, limits.CLIENT_SECRET_CHARS_MAX + 1):
        with pytest.raises(secrets.UnusableSecret):
            secrets.import_secret(client, "x" * chars, actor=SYSTEM)
    assert secrets.import_secret(client, "x" * limits.CLIENT_SECRET_CHARS_MIN, actor=SYSTEM)
    assert secrets.import_secret(client, "x" * (limits.CLIENT_SECRET_CHARS_ADVISED - 1), actor=SYSTEM)
    assert not secrets.import_secret(client, "x" * limits.CLIENT_SECRET_CHARS_ADVISED, actor=SYSTEM)
    assert not secrets.import_secret(client, "x" * limits.CLIENT_SECRET_CHARS_MAX, actor=SYSTEM)
    days = {(row.rotate_by - row.created_at.date()).days for row in client.secrets.all()}
    assert days == {limits.CLIENT_SECRET_ROTATE_WITHIN.days}


def read_token_form(fields):
    body = urlencode(fields)
    return read_form(RequestFactory().post("/", body, content_type="application/x-www-form-urlencoded"))


def test_a_form_has_its_bounds():
    at_limit = {f"p{number}": "1" for number in range(limits.FORM_FIELDS)}
    assert len(read_token_form(at_limit)) == limits.FORM_FIELDS
    with pytest.raises(InvalidRequest):
        read_token_form(at_limit | {"one": "more"})
    assert read_token_form({"p": "x" * limits.PARAMETER_CHARS})
    with pytest.raises(InvalidRequest):
        read_token_form({"p": "x" * (limits.PARAMETER_CHARS + 1)})


@pytest.mark.parametrize(("name", "bound"), [("nonce", limits.NONCE_CHARS), ("state", limits.PARAMETER_CHARS)])
@pytest.mark.django_db
def test_what_is_echoed_has_its_bounds(name, bound):
    client = make_client()
    parameters = {
        "client_id": [client.client_id],
        "redirect_uri": client.redirect_uris,
        "response_type": ["code"],
        "scope": ["openid"],
        "code_challenge": ["A" * 43],
        "code_challenge_method": ["S256"],
    }
    assert read_authorization_request(parameters | {name: ["x" * bound]})
    with pytest.raises(AuthorizationRefused):
        read_authorization_request(parameters | {name: ["x" * (bound + 1)]})


def lives_until(lifetime, *, works):
    """Whether something given now works in the last second of its life and no longer after it."""
    start = timezone.now()
    answers = []
    for age in (lifetime - timedelta(seconds=1), lifetime):
        with time_machine.travel(start, tick=False):
            given = works.give()
        with time_machine.travel(start + age, tick=False):
            answers.append(works.use(given))
    return answers == [True, False]


class Codes:
    def __init__(self):
        self.desk = Desk()
        self.give = self.desk.code

    def use(self, code):
        return self.desk.redeem(code).status_code == 200


class AccessTokens(Codes):
    def __init__(self):
        super().__init__()
        self.give = lambda: self.desk.tokens()["access_token"]

    def use(self, token):
        return self.desk.userinfo(token).status_code == 200


class IdTokens(Codes):
    """As a hint, after their own end."""

    def __init__(self):
        super().__init__()
        self.give = lambda: self.desk.tokens()["id_token"]

    def use(self, token):
        try:
            return bool(verify_id_token_hint(token, now=timezone.now()))
        except BrokerError:
            return False


class RefreshTokens(Codes):
    def __init__(self):
        super().__init__()
        self.give = lambda: self.desk.offline_tokens()["refresh_token"]

    def use(self, token):
        return self.desk.refresh(token).status_code == 200


class UsedRefreshTokens(RefreshTokens):
    """Those of which the answer was lost."""

    def __init__(self):
        super().__init__()
        self.give = self.spend

    def spend(self):
        token = self.desk.offline_tokens()["refresh_token"]
        assert self.use(token)
        return token


@pytest.mark.parametrize(
    ("works", "lifetime"),
    [
        (Codes, limits.AUTHORIZATION_CODE_LIFETIME),
        (AccessTokens, limits.ACCESS_TOKEN_LIFETIME),
        (IdTokens, limits.ID_TOKEN_LIFETIME + limits.ID_TOKEN_HINT_AGE),
        (RefreshTokens, limits.REFRESH_TOKEN_IDLE),
        (UsedRefreshTokens, limits.REFRESH_GRACE + timedelta(seconds=1)),
    ],
)
@pytest.mark.django_db
def test_what_is_given_to_a_client_has_its_life(works, lifetime):
    ring.forget()
    assert lives_until(lifetime, works=works())
    ring.forget()


def test_a_logout_request_has_its_life():
    sealed = seal_request(OWN_WISH, now=NOW)
    assert open_request(sealed, now=NOW + limits.LOGOUT_REQUEST_LIFETIME - timedelta(seconds=1)) == OWN_WISH
    with pytest.raises(BrokerError):
        open_request(sealed, now=NOW + limits.LOGOUT_REQUEST_LIFETIME)


@pytest.mark.django_db
def test_grants_are_kept_for_their_retention():
    ring.forget()
    desk = Desk()
    desk.tokens()
    end = Grant.objects.get().expires_at + limits.GRANT_RETENTION
    assert forget_ended(now=end) == 0
    assert forget_ended(now=end + timedelta(seconds=1)) == 1
    ring.forget()


def test_discovery_may_be_kept_for_its_time():
    answer = Http().get("/.well-known/openid-configuration")
    assert answer["Cache-Control"] == f"public, max-age={int(limits.DISCOVERY_MAX_AGE.total_seconds())}"


# --- Flows and approvals --------------------------------------------------------------------------------------------
def flow_permit(flow, *, scopes=("invoices.read",), now):
    question = FlowQuestion(
        client=flow.client,
        grant=flow.grant,
        resource=flow.resource,
        scopes=scopes,
        subject_class=flow.subject_class,
        now=now,
    )
    return permit(question, actor=SYSTEM, trace=Collector())


@pytest.mark.django_db
def test_a_flow_warns_and_browns_out_for_its_time():
    flow = make_flow(make_service(), make_resource(), expires=datetime(2027, 6, 30, tzinfo=UTC).date())
    moment = timedelta(microseconds=1)
    assert flow_permit(flow, now=flow.ends_at - limits.FLOW_ENDING_BEFORE - moment).warnings == ()
    assert flow_permit(flow, now=flow.ends_at - limits.FLOW_ENDING_BEFORE).warnings == ("flow-ends=2027-06-30",)
    dark = flow.ends_at - limits.FLOW_BROWN_OUT_BEFORE
    for allowed in (dark - moment, dark + limits.FLOW_BROWN_OUT_WINDOW):
        assert flow_permit(flow, now=allowed).flow_id == flow.pk
    for refused in (dark, dark + limits.FLOW_BROWN_OUT_WINDOW - moment):
        with pytest.raises(BrokerError):
            flow_permit(flow, now=refused)


@pytest.mark.django_db
def test_an_owner_is_told_at_each_of_the_days():
    flow = make_flow(make_service(), make_resource(), expires=datetime(2027, 6, 30, tzinfo=UTC).date())
    for days in limits.FLOW_ENDING_DAYS:
        before = flow.ends_at - timedelta(days=days)
        assert tell_endings(now=before - timedelta(microseconds=1), actor=SYSTEM) == 0
        assert tell_endings(now=before, actor=SYSTEM) == 1


@pytest.mark.django_db
def test_the_use_of_a_flow_is_written_at_its_interval():
    flow = make_flow(make_service(), make_resource())
    for after in (timedelta(0), limits.FLOW_TOUCH_INTERVAL - timedelta(seconds=1)):
        touch_flow(flow.pk, now=NOW + after)
        flow.refresh_from_db()
        assert flow.last_used_at == NOW
    touch_flow(flow.pk, now=NOW + limits.FLOW_TOUCH_INTERVAL)
    flow.refresh_from_db()
    assert flow.last_used_at == NOW + limits.FLOW_TOUCH_INTERVAL


@pytest.mark.django_db
def test_evidence_is_written_at_its_interval():
    flow = make_flow(make_service(), make_resource())
    just_before = NOW + limits.FLOW_EVIDENCE_INTERVAL - timedelta(microseconds=1)
    for moment, counted in ((NOW, 1), (just_before, 1), (NOW + limits.FLOW_EVIDENCE_INTERVAL, 3)):
        with pytest.raises(BrokerError):
            flow_permit(flow, scopes=("invoices.write",), now=moment)
        assert FlowEvidence.objects.get().count == counted


@pytest.mark.django_db
def test_of_one_client_so_many_kinds_of_evidence_are_kept():
    flow = make_flow(make_service(), make_resource())
    for number in range(limits.FLOW_EVIDENCE_KINDS + 1):
        flow.grant = f"grant{number}"
        with pytest.raises(BrokerError):
            flow_permit(flow, now=NOW)
    assert FlowEvidence.objects.count() == limits.FLOW_EVIDENCE_KINDS


@pytest.mark.django_db
@pytest.mark.parametrize(("over", "marks"), [(0, ()), (1, (UNUSED,))])
def test_a_flow_is_unused_after_its_time(over, marks):
    used = NOW - limits.FLOW_UNUSED - timedelta(seconds=over)
    make_flow(make_service(), make_resource(), last_used_at=used, expires=datetime(2099, 1, 1, tzinfo=UTC).date())
    (client,) = read_register(now=NOW)
    assert client.flows[0].marks == marks


@pytest.mark.django_db
def test_an_approval_waits_for_its_time_and_a_new_account_rests_for_its_own():
    def operator(email):
        return Operator.objects.create(email=email, name="", role="operator", created_at=NOW)

    def proposal(grant):
        flow = make_flow(make_service(), make_resource(), grant=grant, state="proposed", data_classes=["personal"])
        return ask_for_approval(flow, before={}, actor=by("ada@acme.example"))

    def by(email):
        return Actor(ActorKind.OPERATOR, email)

    def code(approval, email):
        try:
            approve(approval, actor=by(email))
        except BrokerError as error:
            return error.code
        return "approved"

    operator("ada@acme.example")
    operator("bob@acme.example")
    with time_machine.travel(NOW, tick=False):
        first, second, third = proposal("a"), proposal("b"), proposal("c")
        operator("eve@acme.example")
        record(OPERATOR_CREATED, actor=by("ada@acme.example"), subject=("operator", Operator.objects.last().pk))
    for approval in (first, second, third):
        assert approval.expires_at - approval.requested_at == limits.APPROVAL_LIFETIME
    with time_machine.travel(NOW + limits.APPROVAL_ACCOUNT_REST, tick=False):
        assert code(first, "eve@acme.example") == "approval.same_human"
    with time_machine.travel(NOW + limits.APPROVAL_ACCOUNT_REST + timedelta(seconds=1), tick=False):
        assert code(first, "eve@acme.example") == "approved"
    with time_machine.travel(NOW + limits.APPROVAL_LIFETIME - timedelta(seconds=1), tick=False):
        assert code(second, "bob@acme.example") == "approved"
    with time_machine.travel(NOW + limits.APPROVAL_LIFETIME, tick=False):
        assert code(third, "bob@acme.example") == "approval.expired"


def test_a_token_of_another_house_may_be_longer_than_other_parameters():
    def asked(name, length):
        request = RequestFactory().post("/", f"{name}={'a' * length}", content_type="application/x-www-form-urlencoded")
        return read_form(request)

    for name in ("subject_token", "assertion"):
        assert asked(name, limits.SUBJECT_TOKEN_CHARS)
        with pytest.raises(InvalidRequest):
            asked(name, limits.SUBJECT_TOKEN_CHARS + 1)
    with pytest.raises(InvalidRequest):
        asked("actor_token", limits.PARAMETER_CHARS + 1)


# --- Decisions --------------------------------------------------------------------------------------------------------
ASKED = {"subject": entity("user", "alice"), "action": action("read"), "resource": entity("record", "1")}


@pytest.mark.django_db
def test_a_request_for_a_decision_has_its_greatest_size():
    gateway, path = make_gateway(), "/access/v1/evaluation"
    body = json.dumps(ASKED)
    assert gateway.post(path, body + " " * (limits.ACCESS_BODY_BYTES - len(body))).status_code == 200
    assert gateway.post(path, body + " " * (limits.ACCESS_BODY_BYTES - len(body) + 1)).status_code == 413


@pytest.mark.django_db
def test_a_request_for_a_decision_has_its_greatest_depth():
    gateway = make_gateway()

    def asked(depth):
        return gateway.post(
            "/access/v1/evaluation", json.dumps(ASKED | {"more": 0}).replace("0", "[" * depth + "]" * depth)
        )

    assert asked(limits.ACCESS_JSON_DEPTH - 1).status_code == 200
    assert asked(limits.ACCESS_JSON_DEPTH).status_code == 400


@pytest.mark.django_db
def test_a_batch_has_its_greatest_number_of_items():
    gateway = make_gateway()
    assert gateway.evaluate_all(**ASKED, evaluations=[{}] * limits.ACCESS_EVALUATIONS).status_code == 200
    assert gateway.evaluate_all(**ASKED, evaluations=[{}] * (limits.ACCESS_EVALUATIONS + 1)).status_code == 400


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "part", "limit"),
    [
        ("subject", "type", limits.ACCESS_NAME_CHARS),
        ("action", "name", limits.ACCESS_NAME_CHARS),
        ("resource", "type", limits.ACCESS_NAME_CHARS),
        ("subject", "id", limits.ACCESS_ID_CHARS),
        ("resource", "id", limits.ACCESS_ID_CHARS),
    ],
)
def test_names_and_ids_in_a_question_have_their_greatest_length(name, part, limit):
    gateway = make_gateway()
    for length, status in ((limit, 200), (limit + 1, 400)):
        assert gateway.evaluate(**{**ASKED, name: {**ASKED[name], part: "x" * length}}).status_code == status


@pytest.mark.django_db
def test_a_request_id_has_its_greatest_length():
    gateway = make_gateway()
    for length, status in ((limits.ACCESS_REQUEST_ID_CHARS, 200), (limits.ACCESS_REQUEST_ID_CHARS + 1, 400)):
        assert gateway.evaluate(**ASKED, headers={"X-Request-ID": "x" * length}).status_code == status


@pytest.mark.django_db
def test_a_page_of_a_search_has_its_greatest_numbers_of_results_and_candidates():
    gateway = make_gateway(policy="permit (principal, action, resource);")

    def searched(count):
        candidates = [{"id": f"{number}"} for number in range(count)]
        page = {"limit": count, "properties": {"candidates": candidates}}
        return gateway.search("resource", **{**ASKED, "resource": {"type": "record"}}, page=page)

    assert len(searched(limits.ACCESS_SEARCH_RESULTS).json()["results"]) == limits.ACCESS_SEARCH_RESULTS
    assert len(searched(limits.ACCESS_SEARCH_RESULTS + 1).json()["results"]) == limits.ACCESS_SEARCH_RESULTS
    assert searched(limits.ACCESS_SEARCH_CANDIDATES).status_code == 200
    assert searched(limits.ACCESS_SEARCH_CANDIDATES + 1).status_code == 400


@pytest.mark.django_db
def test_a_page_token_has_its_life():
    gateway = make_gateway(policy="permit (principal, action, resource);")
    page = {"properties": {"candidates": [{"id": "1"}, {"id": "2"}]}}
    asked = {**ASKED, "resource": {"type": "record"}}
    with time_machine.travel(NOW, tick=False) as clock:
        page["token"] = gateway.search("resource", **asked, page={**page, "limit": 1}).json()["page"]["next_token"]
        clock.shift(limits.ACCESS_PAGE_TOKEN_LIFETIME - timedelta(seconds=1))
        assert gateway.search("resource", **asked, page=page).json()["results"] == [entity("record", "2")]
        clock.shift(timedelta(seconds=1))
        assert gateway.search("resource", **asked, page=page).status_code == 400


def test_a_commit_of_events_and_the_line_before_it_have_their_greatest_numbers(monkeypatch):
    taken, may_go_on, has_begun = [], threading.Event(), threading.Event()

    def write(events):
        taken.append(len(events))
        has_begun.set()
        assert may_go_on.wait(30)

    line = GroupCommit(write)
    first = threading.Thread(target=line.commit, args=[Event(type="first")])
    first.start()
    assert has_begun.wait(30)
    # Who waits is not what is counted here, so nobody does.
    monkeypatch.setattr(limits, "EVENT_COMMIT_WAIT", timedelta(0))
    monkeypatch.setattr(line, "_give_up", lambda waiting: setattr(waiting, "is_settled", True))
    for _ in range(limits.EVENTS_IN_LINE):
        line.commit(Event(type="next"))
    with pytest.raises(BrokerError, match=r"service\.unavailable"):
        line.commit(Event(type="one too many"))
    may_go_on.set()
    first.join(30)
    assert taken == [1]
    line._lead()
    assert taken == [1, limits.EVENTS_PER_COMMIT]


def test_event_commit_wait_outlasts_what_the_database_allows_a_statement():
    options = env.database(SimpleNamespace(database_url=SecretStr("postgresql://u@h/d")), Path())["OPTIONS"]["options"]
    statement_timeout = int(re.search(r"statement_timeout=(\d+)", options).group(1))
    assert timedelta(milliseconds=statement_timeout) < limits.EVENT_COMMIT_WAIT


# --- Clients' credentials -------------------------------------------------------------------------------------------
def passes(act):
    """Whether nothing refuses."""
    try:
        act()
    except (BadValue, BrokerError):
        return False
    return True


def test_a_clients_certificate_has_its_greatest_size():
    der = make_certificate(padding=limits.CLIENT_CERTIFICATE_BYTES)
    # A signature by an elliptic curve may be a few bytes shorter or longer each time.
    beyond = len(der) - limits.CLIENT_CERTIFICATE_BYTES + 8
    largest = make_certificate(padding=limits.CLIENT_CERTIFICATE_BYTES - beyond)
    assert len(largest) <= limits.CLIENT_CERTIFICATE_BYTES < len(der)
    assert passes(lambda: open_certificate(largest, chain_verified=False))
    assert not passes(lambda: open_certificate(der, chain_verified=False))


def test_a_client_has_its_greatest_numbers_of_keys_and_certificates():
    keys = [public_jwk(rsa_key(), str(number)) for number in range(limits.CLIENT_KEYS + 1)]
    assert passes(lambda: credential_values.assertion_keys({"keys": keys[1:]}))
    assert not passes(lambda: credential_values.assertion_keys({"keys": keys}))
    found = [credential_values.certificate(make_certificate()) for _ in range(limits.CLIENT_CERTIFICATES + 1)]
    assert passes(lambda: credential_values.certificates(found[1:]))
    assert not passes(lambda: credential_values.certificates(found))


@pytest.mark.django_db
def test_a_clients_assertion_lives_for_its_time_and_is_early_by_as_much_as_clocks_differ():
    client = make_client(authentication="private_key_jwt", jwks={"keys": [public_jwk(rsa_key(number=41), "crm-1")]})
    start = int(NOW.timestamp())

    def is_believed(*, iat, exp):
        raw = assertion(client.client_id, iat=start + iat, exp=start + exp)
        return passes(lambda: verify_own_assertion(raw, client, trace=Collector(), now=NOW))

    life = int(limits.CLIENT_ASSERTION_LIFETIME.total_seconds())
    age = int(limits.CLIENT_ASSERTION_AGE.total_seconds())
    early = int(limits.CLIENT_ASSERTION_SKEW.total_seconds())
    assert is_believed(iat=0, exp=life)
    assert not is_believed(iat=0, exp=life + 1)
    assert is_believed(iat=-age, exp=life - age)
    assert not is_believed(iat=-age - 1, exp=life - age - 1)
    assert is_believed(iat=early, exp=early + 60)
    assert not is_believed(iat=early + 1, exp=early + 60)


def test_a_process_remembers_the_uses_of_its_greatest_number_of_credentials():
    memory = UseMemory()
    for number in range(limits.CREDENTIAL_USES_REMEMBERED + 1):
        assert memory.take_due((number, "secret", ""), now=NOW) == 1
    assert memory.take_due((1, "secret", ""), now=NOW) == 0
    assert memory.take_due((0, "secret", ""), now=NOW) == 1  # forgotten, so that it is written at once


# --- Policies and decisions -----------------------------------------------------------------------------------------
def rules_are_read(source):
    return passes(lambda: read_rules(source, policy="p"))


def test_a_policys_text_has_its_greatest_size():
    rule = "permit(principal, action, resource);"
    assert rules_are_read(rule + " " * (limits.POLICY_BYTES - len(rule)))
    assert not rules_are_read(rule + " " * (limits.POLICY_BYTES - len(rule) + 1))


def test_a_policy_has_its_greatest_number_of_statements():
    assert rules_are_read("permit(principal, action, resource);" * limits.POLICY_STATEMENTS)
    assert not rules_are_read("permit(principal, action, resource);" * (limits.POLICY_STATEMENTS + 1))


def test_a_statement_has_its_greatest_depth_of_brackets_and_number_of_operators():
    def nested(depth):
        return f"permit(principal, action, resource) when {{ {'(' * depth}true{')' * depth} }};"

    assert rules_are_read(nested(limits.POLICY_DEPTH - 1))
    assert not rules_are_read(nested(limits.POLICY_DEPTH))
    # Nine clauses of at most that many between them, since the engine itself takes fewer in one.
    clauses = [limits.POLICY_OPERATORS // 9 - 1] * 9

    def chained(further):
        whens = " ".join(f"when {{ {' && '.join(['true'] * (count + 1))} }}" for count in clauses)
        missing = limits.POLICY_OPERATORS - sum(clauses) - len(clauses) - 1
        return (
            f"permit(principal, action, resource) {whens} when {{ {' && '.join(['true'] * (missing + further + 1))} }};"
        )

    assert rules_are_read(chained(0))
    assert not rules_are_read(chained(1))


def test_what_a_caller_sends_has_its_greatest_depth():
    value = "x"
    for _ in range(limits.ACCESS_VALUE_DEPTH - 1):
        value = {"a": value}
    assert cedar_record({"a": value})
    with pytest.raises(Unreadable):
        cedar_record({"a": {"a": value}})


@pytest.mark.django_db
def test_so_many_candidates_are_tried_beside_a_decision():
    house.settle()
    for _ in range(limits.SHADOWS_PER_DECISION + 1):
        try_version(house.draft('permit(principal, action == Action::"read", resource is record);'), actor=house.ADA)
    house.ask()
    assert Flip.objects.count() == limits.SHADOWS_PER_DECISION


@pytest.mark.django_db
def test_a_decision_is_kept_for_its_time():
    house.settle()
    house.ask()
    at = Decision.objects.get().at
    assert decisions.forget_expired(now=at + limits.DECISION_RETENTION) == 0
    assert decisions.forget_expired(now=at + limits.DECISION_RETENTION + timedelta(seconds=1)) == 1


def is_kept(claims):
    return passes(lambda: check_claims(claims))


@pytest.mark.parametrize(
    ("claims", "limit"),
    [
        (lambda size: {f"a{number}": ("x",) for number in range(size)}, limits.DIRECTORY_ATTRIBUTES),
        (lambda size: {"a" * size: ("x",)}, limits.DIRECTORY_ATTRIBUTE_CHARS),
        (lambda size: {"roles": ("x",) * size}, limits.DIRECTORY_VALUES),
        (lambda size: {"roles": ("x" * size,)}, limits.DIRECTORY_VALUE_CHARS),
        (lambda size: {"roles": ("x" * 4_096,) * 127, "a": ("x" * (size - 4_096 * 127),)}, limits.DIRECTORY_CHARS),
    ],
)
def test_what_a_source_says_of_a_person_has_its_size(claims, limit):
    assert is_kept(claims(limit))
    assert not is_kept(claims(limit + 1))


@pytest.mark.django_db
def test_an_event_names_so_many_people():
    group = create_group("all", source=Source(SourceKind.SCIM, "hr"), actor=SYSTEM)
    organisation = make_organisation()
    now, size = timezone.now(), limits.DIRECTORY_CHUNK + 1
    new = [Person(organisation=organisation, created_at=now, updated_at=now) for _ in range(size)]
    people = Person.objects.bulk_create(new)
    add_members(group, [person.pk for person in people], actor=SYSTEM)
    told = Event.objects.filter(type="person.changed").order_by("id")
    assert [len(event.details["people"]) for event in told] == [limits.DIRECTORY_CHUNK, 1]


@pytest.mark.django_db
def test_a_rule_of_authority_has_its_number_of_sources_and_its_time_ahead():
    def sources(count):
        return [f"scim:hr{number}" for number in range(count)]

    assert passes(lambda: check_rule("title", sources(limits.AUTHORITY_SOURCES)))
    assert not passes(lambda: check_rule("title", sources(limits.AUTHORITY_SOURCES + 1)))

    def scheduled(ahead):
        return passes(lambda: schedule_rule("title", [], valid_from=timezone.now() + ahead, actor=SYSTEM))

    assert scheduled(limits.AUTHORITY_AHEAD)
    assert not scheduled(limits.AUTHORITY_AHEAD + timedelta(minutes=1))


@pytest.mark.django_db
@pytest.mark.parametrize(("over", "levels"), [(0, ["ok"]), (1, ["warning"])])
def test_a_rule_of_authority_waits_so_long_before_the_doctor_says_so(over, levels):
    begins = timezone.now() + timedelta(days=1)
    schedule_rule("title", ["idp:*"], valid_from=begins, actor=SYSTEM)
    with time_machine.travel(begins + limits.AUTHORITY_APPLIED_WITHIN + timedelta(seconds=over), tick=False):
        assert [finding.level for finding in check_authority()] == levels


@pytest.mark.django_db
def test_a_simulation_shows_so_many_people():
    for _ in range(limits.AUTHORITY_SAMPLES + 1):
        say(HR, make_person(), title="Engineer")
    found = simulate_rule("title", ["csv:payroll"])
    assert (found.changed, len(found.samples)) == (limits.AUTHORITY_SAMPLES + 1, limits.AUTHORITY_SAMPLES)


# --- The ledger and the readers of the book -------------------------------------------------------------------------
@pytest.mark.django_db
def test_what_is_settled_is_deleted_in_parts_of_so_many():
    now = timezone.now()
    settled = {"state": "confirmed", "settled_at": now - limits.DELIVERY_RETENTION - timedelta(seconds=1)}
    Delivery.objects.bulk_create(
        Delivery(kind="letter", lane="a", subject=f"{number}", due_at=now, created_at=now, **settled)
        for number in range(limits.DELIVERY_PRUNE_CHUNK + 1)
    )
    assert prune(now) == limits.DELIVERY_PRUNE_CHUNK + 1
    told = Event.objects.filter(type="delivery.pruned").order_by("id")
    assert [event.details["deliveries"] for event in told] == [limits.DELIVERY_PRUNE_CHUNK, 1]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("seconds", "read"), [(0.0, 2), (0.001, 3)])
def test_one_reader_reads_for_so_long_before_it_makes_room_for_others(settings, monkeypatch, seconds, read):
    """Each of three events takes half of the time, or a little less."""
    settings.EVENT_READERS = {"person.changed": ["tests.broker.events.readers.FIRST"]}
    monkeypatch.setattr(limits, "NOTICES_PER_READING", 1)
    FIRST.reset()
    takes = limits.NOTICE_SLICE.total_seconds() / 2 - seconds
    monkeypatch.setattr(reading, "time", SimpleNamespace(monotonic=lambda: len(FIRST.readings) * takes))
    for _ in range(3):
        record(PERSON_CHANGED, actor=SYSTEM, subject=("person", "p"))
    assert reading.read_notices() == read
