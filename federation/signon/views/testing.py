"""A test of a connection in the operator's browser: its page in the console, its beginning, its end."""

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.response import TemplateResponse
from django.views.decorators.http import require_GET, require_safe

from broker.events.catalogue import TRACE_READ
from broker.events.services import record
from broker.http import no_store, operator_actor
from broker.refusals import find_refusal
from broker.registry.services import find_identity_provider
from federation.signon import cookies, services
from federation.signon import testing as tests
from federation.signon.attempts import Attempt, traced
from federation.signon.results import read_result
from federation.signon.views.answers import follow
from federation.signon.views.pages import refusal_page
from federation.upstream.connectors import connector_for


@require_safe
def test_connection(request: HttpRequest, slug: str) -> HttpResponse:
    """GET /admin/connections/<slug>/test/: a test is ready for this browser; the page's link begins it.

    A link and not a form: the console's policy keeps forms, and where they are redirected to, on this site.
    """
    identity_provider = find_identity_provider(slug)
    if identity_provider is None:
        raise Http404
    if not request.user.has_perm("registry.change_identityprovider"):
        raise PermissionDenied
    browser = cookies.flow_browser(request) or cookies.new_browser()
    actor = operator_actor(request)
    login = tests.prepare_test(identity_provider, browser=browser, actor=actor)
    context = {
        **admin.site.each_context(request),
        "title": "Test a connection",
        "identity_provider": identity_provider,
        "address": tests.address_of(login),
        "addresses": connector_for(identity_provider).our_addresses(identity_provider),
    }
    response = render(request, "admin/connections/test.html", context)
    cookies.set_flow_browser(response, browser)
    return response


@require_safe
def connection_test_result(request: HttpRequest, trace_id: str) -> HttpResponse:
    """GET /admin/connections/tests/<trace id>/: what a test found. Reading it is an event, as for every trace."""
    if not request.user.has_perm("traces.view_trace"):
        raise PermissionDenied
    result = read_result(trace_id)
    if result is None:
        raise Http404
    actor = operator_actor(request)
    record(TRACE_READ, actor=actor, subject=("trace", trace_id))
    context = {
        **admin.site.each_context(request),
        "title": "Test of a connection",
        "result": result,
        "identity_provider": find_identity_provider(result.connection),
        "refusal": find_refusal(result.code) if result.code else None,
        "may_change": request.user.has_perm("registry.change_identityprovider"),
    }
    return TemplateResponse(request, "admin/connections/result.html", context)


@require_GET
@traced(tests.HOP, page=refusal_page)
def begin_test(request: HttpRequest, attempt: Attempt) -> HttpResponse:
    """GET /signon/test: on to the identity provider."""
    relay_state = request.GET.get("flow", "")
    browser = cookies.flow_browser(request) or cookies.new_browser()
    tests.claim_test(relay_state, browser=browser)
    login = services.find_login(relay_state, browser=browser, attempt=attempt)
    return follow(tests.begin_test(login, attempt=attempt), browser=browser)


@require_safe
def test_is_over(request: HttpRequest) -> HttpResponse:
    """GET /signon/test/over: for a test that began in a terminal."""
    return no_store(render(request, "signon/test_over.html"))
