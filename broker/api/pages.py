"""The document of the API: for machines at /api/schema, and for people at /api/docs."""

import hashlib
import json
from functools import cache

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.shortcuts import render
from django.views.decorators.http import require_safe

from broker.api.document import document
from broker.api.reading import read_operations

MEDIA_TYPE = "application/vnd.oai.openapi+json;version=3.1"


@require_safe
def schema(request: HttpRequest) -> HttpResponse:
    """GET /api/schema: OpenAPI 3.1. It tells nothing of any party, and needs no token."""
    text, tag = _written(settings.BROKER_BASE_URL)
    response: HttpResponse = HttpResponse(text, content_type=MEDIA_TYPE)
    if request.headers.get("If-None-Match") == tag:
        response = HttpResponseNotModified()
    response["ETag"] = tag
    response["Cache-Control"] = "public, max-age=300"
    return response


@require_safe
def docs(request: HttpRequest) -> HttpResponse:
    """GET /api/docs: the same document to read."""
    described = document(settings.BROKER_BASE_URL)
    context = {
        "info": described["info"],
        "base_url": settings.BROKER_BASE_URL,
        "scopes": settings.PROTECTED_RESOURCES["api/v1"],
        "groups": read_operations(described),
    }
    return render(request, "api/docs.html", context)


@cache
def _written(base_url: str) -> tuple[str, str]:
    text = json.dumps(document(base_url), indent=1)
    return text, f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'
