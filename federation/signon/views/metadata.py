"""/saml/sp/<idp>/metadata and /saml/idp/metadata: what we tell identity providers and applications of us."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from federation.downstream.saml import identity_provider_metadata
from federation.signon.views.saml import find_saml_identity_provider
from federation.upstream.saml import service_provider_metadata


@require_safe
def service_provider(request: HttpRequest, slug: str) -> HttpResponse:  # noqa: ARG001 - Django hands it over
    """GET /saml/sp/<idp>/metadata (SAML metadata section 2.4.4), signed; for a disabled provider too."""
    xml = service_provider_metadata(find_saml_identity_provider(slug))
    return _published(xml)


@require_safe
def identity_provider(request: HttpRequest) -> HttpResponse:  # noqa: ARG001 - Django hands it over
    """GET /saml/idp/metadata (SAML metadata section 2.4.3), signed; the same for every application."""
    return _published(identity_provider_metadata())


def _published(xml: bytes) -> HttpResponse:
    response = HttpResponse(xml, content_type="application/samlmetadata+xml")
    response["Cache-Control"] = "public, max-age=300"
    return response
