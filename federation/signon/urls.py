"""The addresses at which browsers sign on."""

from django.urls import path

from federation.signon.views import metadata, oidc, oidc_callback, pages, saml, saml_idp, testing

urlpatterns = [
    path("", pages.home, name="home"),
    path("signon/choose", pages.choose_identity_provider, name="choose_identity_provider"),
    path("signon/test", testing.begin_test, name="begin_test"),
    path("signon/test/over", testing.test_is_over, name="test_is_over"),
    path("saml/sp/<slug:slug>/metadata", metadata.service_provider, name="service_provider_metadata"),
    path("saml/sp/<slug:slug>/acs", saml.assertion_consumer, name="assertion_consumer"),
    path("saml/sp/<slug:slug>/arrival", saml.complete_arrival, name="complete_arrival"),
    path("saml/idp/metadata", metadata.identity_provider, name="identity_provider_metadata"),
    path("saml/idp/sso", saml_idp.single_sign_on, name="saml_sign_on"),
    path("saml/idp/continue", saml_idp.continue_sign_on, name="continue_saml_sign_on"),
    path("saml/idp/init/<slug:slug>", saml_idp.start_application, name="start_saml_application"),
    path("oidc/<slug:slug>/callback", oidc_callback.callback, name="openid_callback"),
    path("oauth/authorize", oidc.authorize, name="authorization"),
]
