"""What every request meets: who calls, how large it may be, and the trace id that goes with it."""

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
import structlog
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.urls import ResolverMatch
from pytest_django import Settings

from broker import limits
from broker.actors import ActorKind
from broker.errors import BrokerError
from broker.http import (
    TRACE_HEADER,
    LimitsMiddleware,
    TraceMiddleware,
    actor_from,
    adopt_trace_id,
    check_size,
    client_address,
    no_store,
    refusal_json,
    trace_id_of,
)


def refuse_with_code(request: HttpRequest, error: BrokerError) -> HttpResponse:
    """The page of a refusal, for these tests: its code and nothing else."""
    return HttpResponse(error.code, status=error.status)


@pytest.fixture(autouse=True)
def _page(settings: Settings) -> None:
    settings.REFUSAL_PAGE = f"{__name__}.refuse_with_code"


# --- The caller's address -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("proxies", "peer", "forwarded", "address"),
    [
        (0, "192.0.2.1", None, "192.0.2.1"),
        (0, "192.0.2.1", "10.0.0.9", "192.0.2.1"),
        (1, "10.0.0.2", "192.0.2.1", "192.0.2.1"),
        (1, "10.0.0.2", "6.6.6.6, 192.0.2.1", "192.0.2.1"),
        (2, "10.0.0.2", "6.6.6.6, 192.0.2.1, 10.0.0.3", "192.0.2.1"),
        (2, "10.0.0.2", "6.6.6.6", "10.0.0.2"),
        (1, "10.0.0.2", None, "10.0.0.2"),
        (1, "10.0.0.2", " , ,", "10.0.0.2"),
        (1, "10.0.0.2", "not an address", ""),
        (1, "10.0.0.2", "<script>alert(1)</script>", ""),
        (1, "10.0.0.2", "192.0.2.1:4711", ""),
        (1, "10.0.0.2", "2001:DB8:0::1", "2001:db8::1"),
        (1, "10.0.0.2", "fe80::1%" + "a" * 500, "fe80::1"),
        (0, "", None, ""),
        (0, "/run/socket", None, ""),
    ],
)
def test_the_address_is_what_the_outermost_trusted_proxy_saw(
    rf: RequestFactory, settings: Settings, proxies: int, peer: str, forwarded: str | None, address: str
) -> None:
    settings.TRUSTED_PROXIES = proxies
    headers = {"HTTP_X_FORWARDED_FOR": forwarded} if forwarded is not None else {}
    assert client_address(rf.get("/", REMOTE_ADDR=peer, **headers)) == address


# --- Sizes ----------------------------------------------------------------------------------------------------------
def sized(rf: RequestFactory, path: str = "/oauth/token", **meta: str) -> HttpRequest:
    """A POST with its headers set by hand."""
    request = rf.post(path)
    request.META.update(meta)
    return request


@pytest.mark.parametrize(
    ("path", "meta"),
    [
        ("/oauth/token", {}),
        ("/oauth/token", {"CONTENT_LENGTH": ""}),
        ("/oauth/token", {"CONTENT_LENGTH": str(limits.FORM_BYTES)}),
        ("/saml/sp/acme/acs", {"CONTENT_LENGTH": str(limits.SAML_POST_BYTES)}),
        ("/admin/connections/new/", {"CONTENT_LENGTH": str(limits.CONSOLE_POST_BYTES)}),
        ("/", {"QUERY_STRING": "q" * limits.QUERY_BYTES}),
        ("/", {"HTTP_COOKIE": "c" * limits.COOKIE_BYTES}),
    ],
)
def test_a_request_within_its_limits_passes(rf: RequestFactory, path: str, meta: dict[str, str]) -> None:
    check_size(sized(rf, path, **meta))


