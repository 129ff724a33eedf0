"""The peers, started once per session, and what a failed walk tells."""

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import httpx2
import pytest

from tests.fakes.fake_workload_issuer import FakeWorkloadIssuer, running_platform
from tests.peers import relying_parties, simplesamlphp, token_parties
from tests.peers.broker import BASE_URL, SAML_METADATA, SECRETS, Broker
from tests.peers.browser import Browser
from tests.peers.companies import Company, read_companies
from tests.peers.lemonldap import LemonLDAP
from tests.peers.openid_provider import start_openid_provider
from tests.peers.relying_parties import RelyingParty
from tests.peers.service_providers import Python3SAML, start_python3_saml
from tests.peers.simplesamlphp import IdentityProvider
from tests.peers.token_parties import AuthlibClient, Certificates, Curl, OpenIDClient, TokenClient
from tests.peers.upstreams import LEMONLDAP_OPENID, LEMONLDAP_SAML, OPENID_PROVIDER, OPENID_PROVIDER_JWT, Upstream

Client = TypeVar("Client", bound=TokenClient | Curl)
_browsers = pytest.StashKey[list[Browser]]()
_clients = pytest.StashKey[list[TokenClient | Curl]]()
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
def lemonldap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LemonLDAP]:
    portal = LemonLDAP(
        base=LEMONLDAP_SAML.base,
        saml_domain=f"{LEMONLDAP_SAML.slug}.example",
        openid_domain=f"{LEMONLDAP_OPENID.slug}.example",
        client_secret=SECRETS["PEERS_LEMONLDAP_SECRET"],
        redirect_uri=f"{BASE_URL}/oidc/{LEMONLDAP_OPENID.slug}/callback",
        folder=tmp_path_factory.mktemp("lemonldap"),
    )
    try:
        portal.server.wait()
        yield portal
    finally:
        portal.server.stop()


@pytest.fixture(scope="session")
def openid_providers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """oidc-provider twice: one wants a secret, the other a signature."""
    folder = tmp_path_factory.mktemp("openid-provider")
    secrets = {OPENID_PROVIDER: SECRETS["PEERS_OPENID_PROVIDER_SECRET"], OPENID_PROVIDER_JWT: ""}
    with contextlib.ExitStack() as stack:
        for one, secret in secrets.items():
            server = start_openid_provider(
                one.slug, base=one.base, domain=f"{one.slug}.example", client_secret=secret, folder=folder
            )
            stack.enter_context(server).wait()
        yield


@pytest.fixture(scope="session")
def python3_saml(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Python3SAML]:
    application = start_python3_saml(tmp_path_factory.mktemp("python3-saml"))
    with application.server:
        application.server.wait()
        yield application


@pytest.fixture(scope="session")
def simplesamlphp_application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[simplesamlphp.Application]:
    application = simplesamlphp.Application(
        base="http://127.0.19.5:18100", identity_provider=SAML_METADATA, folder=tmp_path_factory.mktemp("application")
    )
    with application.server:
        application.server.wait()
        yield application


@pytest.fixture(scope="session")
def platform() -> Iterator[FakeWorkloadIssuer]:
    """A platform that gives its workloads tokens, shaped like Kubernetes."""
    with running_platform(address=("127.0.19.30", relying_parties.PORT)) as platform:
        yield platform


@pytest.fixture(scope="session")
def broker(
    identity_providers: dict[str, IdentityProvider],
    lemonldap: LemonLDAP,
    openid_providers: None,
    python3_saml: Python3SAML,
    simplesamlphp_application: simplesamlphp.Application,
    platform: FakeWorkloadIssuer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Broker]:
    """The broker, told of all parties by `apply` alone; then each of them that wants it gets our metadata."""
    broker = Broker(tmp_path_factory.mktemp("broker") / "var")
    with broker.server:
        broker.server.wait()
        broker.apply()
        with httpx2.Client(trust_env=False, timeout=30) as http:
            for slug, identity_provider in (*identity_providers.items(), (LEMONLDAP_SAML.slug, lemonldap)):
                answer = http.get(f"{BASE_URL}/saml/sp/{slug}/metadata").raise_for_status()
                identity_provider.trust(answer.content)
            simplesamlphp_application.trust(http.get(SAML_METADATA).raise_for_status().content)
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


@pytest.fixture(scope="session")
def bound(broker: Broker, npm_resource: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RelyingParty]:
    application = relying_parties.start_bound(tmp_path_factory.mktemp("bound"))
    with application.server:
        application.server.wait()
        yield application


@pytest.fixture(scope="session")
def authlib_resource(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with token_parties.running_authlib_resource(tmp_path_factory.mktemp("authlib-resource")) as base:
        yield base


@pytest.fixture(scope="session")
def npm_resource(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with token_parties.running_npm_resource(tmp_path_factory.mktemp("npm-resource")) as base:
        yield base


@pytest.fixture(scope="session")
def authlib_base(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with token_parties.running_authlib_client(tmp_path_factory.mktemp("authlib")) as base:
        yield base


@pytest.fixture(scope="session")
def npm_base(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with token_parties.running_openid_client(tmp_path_factory.mktemp("npm-client")) as base:
        yield base


@pytest.fixture(scope="session")
def proxy(broker: Broker, npm_resource: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Certificates]:
    with token_parties.running_proxy(tmp_path_factory.mktemp("proxy") / "proxy.log") as certificates:
        yield certificates


@pytest.fixture
def authlib(authlib_base: str, request: pytest.FixtureRequest) -> AuthlibClient:
    return _noted(request, AuthlibClient(authlib_base))


@pytest.fixture
def npm(npm_base: str, request: pytest.FixtureRequest) -> OpenIDClient:
    return _noted(request, OpenIDClient(npm_base))


@pytest.fixture
def curl(proxy: Certificates, request: pytest.FixtureRequest) -> Curl:
    return _noted(request, Curl(proxy))


def _noted(request: pytest.FixtureRequest, client: Client) -> Client:
    """Its trace ids stand in the line of this test."""
    request.node.stash.setdefault(_clients, []).append(client)
    return client


@pytest.fixture
def new_browser(request: pytest.FixtureRequest) -> Iterator[Callable[..., Browser]]:
    """Makes browsers of a company's people or an upstream's person; their hops are shown when the test fails."""
    made: list[Browser] = []
    request.node.stash[_browsers] = made

    def make(company: Company | Upstream, name: str = "alice") -> Browser:
        if isinstance(company, Upstream):
            made.append(Browser(email=company.email, name=company.name, password=company.password))
        else:
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
    walked = [*browsers, *item.stash.get(_clients, [])]
    trace_ids = [trace_id for one in walked for trace_id in one.trace_ids]
    verdict = "PASS" if report.passed else "FAIL"
    reason = "" if report.passed else f": {str(report.longrepr.reprcrash.message).splitlines()[0][:200]}"
    item.config.stash.setdefault(_lines, []).append(f"{verdict} {item.name} {' '.join(trace_ids)}{reason}")
    if report.failed:
        broker: Broker | None = item.funcargs.get("broker")  # type: ignore[attr-defined] - pytest's functions have it
        if broker is None:
            return report  # a server of its own, which nobody walks to
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
        terminalreporter.section("what foreign software did, each with the broker's trace ids")
        for line in lines:
            terminalreporter.write_line(line)
