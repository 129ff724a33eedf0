"""Characters, encodings and lengths that only some databases, decoders and answers take."""

import io
import logging
from urllib.parse import urlencode

import pytest
from django.core.signals import request_started
from django.db import OperationalError, close_old_connections, connection
from django.test import Client as Http
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.directory.models import Identifier, Person
from broker.errors import BrokerError
from broker.registry.cache import parties
from broker.traces.models import Trace
from broker.traces.services import read_trace
from broker.wsgi import application
from federation.signon.views import pages
from tests.factories import make_identity_provider
from tests.flows.stage import ATTRIBUTES, REDIRECT_URI, Browser, answer_of, make_company

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _requests_leave_the_test_its_connection():
    """As Django's test client has it: a request would close the connection that holds the test's transaction."""
    request_started.disconnect(close_old_connections)
    yield
    request_started.connect(close_old_connections)


@pytest.fixture
def company():
    return make_company()


@pytest.fixture
def flow(company):
    """A sign-on under way in `browser`, at the page that asks."""
    make_identity_provider()
    browser = Browser()
    return browser, company.ask(browser)["Location"].partition("flow=")[2]


def test_a_nul_never_reaches_the_database(flow):
    """PostgreSQL takes it not even in a question, and says so by an error."""
    browser, handle = flow
    with CaptureQueriesContext(connection) as captured:
        answers = [
            browser.get("/saml/sp/acme-idp/acs", flow="\0"),
            browser.post("/saml/sp/acme-idp/acs", {"RelayState": "\0", "SAMLResponse": "\0"}),
            browser.get("/signon/choose", flow="\0"),
            browser.get("/signon/choose", flow=handle, search="\0"),
            browser.post("/signon/choose", {"flow": handle, "email": "a@b.\0"}),
            browser.post("/signon/choose", {"flow": handle, "identity_provider": "acme-idp\0"}),
        ]
    assert [answer.status_code for answer in answers] == [400, 400, 400, 200, 400, 400]
    assert not any("\0" in query["sql"] for query in captured)


def test_names_that_no_party_can_have_do_not_fill_the_memory_of_parties(company, flow):
    browser, handle = flow
    parties.get(("webhooks",), tuple)  # asked for at each event, whoever it is about
    before = len(parties._entries)
    for name in ("x" * 65, "X", "../acme-idp", "é"):
        Browser().get(f"/saml/sp/{name}/acs")
        company.ask(Browser(), idp_hint=name)
        browser.post("/signon/choose", {"flow": handle, "email": f"a@{name}"})
    assert len(parties._entries) == before


def test_a_state_that_grows_in_the_answer_is_echoed_all_the_same(company):
    browser, state = Browser(), "(" * 8_000
    company.sign_on(browser)
    asked = {"client_id": company.client.client_id, "redirect_uri": REDIRECT_URI, "response_type": "code"}
    pkce = {"scope": "openid", "code_challenge": "x" * 43, "code_challenge_method": "S256"}
    response = browser.http.get(f"/oauth/authorize?{urlencode(asked | pkce)}&state={state}")
    assert answer_of(response)["state"] == state


class Canary(Exception):
    """A fault whose text holds what somebody sent."""


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Canary("canary-7"), 500, "service.fault"),
        (OperationalError("canary-7"), 503, "service.unavailable"),
        (BrokerError("service.unavailable", detail="canary-7"), 503, "service.unavailable"),
    ],
)
def test_a_fault_is_logged_by_kind_and_place_and_never_by_its_text(monkeypatch, caplog, error, status, code):
    def fail(*_arguments, **_options):
        raise error

    monkeypatch.setattr(pages, "find_live_session", fail)
    with caplog.at_level(logging.INFO):
        response = Http(raise_request_exception=False).get("/")
    assert (response.status_code, code in response.content.decode()) == (status, True)
    assert ("Retry-After" in response) is (status == 503)
    assert "canary-7" not in caplog.text + response.content.decode()
    if not isinstance(error, BrokerError):
        assert type(error).__name__ in caplog.text
        assert "pages.py" in caplog.text


ASTRAL = "".join(chr(0x20000 + i * 7919 % 40000) for i in range(1024))
"""1,024 characters in 4,096 bytes that no index can compress."""


@pytest.mark.parametrize(
    ("claim", "attribute", "value"),
    [
        ("name", "displayName", "x" * 301),
        ("given_name", "givenName", "x" * 201),
        ("family_name", "sn", "x" * 201),
        ("email", "mail", "x" * 308 + "@acme.example"),
        ("email", "mail", "\ufdfa" * 30 + "@acme.example"),  # a ligature of 18 characters
        ("groups", "groups", "x" * 257),
    ],
)
def test_a_value_that_has_no_room_is_left_out_and_noted(company, claim, attribute, value):
    """PostgreSQL would refuse it, and the whole sign-on with it."""
    answer_of(company.sign_on(Browser(), attributes=ATTRIBUTES | {attribute: [value]}))
    person = Person.objects.get()
    kept = [getattr(person, claim, ""), *person.identifiers.values_list("value", flat=True)]
    assert value not in [*kept, *person.groups.values_list("name", flat=True)]
    notes = [entry for entry in read_trace(Trace.objects.get().pk)[-1]["entries"] if entry["type"] == "note"]
    assert claim in [note["values"].get("claims") for note in notes]


