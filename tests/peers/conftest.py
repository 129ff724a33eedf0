"""The peers, started once per session, and what a failed walk tells."""

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from tests.peers import relying_parties
from tests.peers.broker import BASE_URL, Broker
from tests.peers.browser import Browser
from tests.peers.companies import Company, read_companies
from tests.peers.relying_parties import RelyingParty
from tests.peers.simplesamlphp import IdentityProvider

_browsers = pytest.StashKey[list[Browser]]()
_lines = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def companies() -> dict[str, Company]:
    return read_companies()


@pytest.fixture(scope="session")
def identity_providers(
    companies: dict[str, Company], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, IdentityProvider]]:
    """Every company's identity provider, by slug; none of them knows the broker yet."""
    folder = tmp_path_factory.mktemp("simplesamlphp")
    with contextlib.ExitStack() as stack:
        started = {}
        for slug, company in companies.items():
            started[slug] = IdentityProvider(company, folder / slug)
            stack.enter_context(started[slug].server)
        for identity_provider in started.values():
            identity_provider.server.wait()
        yield started


@pytest.fixture(scope="session")
def broker(
    identity_providers: dict[str, IdentityProvider], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Broker]:
    """The broker, told of all parties by `apply` alone; then each identity provider gets our metadata."""
    broker = Broker(tmp_path_factory.mktemp("broker") / "var")
    with broker.server:
        broker.server.wait()
        broker.apply()
        with httpx2.Client(trust_env=False, timeout=30) as http:
            for slug, identity_provider in identity_providers.items():
                answer = http.get(f"{BASE_URL}/saml/sp/{slug}/metadata").raise_for_status()
                identity_provider.trust(answer.content)
        yield broker


@pytest.fixture(scope="session")
def mozilla(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RelyingParty]:
    application = relying_parties.start_mozilla(tmp_path_factory.mktemp("mozilla"))
    with application.server:
        application.server.wait()
        yield application


@pytest.fixture(scope="session")
def openid_client(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RelyingParty]:
    application = relying_parties.start_openid_client(tmp_path_factory.mktemp("openid-client"))
    with application.server:
        application.server.wait()
        yield application


@pytest.fixture
def new_browser(request: pytest.FixtureRequest) -> Iterator[Callable[[Company], Browser]]:
    """Makes browsers of people of a company, whose hops are shown when the test fails."""
    made: list[Browser] = []
    request.node.stash[_browsers] = made

    def make(company: Company, name: str = "alice") -> Browser:
        made.append(Browser(email=f"{name}@{company.domain}", name=name))
        return made[-1]

    yield make
    for browser in made:
        browser.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[Any]:
    """One line per walk at the end; of a failed one also its hops and the broker's traces."""
    report = yield
    browsers = item.stash.get(_browsers, [])
    if report.when != "call":
        return report
    trace_ids = [trace_id for browser in browsers for trace_id in browser.trace_ids]
    verdict = "PASS" if report.passed else "FAIL"
    reason = "" if report.passed else f": {str(report.longrepr.reprcrash.message).splitlines()[0][:200]}"
    item.config.stash.setdefault(_lines, []).append(f"{verdict} {item.name} {' '.join(trace_ids)}{reason}")
    if report.failed:
        broker: Broker = item.funcargs["broker"]  # type: ignore[attr-defined] - pytest's functions have it
        for browser in browsers:
            report.sections.append(("The browser's hops", "\n".join(map(str, browser.hops))))
        for trace_id in trace_ids:
            told = broker.trace(trace_id)
            if told["header"]:
                text = json.dumps(told, indent=1, ensure_ascii=False)
                report.sections.append((f"The broker's trace {trace_id}", text))
        report.sections.append(("The broker's log", broker.server.last_lines()))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    lines = config.stash.get(_lines, [])
    if lines:
        terminalreporter.section("sign-ons, each with the broker's trace ids")
        for line in lines:
            terminalreporter.write_line(line)
