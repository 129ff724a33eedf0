from django.urls import path

from broker.tokens import views

urlpatterns = [
    path("oauth/token", views.token, name="token"),
    path("oauth/par", views.par, name="pushed_authorization_request"),
    path("oauth/introspect", views.introspect, name="introspection"),
    path("oauth/revoke", views.revoke, name="revocation"),
    path("oauth/userinfo", views.userinfo, name="userinfo"),
    path(".well-known/oauth-protected-resource/<path:resource>", views.protected_resource, name="protected_resource"),
    path(".well-known/openid-configuration", views.discovery, name="openid_configuration"),
    path(".well-known/oauth-authorization-server", views.discovery, name="oauth_authorization_server"),
]
