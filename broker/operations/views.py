"""Health and metrics. What they say in detail is for this machine, or for who holds the metrics token."""

import hmac
import ipaddress
from dataclasses import asdict

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from broker.http import client_address, no_store
from broker.operations.health import is_ready, run_checks
from broker.operations.metrics import CONTENT_TYPE, write_metrics

TEXT = "text/plain; charset=utf-8"


@require_safe
def live(request: HttpRequest) -> HttpResponse:  # noqa: ARG001 - a view
    """GET /health/live: the process answers. Looks at nothing else, so that a lost database restarts nothing."""
    return no_store(HttpResponse("live\n", content_type=TEXT))


@require_safe
def ready(request: HttpRequest) -> HttpResponse:
    """GET /health/ready: 200 or 503 in one word; what was found, as JSON, for those who may see it."""
    findings = run_checks(settings.HEALTH_CHECKS)
    status = 200 if is_ready(findings) else 503
    word = "ready" if status == 200 else "not ready"
    if may_see_details(request):
        body = {"status": word, "findings": [asdict(finding) for finding in findings]}
        return no_store(JsonResponse(body, status=status))
    return no_store(HttpResponse(f"{word}\n", status=status, content_type=TEXT))


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """GET /metrics in Prometheus' text format. To all others the address does not exist."""
    if not may_see_details(request):
        return no_store(HttpResponse("not found\n", status=404, content_type=TEXT))
    return no_store(HttpResponse(write_metrics(), content_type=CONTENT_TYPE))


def may_see_details(request: HttpRequest) -> bool:
    """A peer on this machine that speaks for itself, or the bearer of BROKER_METRICS_TOKEN.

    Behind a proxy on this machine every peer is loopback: then the address that the proxy reports counts, and a
    forwarded request without a trusted proxy is a stranger's.
    """
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    expected = settings.METRICS_TOKEN
    if expected and kind.lower() == "bearer" and hmac.compare_digest(token.strip().encode(), expected.encode()):
        return True
    try:
        request.get_host()
    except DisallowedHost:  # A foreign name that leads here (DNS rebinding) speaks for a foreign page.
        return False
    was_forwarded = any(name in request.headers for name in ("X-Forwarded-For", "X-Forwarded-Host", "Forwarded", "Via"))
    if was_forwarded and not settings.TRUSTED_PROXIES:
        return False
    address = client_address(request)
    return bool(address) and ipaddress.ip_address(address).is_loopback
