"""The JWK set, as the world reads it."""

import hashlib
import json
from typing import cast

from django.http import HttpRequest, HttpResponse
from django.utils.cache import get_conditional_response
from django.views.decorators.http import require_safe

from broker import limits
from broker.errors import BrokerError
from broker.http import refusal_json, trace_id_of
from broker.keys import services


@require_safe
def jwks(request: HttpRequest) -> HttpResponse:
    """GET /oauth/jwks (RFC 7517 section 5, OpenID Connect Discovery 1.0 section 3): cacheable, with an ETag."""
    try:
        body = json.dumps(services.jwks(), separators=(",", ":"), sort_keys=True).encode()
    except BrokerError as error:
        return refusal_json(error, trace_id=trace_id_of(request))
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    response = HttpResponse(body, content_type="application/jwk-set+json")
    response["ETag"] = etag
    response["Cache-Control"] = f"public, max-age={int(limits.JWKS_MAX_AGE.total_seconds())}"
    return cast(HttpResponse, get_conditional_response(request, etag=etag, response=response))
