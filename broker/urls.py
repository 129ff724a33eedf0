"""The whole URL map. Protocol addresses have no trailing slash; the console is the exception."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

urlpatterns = [
    # First what is asked most: addresses are tried in this order.
    path("", include("broker.tokens.urls")),  # /oauth/token, /oauth/userinfo, discovery
    path("", include("broker.access.urls")),  # /access/v1/…, /.well-known/authzen-configuration
    path("", include("federation.signon.urls")),  # /, /signon/…, /saml/sp/…, /oauth/authorize
    path("admin", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/connections/", include("federation.connecting.urls")),  # the wizard
    path("admin/connections/", include("federation.signon.console_urls")),  # the test of a connection
    path("admin/", admin.site.urls),
    path("", include("federation.logout.urls")),  # /oauth/logout
    path("", include("provisioning.inbound.urls")),  # /scim/v2/…
    path("", include("provisioning.leaver.urls")),  # /api/v1/leavers
    path("", include("broker.api.urls")),  # /api/v1/…, /api/schema
    path("", include("broker.keys.urls")),  # /oauth/jwks
    path("", include("broker.operations.urls")),  # /health/…, /metrics
]
handler400 = "federation.signon.views.pages.bad_request"
handler403 = "federation.signon.views.pages.forbidden"
handler404 = "federation.signon.views.pages.not_found"
handler500 = "federation.signon.views.pages.fault"
