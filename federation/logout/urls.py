from django.urls import path

from federation.logout import backchannel, views

urlpatterns = [
    path("oauth/logout", views.logout, name="logout"),
    path("oauth/logout/confirm", views.confirm, name="end_session"),
    path("oidc/<slug:slug>/backchannel-logout", backchannel.backchannel_logout, name="openid_backchannel_logout"),
    path("signon/signed-out", views.signed_out, name="signed_out"),
    path("signon/sessions/end", views.end_own_session, name="end_own_session"),
    path("signon/sessions/end-all", views.end_everywhere, name="end_everywhere"),
]