def test_a_value_beside_one_without_room_is_kept(company):
    answer_of(company.sign_on(Browser(), attributes=ATTRIBUTES | {"groups": ["x" * 257, "staff"]}))
    assert list(Person.objects.get().groups.values_list("name", flat=True)) == ["staff"]


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"subject": ASTRAL}, "saml.subject"),
        ({"context": "urn:" + "x" * 297}, "saml.structure"),
        ({"session_index": "x" * 1025}, "saml.structure"),
    ],
)
def test_what_a_session_cannot_keep_is_refused(company, said, code):
    response = company.sign_on(Browser(), **said)
    assert (response.status_code, code in response.content.decode()) == (400, True)


def test_what_fills_its_column_is_kept(company):
    full = {"displayName": ["x" * 300], "mail": ["x" * 307 + "@acme.example"], "groups": ["é" * 256]}
    said = {"subject": "é" * 512, "context": "urn:" + "x" * 296, "session_index": ASTRAL}
    answer_of(company.sign_on(Browser(), attributes=full, **said))
    assert Identifier.objects.get().value == full["mail"][0]


PATHS = [
    "/",
    "/signon/choose",
    "/signon/test",
    "/saml/sp/acme-idp/acs",
    "/saml/sp/acme-idp/metadata",
    "/oauth/authorize",
    "/oauth/token",
    "/oauth/userinfo",
    "/oauth/jwks",
    "/oauth/logout",
    "/oauth/logout/confirm",
    "/.well-known/openid-configuration",
    "/health/ready",
]
NAMES = [
    *("client_id", "redirect_uri", "response_type", "scope", "state", "nonce", "prompt", "max_age", "login_hint"),
    *("code_challenge", "code_challenge_method", "response_mode", "idp_hint", "id_token_hint", "acr_values", "request"),
    *("flow", "email", "search", "identity_provider", "SAMLResponse", "RelayState", "asked", "grant_type", "code"),
    *("post_logout_redirect_uri", "client_secret", "refresh_token", "code_verifier", "access_token", "resource", "\0"),
]
PIECES = st.binary(max_size=12) | st.sampled_from(
    [
        *(b"\0", b"%00", b"%ed%a0%80", b"%ff", b"\xf0\x9f\x92\xa5", b"a" * 300, b"9" * 400, b"-1", b"{}", b"PHI+"),
        *(b"openid", b"none", b"acme-idp", b"a@acme.example", b"a.b.c", b"k1.", b"k1.AAAA", b"authorization_code"),
    ]
)
QUERIES = st.lists(st.tuples(st.sampled_from(NAMES), PIECES), max_size=6).map(
    lambda pairs: b"&".join(name.encode() + b"=" + value for name, value in pairs)
)
KINDS = ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "multipart/form-data", "text/xml", ""]
PARTS = QUERIES | st.binary(max_size=40).map(
    lambda value: b'--x\r\nContent-Disposition: form-data; name="flow"\r\n\r\n' + value + b"\r\n--x--\r\n"
)
HEADERS = st.dictionaries(
    st.sampled_from(
        [
            *("HTTP_AUTHORIZATION", "HTTP_COOKIE", "HTTP_HOST", "HTTP_ORIGIN", "HTTP_REFERER", "HTTP_RANGE"),
            *("HTTP_IF_NONE_MATCH", "HTTP_ACCEPT_LANGUAGE", "HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO"),
        ]
    ),
    PIECES.map(lambda value: value.decode("latin-1"))
    | st.sampled_from(
        ["Basic ", "Basic Og==", "Basic \xff", "Bearer a.b.c", "Bearer \xff", "countersign-session=\xff"]
    ),
    max_size=3,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from(["GET", "POST", "POST", "HEAD", "PUT", "OPTIONS", "X"]),
    path=st.sampled_from(PATHS),
    query=QUERIES,
    kind=st.sampled_from(KINDS),
    body=PARTS,
    headers=HEADERS,
)
def test_nothing_that_is_sent_makes_us_stumble(company, method, path, query, kind, body, headers):
    environ = RequestFactory()._base_environ(
        REQUEST_METHOD=method,
        PATH_INFO=path,
        QUERY_STRING=query.decode("latin-1"),
        CONTENT_TYPE=kind,
        CONTENT_LENGTH=str(len(body)),
        **headers | {"wsgi.input": io.BytesIO(body)},
    )
    seen: list[str] = []
    with CaptureQueriesContext(connection) as captured:
        application(environ, lambda line, _headers: seen.append(line))
    assert seen[0].split()[0] < "500", (seen, method, path, query, kind, body, headers)
    assert not any("\0" in query["sql"] for query in captured)
