"""The addresses at which browsers sign on."""

from django.urls import path

from federation.signon.views import metadata, oidc, pages, saml, testing

urlpatterns = [
    path("", pages.home, name="home"),
    path("signon/choose", pages.choose_identity_provider, name="choose_identity_provider"),
    path("signon/test", testing.begin_test, name="begin_test"),
    path("signon/test/over", testing.test_is_over, name="test_is_over"),
    path("saml/sp/<slug:slug>/metadata", metadata.service_provider, name="service_provider_metadata"),
    path("saml/sp/<slug:slug>/acs", saml.assertion_consumer, name="assertion_consumer"),
    path("oauth/authorize", oidc.authorize, name="authorization"),
]