@pytest.mark.parametrize(
    ("path", "meta", "code"),
    [
        ("/oauth/token", {"CONTENT_LENGTH": str(limits.FORM_BYTES + 1)}, "request.too_large"),
        ("/samlish", {"CONTENT_LENGTH": str(limits.FORM_BYTES + 1)}, "request.too_large"),
        ("/saml/sp/acme/acs", {"CONTENT_LENGTH": str(limits.SAML_POST_BYTES + 1)}, "saml.too_large"),
        ("/admin/connections/new/", {"CONTENT_LENGTH": str(limits.CONSOLE_POST_BYTES + 1)}, "request.too_large"),
        ("/admin/login/", {"CONTENT_LENGTH": str(limits.FORM_BYTES + 1)}, "request.too_large"),
        ("/", {"QUERY_STRING": "q" * (limits.QUERY_BYTES + 1)}, "request.too_large"),
        ("/saml/sp/acme/acs", {"QUERY_STRING": "q" * (limits.QUERY_BYTES + 1)}, "request.too_large"),
        ("/", {"HTTP_COOKIE": "c" * (limits.COOKIE_BYTES + 1)}, "request.too_large"),
        ("/oauth/token", {"CONTENT_LENGTH": "-1"}, "request.malformed"),
        ("/oauth/token", {"CONTENT_LENGTH": "1e9"}, "request.malformed"),
        ("/oauth/token", {"CONTENT_LENGTH": "10, 10"}, "request.malformed"),
        ("/oauth/token", {"CONTENT_LENGTH": "9" * 5000}, "request.malformed"),
        ("/oauth/token", {"HTTP_TRANSFER_ENCODING": "chunked"}, "request.malformed"),
    ],
)
def test_a_request_beyond_its_limits_is_refused(rf: RequestFactory, path: str, meta: dict[str, str], code: str) -> None:
    with pytest.raises(BrokerError) as refusal:
        check_size(sized(rf, path, **meta))
    assert refusal.value.code == code


def test_what_is_too_large_is_refused_before_anything_reads_it(rf: RequestFactory) -> None:
    def fail(request: HttpRequest) -> HttpResponse:
        raise AssertionError("the request went on")

    request = sized(rf, CONTENT_LENGTH=str(10**9))
    answer = LimitsMiddleware(fail)(request)
    assert (answer.status_code, answer.content) == (413, b"request.too_large")
    assert not request._read_started


def test_an_honest_request_goes_on(rf: RequestFactory) -> None:
    assert LimitsMiddleware(lambda request: HttpResponse("on"))(rf.get("/")).content == b"on"


# --- Traces ---------------------------------------------------------------------------------------------------------
@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    """Everything that was logged, as text."""
    caplog.set_level(logging.DEBUG)
    return lambda: "\n".join(str(record.msg) + str(record.args) for record in caplog.records)


def test_every_answer_shows_its_trace_id(rf: RequestFactory) -> None:
    seen: list[str] = []

    def view(request: HttpRequest) -> HttpResponse:
        seen.append(trace_id_of(request))
        return HttpResponse(status=404)

    middleware = TraceMiddleware(view)
    answers = [middleware(rf.get("/")) for _ in range(3)]
    assert [answer[TRACE_HEADER] for answer in answers] == seen
    assert len(set(seen)) == 3


def test_a_caller_cannot_choose_a_trace_id(rf: RequestFactory) -> None:
    answer = TraceMiddleware(lambda request: HttpResponse())(rf.get("/", headers={TRACE_HEADER: "AAAAA-AAAAA"}))
    assert answer[TRACE_HEADER] != "AAAAA-AAAAA"


def test_a_further_hop_shows_the_id_of_its_attempt(rf: RequestFactory) -> None:
    def view(request: HttpRequest) -> HttpResponse:
        adopt_trace_id(request, "FRST0-H0P00")
        assert structlog.contextvars.get_contextvars() == {"trace_id": "FRST0-H0P00"}
        return HttpResponse()

    assert TraceMiddleware(view)(rf.get("/"))[TRACE_HEADER] == "FRST0-H0P00"


def test_one_request_leaves_nothing_to_the_log_of_the_next(rf: RequestFactory) -> None:
    def view(request: HttpRequest) -> HttpResponse:
        assert set(structlog.contextvars.get_contextvars()) == {"trace_id"}
        structlog.contextvars.bind_contextvars(person="7")
        return HttpResponse()

    middleware = TraceMiddleware(view)
    middleware(rf.get("/"))
    middleware(rf.get("/"))


