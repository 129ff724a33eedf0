"""Service tokens on two web processes: what ends on one ends on the other at once, and no token without its event."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest
from django.utils import timezone

from broker.actors import SYSTEM
from broker.events import catalogue, grouped, sealing
from broker.events.models import Event
from broker.events.verification import verify_book
from tests.factories import make_keys
from tests.flows.stage import Browser, basic
from tests.flows.stage import unverified_claims as claims_of
from tests.services.broker import Broker, Wire
from tests.services.servers import PostgreSQL, Redis
from tests.services.test_outages import Stage

pytestmark = pytest.mark.services
AtOnce = Callable[[list[Callable[[], Any]]], list[Any]]
RESOURCE = "https://erp.example/api"
BEHIND = "https://hr.example/api"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
APPROVED = {
    "scopes": ["read"],
    "purpose": "Nightly mirror",
    "owner": "integration@acme.example",
    "approved_by": "security@acme.example",
    "expires": (datetime.now(UTC) + timedelta(days=300)).date().isoformat(),
}
INACTIVE = {"active": False}
PARTIES = {
    "clients": [
        {"client_id": name, "owner": "integration@acme.example", "client_secret_env": "SUITE_CLIENT_SECRET"}
        for name in ("mirror", "other-mirror", "gateway", "other-gateway")
    ],
    "resources": [
        {"identifier": RESOURCE, "scopes": {"read": "Read"}, "introspectors": ["gateway", "other-gateway"]},
        {"identifier": BEHIND, "scopes": {"read": "Read"}, "introspectors": ["other-gateway"]},
    ],
    "flows": [
        *(
            {"client": name, "grant": "client_credentials", "resource": RESOURCE, **APPROVED}
            for name in ("mirror", "other-mirror")
        ),
        {"client": "gateway", "grant": "token_exchange", "resource": BEHIND, **APPROVED},
    ],
}


class Estate:
    """Two web processes of one installation."""

    def __init__(self, stage: Stage, other: Broker) -> None:
        self.stage = stage
        self.ports = (stage.broker.port, other.port)

    def post(self, at: int, path: str, caller: str, **fields: str) -> Any:
        headers = {"Authorization": basic(caller, self.stage.broker.client_secret)}
        return Wire(self.ports[at]).post(path, fields, headers=headers)

    def token(self, at: int, caller: str = "mirror") -> str:
        response = self.post(at, "/oauth/token", caller, grant_type="client_credentials")
        assert response.status_code == 200, response.content
        return str(response.json()["access_token"])

    def introspect(self, at: int, token: str, caller: str = "gateway") -> Any:
        return self.post(at, "/oauth/introspect", caller, token=token).json()

    def exchange(self, at: int, token: str) -> Any:
        """What the gateway gets for a token that was sent to it."""
        fields = {"subject_token": token, "subject_token_type": ACCESS_TOKEN, "resource": BEHIND}
        return self.post(at, "/oauth/token", "gateway", grant_type=EXCHANGE, **fields)

    def change(self, statement: str) -> None:
        """Another process makes a change, through the services."""
        self.stage.broker.manage("shell", "--no-imports", "-c", f"from broker.actors import SYSTEM\n{statement}")


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    first, second = tmp_path_factory.mktemp("first"), tmp_path_factory.mktemp("second")
    with PostgreSQL() as database, Redis() as redis, Broker(first, database=database, redis=redis) as broker:
        stage = Stage(broker, database, redis)
        broker.apply(PARTIES)
        with broker.beside(second) as other:
            yield Estate(stage, other)


@pytest.fixture
def without_redis(estate: Estate) -> Iterator[None]:
    estate.stage.redis.kill()
    yield
    estate.stage.redis.start()


END_FLOW = """
from broker.registry.models import Flow
from broker.registry.registering.flow_drafts import end_flow
end_flow(Flow.objects.get(client__client_id="other-mirror"), actor=SYSTEM)
"""
DISABLE = """
from broker.registry.models import Client
from broker.registry.registering.clients import change_client
change_client(Client.objects.get(client_id="%s"), actor=SYSTEM, enabled=%s)
"""
LEAVE = """
from broker.directory.models import Person
from broker.directory.services import deactivate_person
deactivate_person(Person.objects.get(pk="%s"), reason="left", actor=SYSTEM)
"""


@pytest.mark.usefixtures("without_redis")
def test_a_revoked_token_is_dead_on_the_other_process_at_its_next_request(estate: Estate) -> None:
    token, kept = estate.token(0), estate.token(1)
    assert estate.introspect(1, token)["active"] is True
    assert estate.post(0, "/oauth/revoke", "mirror", token=token).status_code == 200
    assert estate.introspect(1, token) == INACTIVE
    assert estate.introspect(1, kept)["active"] is True


@pytest.mark.usefixtures("without_redis")
def test_an_ended_flow_and_a_disabled_client_are_seen_at_the_next_request(estate: Estate) -> None:
    of_flow, of_client = estate.token(0, "other-mirror"), estate.token(0)
    for at in (0, 1):
        assert estate.introspect(at, of_flow)["active"] is True
        assert estate.introspect(at, of_client)["active"] is True
    estate.change(END_FLOW)
    assert [estate.introspect(at, of_flow) for at in (0, 1)] == [INACTIVE] * 2
    estate.change(DISABLE % ("mirror", False))
    assert [estate.introspect(at, of_client) for at in (0, 1)] == [INACTIVE] * 2
    estate.change(DISABLE % ("mirror", True))
    assert estate.introspect(1, of_client)["active"] is True


@pytest.mark.usefixtures("without_redis")
def test_nothing_is_exchanged_for_what_ended_and_what_was_exchanged_ends_with_it(estate: Estate) -> None:
    token = estate.token(0)
    exchanged = estate.exchange(1, token).json()["access_token"]
    assert estate.introspect(0, exchanged, caller="other-gateway")["act"]["sub"] == "gateway"
    assert estate.post(0, "/oauth/revoke", "mirror", token=token).status_code == 200
    assert estate.exchange(1, token).json()["error"] == "invalid_request"
    assert estate.introspect(1, exchanged, caller="other-gateway") == INACTIVE


@pytest.mark.usefixtures("without_redis")
def test_an_actor_that_is_switched_off_acts_for_nobody(estate: Estate) -> None:
    token = estate.token(0)
    exchanged = estate.exchange(0, token).json()["access_token"]
    assert estate.introspect(1, exchanged, caller="other-gateway")["active"] is True
    estate.change(DISABLE % ("gateway", False))
    assert estate.introspect(1, exchanged, caller="other-gateway") == INACTIVE
    assert estate.introspect(1, token, caller="other-gateway")["active"] is True
    assert estate.exchange(1, token).json()["error"] in {"invalid_client", "invalid_grant"}
    estate.change(DISABLE % ("gateway", True))


@pytest.mark.usefixtures("without_redis")
def test_a_leaver_refreshes_nowhere(estate: Estate) -> None:
    stage = estate.stage
    tokens = stage.redeem(stage.sign_on(Browser(Wire(estate.ports[0])), scope="openid offline_access")).json()  # type: ignore[arg-type]  # the wire answers as a test client does
    refresh_token = tokens["refresh_token"]
    assert estate.introspect(1, refresh_token, caller="crm")["active"] is True
    estate.change(LEAVE % claims_of(tokens["id_token"])["sub"])
    assert estate.introspect(1, refresh_token, caller="crm") == INACTIVE
    refused = estate.post(1, "/oauth/token", "crm", grant_type="refresh_token", refresh_token=refresh_token)
    assert refused.json()["error"] == "invalid_grant"
    userinfo = httpx2.get(
        f"http://127.0.0.1:{estate.ports[1]}/oauth/userinfo",
        headers={"Authorization": f"Bearer {tokens['access_token']}", "Host": "localhost:8000"},
        trust_env=False,
    )
    assert userinfo.status_code == 401


def test_tokens_come_again_after_the_database_was_restarted(estate: Estate) -> None:
    estate.token(0)
    estate.stage.database.stop()
    away = estate.post(0, "/oauth/token", "mirror", grant_type="client_credentials")
    assert (away.status_code, away.json()["error"]) == (503, "temporarily_unavailable")
    estate.stage.database.start()

    def asks() -> Any:
        return estate.post(0, "/oauth/token", "mirror", grant_type="client_credentials")

    estate.stage.broker.wait_until(lambda: asks().status_code == 200, what="tokens again")
    assert estate.introspect(0, estate.token(0))["active"] is True


def test_no_token_leaves_without_its_event_though_the_process_is_killed(estate: Estate, tmp_path: Path) -> None:
    with estate.stage.broker.beside(tmp_path) as victim:
        estate.ports = (*estate.ports[:2], victim.port)
        tokens: list[str] = []
        has_many = threading.Event()

        def ask() -> None:
            try:
                while True:
                    tokens.append(estate.token(2))
                    if len(tokens) >= 200:
                        has_many.set()
            except (httpx2.HTTPError, AssertionError):
                return

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        assert has_many.wait(60), len(tokens)
        victim.kill()
        for thread in threads:
            thread.join(60)
    with psycopg.connect(estate.stage.database.url) as connection:
        rows = connection.execute("SELECT details->>'jti' FROM events_event WHERE type = 'token.issued'").fetchall()
    told = [jti for (jti,) in rows]
    issued = {claims_of(token)["jti"] for token in tokens}
    assert len(issued) == len(tokens) >= 200
    assert issued <= set(told)
    assert len(told) == len(set(told)), "an event stands twice in the book"


def test_the_book_holds_after_all_of_it(estate: Estate) -> None:
    estate.stage.broker.manage("verify_events")


@pytest.mark.django_db(transaction=True)
def test_events_at_one_moment_are_all_committed_once_and_sealed_once(
    at_once: AtOnce, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.SEAL_LOG = tmp_path / "seals.log"
    make_keys()
    sizes: list[int] = []
    write = grouped.committing._write
    monkeypatch.setattr(grouped.committing, "_write", lambda events: (sizes.append(len(events)), write(events))[1])

    def record(number: int) -> None:
        grouped.record_durably(catalogue.TOKEN_ISSUED, actor=SYSTEM, subject=("grant", number), jti=f"{number}")

    def record_some(start: int) -> None:
        for number in range(start, start + 20):
            record(number)

    answers = at_once([lambda start=start: record_some(start) for start in range(0, 400, 20)])
    assert answers == [None] * 20
    told = Event.objects.filter(type="token.issued").values_list("details__jti", flat=True)
    assert sorted(told, key=int) == [f"{number}" for number in range(400)]
    assert sum(sizes) == 400
    assert len(sizes) < 400, "nothing was ever committed together"
    while sealing.seal_events(timezone.now()):
        pass
    assert verify_book(settings.SEAL_LOG, now=timezone.now()).problem_count == 0


@pytest.mark.django_db(transaction=True)
def test_an_event_that_the_database_cannot_take_fails_alone(at_once: AtOnce) -> None:
    def record(jti: str) -> None:
        grouped.record_durably(catalogue.TOKEN_ISSUED, actor=SYSTEM, jti=jti)

    answers = at_once([lambda jti=jti: record(jti) for jti in ("a", "\x00", "b", "\x00", "c")])
    assert [type(answer).__name__ for answer in answers] == [
        "NoneType", "OperationalError", "NoneType", "OperationalError", "NoneType",
    ]  # fmt: skip
    assert set(Event.objects.values_list("details__jti", flat=True)) == {"a", "b", "c"}
