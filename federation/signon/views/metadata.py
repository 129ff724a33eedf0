"""/saml/sp/<idp>/metadata: what we tell an identity provider of us."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from federation.signon.views.saml import find_saml_identity_provider
from federation.upstream.saml import service_provider_metadata


@require_safe
def service_provider(request: HttpRequest, slug: str) -> HttpResponse:  # noqa: ARG001 - Django hands it over
    """GET /saml/sp/<idp>/metadata (SAML metadata section 2.4.4), signed; for a disabled provider too."""
    xml = service_provider_metadata(find_saml_identity_provider(slug))
    response = HttpResponse(xml, content_type="application/samlmetadata+xml")
    response["Cache-Control"] = "public, max-age=300"
    return response
