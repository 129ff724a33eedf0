from django.urls import path

from federation.logout import views

urlpatterns = [
    path("oauth/logout", views.logout, name="logout"),
    path("oauth/logout/confirm", views.confirm, name="end_session"),
]
