"""Redis and PostgreSQL go away under a running broker: what still works, what says so, and that all comes back."""

import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from broker import limits
from tests.fakes.fake_idp import FakeIdentityProvider
from tests.flows.stage import ATTRIBUTES, REDIRECT_URI, Browser, Company, answer_of, basic
from tests.services.broker import Broker, Wire
from tests.services.servers import PostgreSQL, Redis

pytestmark = pytest.mark.services
CLIENT_ID = "crm"


class Stage:
    """Acme before a broker in processes of its own. `database` and `redis` can be stopped and started."""

    def __init__(self, broker: Broker, database: PostgreSQL, redis: Redis) -> None:
        self.broker = broker
        self.database = database
        self.redis = redis
        fake = FakeIdentityProvider("https://acme-idp.example/saml", sso_url="https://acme-idp.example/sso")
        broker.apply(
            {
                "organisations": [
                    {"slug": "acme", "name": "Acme", "domains": ["acme.example"], "owner": "it@acme.example"}
                ],
                "identity_providers": [
                    {"slug": "acme-idp", "organisation": "acme", "protocol": "saml", "metadata": fake.metadata()}
                ],
                "applications": [
                    {
                        "slug": "crm",
                        "name": "CRM",
                        "kind": "crm",
                        "owner": "crm@acme.example",
                        "oidc": {
                            "client_id": CLIENT_ID,
                            "client_secret_env": "SUITE_CLIENT_SECRET",
                            "redirect_uris": [REDIRECT_URI],
                        },
                        "release": ["email"],
                    }
                ],
            }
        )
        self.company = Company(
            cast("Any", SimpleNamespace(slug="acme-idp")), fake, cast("Any", SimpleNamespace(client_id=CLIENT_ID))
        )

    def open_browser(self) -> Browser:
        return Browser(cast("Any", Wire(self.broker.port)))

    def sign_on(self, browser: Browser, **ask: str) -> str:
        """The code of a whole sign-on as somebody new."""
        subject = secrets.token_hex(8)
        attributes = {**ATTRIBUTES, "mail": [f"{subject}@acme.example"]}
        return answer_of(self.company.sign_on(browser, subject=subject, attributes=attributes, ask=ask))["code"]

    def redeem(self, code: str) -> Any:
        return self._token(
            grant_type="authorization_code",
            code=code,
            redirect_uri=REDIRECT_URI,
            code_verifier=self.company.verifier,
        )

    def refresh(self, token: str) -> Any:
        return self._token(grant_type="refresh_token", refresh_token=token)

    def get(self, path: str) -> Any:
        return Wire(self.broker.port).get(path)

    def _token(self, **fields: str) -> Any:
        authorization = {"Authorization": basic(CLIENT_ID, self.broker.client_secret)}
        return Wire(self.broker.port).post("/oauth/token", fields, headers=authorization)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder: Path = tmp_path_factory.mktemp("broker")
    with PostgreSQL() as database, Redis() as redis, Broker(folder, database=database, redis=redis) as broker:
        yield Stage(broker, database, redis)


@pytest.fixture
def browser(stage: Stage) -> Browser:
    return stage.open_browser()


def test_all_works_while_nothing_is_away(stage: Stage, browser: Browser) -> None:
    tokens = stage.redeem(stage.sign_on(browser, scope="openid offline_access")).json()
    assert stage.refresh(tokens["refresh_token"]).status_code == 200


def test_redis_away_hinders_no_sign_on_and_no_token(stage: Stage, browser: Browser) -> None:
    stage.redis.kill()
    try:
        code = stage.sign_on(browser, scope="openid offline_access")
        tokens = stage.redeem(code).json()
        assert stage.refresh(tokens["refresh_token"]).status_code == 200
        assert stage.redeem(code).status_code == 400, "a code works twice while Redis is away"
    finally:
        stage.redis.start()
    stage.broker.wait_until(lambda: stage.broker.health() == 200, what="ready again with Redis back")


def test_the_worker_seals_again_once_redis_is_back(stage: Stage, browser: Browser) -> None:
    stage.redis.kill()
    stage.sign_on(browser)
    stage.redis.start()
    before = stage.broker.seal_log.stat().st_size if stage.broker.seal_log.exists() else 0
    stage.broker.wait_until(
        lambda: stage.broker.seal_log.exists() and stage.broker.seal_log.stat().st_size > before,
        what="the worker seals again",
    )


def test_the_database_away_is_said_and_ends_with_it(stage: Stage, browser: Browser) -> None:
    tokens = stage.redeem(stage.sign_on(browser, scope="openid offline_access")).json()
    stage.database.kill()
    try:
        answers = {
            "authorization": stage.company.ask(stage.open_browser()),
            "token": stage.refresh(tokens["refresh_token"]),
            "home": stage.get("/"),
            "health": stage.get("/health/ready"),
        }
        assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(answers, 503)
        assert answers["authorization"].get("Retry-After")
        assert answers["token"].get("Retry-After")
        assert stage.get("/health/live").status_code == 200
    finally:
        stage.database.start()
    stage.broker.wait_until(lambda: stage.broker.health() == 200, what="ready again with the database back")
    assert "refresh_token" in stage.refresh(tokens["refresh_token"]).json()
    assert stage.redeem(stage.sign_on(stage.open_browser())).status_code == 200


def test_what_the_world_reads_of_us_is_served_from_memory(stage: Stage) -> None:
    # Longer than any of these memories is looked after.
    until = time.monotonic() + 1.5 * limits.KEY_POLL_INTERVAL.total_seconds()
    paths = ("/.well-known/openid-configuration", "/oauth/jwks", "/saml/sp/acme-idp/metadata")
    before = {path: stage.get(path).status_code for path in paths}
    assert before == dict.fromkeys(paths, 200)
    stage.database.kill()
    try:
        while time.monotonic() < until:
            assert {path: stage.get(path).status_code for path in paths} == before
    finally:
        stage.database.start()
    stage.broker.wait_until(lambda: stage.broker.health() == 200, what="ready again with the database back")


def test_the_book_holds_after_all_of_it(stage: Stage) -> None:
    stage.broker.wait_until(lambda: stage.broker.health() == 200, what="ready")
    stage.broker.manage("verify_events")