@pytest.mark.parametrize(
    "make",
    [
        lambda rf: rf.get("/oauth/authorize", {"code": "canary-7"}),
        lambda rf: rf.post("/oauth/token", {"client_secret": "canary-7"}),
        lambda rf: rf.get("/", headers={"Authorization": "Bearer canary-7", "Cookie": "s=canary-7"}),
        lambda rf: rf.get("/people/canary-7"),
    ],
    ids=["query", "body", "headers", "path"],
)
def test_the_log_line_holds_no_value_of_the_request(
    rf: RequestFactory, logged: Callable[[], str], make: Callable[[RequestFactory], Any]
) -> None:
    def view(request: HttpRequest) -> HttpResponse:
        request.resolver_match = ResolverMatch(view, (), {}, route="people/<str:name>")
        return HttpResponse()

    TraceMiddleware(view)(make(rf))
    assert "people/<str:name>" in logged()
    assert "canary-7" not in logged()


def test_an_address_that_leads_nowhere_is_not_logged(rf: RequestFactory, logged: Callable[[], str]) -> None:
    TraceMiddleware(lambda request: HttpResponse(status=404))(rf.get("/canary-7"))
    assert "(none)" in logged()
    assert "canary-7" not in logged()


def test_the_actor_behind_a_request_is_nobody_until_it_is_known(rf: RequestFactory) -> None:
    request = rf.get("/", REMOTE_ADDR="192.0.2.1")
    adopt_trace_id(request, "ABCDE-FGH23")
    actor = actor_from(request)
    assert (actor.kind, actor.identifier, actor.address, actor.trace_id) == (
        ActorKind.ANONYMOUS,
        "",
        "192.0.2.1",
        "ABCDE-FGH23",
    )
    known = actor.acting_as(ActorKind.CLIENT, "crm")
    assert (known.kind, known.identifier, known.trace_id) == (ActorKind.CLIENT, "crm", "ABCDE-FGH23")
    assert actor.kind is ActorKind.ANONYMOUS


# --- Answers --------------------------------------------------------------------------------------------------------
def test_an_answer_with_secrets_is_not_stored() -> None:
    answer = no_store(HttpResponse())
    assert (answer["Cache-Control"], answer["Pragma"]) == ("no-store", "no-cache")


def test_a_refusal_for_a_machine_keeps_the_detail_inside() -> None:
    error = BrokerError("jwt.expired", detail="canary-7", expected="canary-7", actual="canary-7")
    answer = refusal_json(error, trace_id="ABCDE-FGH23")
    body = json.loads(answer.content)
    assert answer.status_code == 401
    assert answer["Cache-Control"] == "no-store"
    assert (body["error"], body["code"], body["trace_id"]) == ("invalid_request", "jwt.expired", "ABCDE-FGH23")
    assert b"canary-7" not in answer.content


# --- The host -------------------------------------------------------------------------------------------------------
@pytest.mark.django_db
@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "localhost@evil.example", ""])
@pytest.mark.parametrize("path", ["/", "/oauth/authorize", "/.well-known/openid-configuration", "/saml/sp/x/metadata"])
def test_a_request_for_another_host_is_refused(client: Client, host: str, path: str) -> None:
    answer = client.get(path, headers={"host": host})
    assert answer.status_code == 400
    assert b"request.host" in answer.content
    assert host.encode() not in answer.content or not host


@pytest.mark.django_db
def test_a_health_probe_may_come_by_any_address(client: Client) -> None:
    assert client.get("/health/live", headers={"host": "10.1.2.3"}).status_code == 200


@pytest.mark.django_db
def test_the_console_is_found_without_its_slash(client: Client) -> None:
    assert client.get("/admin")["Location"] == "/admin/"


@pytest.mark.parametrize("request_", [{"QUERY_STRING": "x" * 20_000}, {"HTTP_HOST": "other.example"}])
def test_what_the_limits_refuse_is_marked_like_every_page(request_) -> None:
    answer = Client().get("/", **request_)
    assert answer.status_code >= 400
    assert "default-src 'none'" in answer["Content-Security-Policy"]
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Countersign-Trace"]
