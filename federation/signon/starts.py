"""Where an application begins a sign-on of its own, so that it asks us itself."""

from urllib.parse import urlencode

from django.conf import settings
from django.urls import reverse

from broker.errors import BrokerError
from broker.registry.models import Application, Client


def start_of(application: Application) -> str:
    """The address at which a person starts `application`.

    Its OpenID face by the address that it registered for this (OpenID Connect Core 4), its SAML face by an answer of
    ours where it takes those, else its own home page. Raises BrokerError("signon.no_start").
    """
    client = application.clients.filter(kind=Client.Kind.SIGN_ON, enabled=True, retired_at=None).first()
    if client is not None and client.initiate_login_uri:
        parameters = {"iss": settings.BROKER_BASE_URL}
        if application.home_url:
            parameters["target_link_uri"] = application.home_url
        glue = "&" if "?" in client.initiate_login_uri else "?"
        return f"{client.initiate_login_uri}{glue}{urlencode(parameters)}"
    face = getattr(application, "service_provider", None)
    if face is not None and face.idp_initiated:
        return reverse("start_saml_application", args=[application.slug])
    if application.home_url:
        return application.home_url
    raise BrokerError("signon.no_start", detail=application.slug, expected="home_url or initiate_login_uri")
