"""The addresses of the project with django-oauth-toolkit."""

from django.urls import include, path

urlpatterns = [path("o/", include("oauth2_provider.urls"))]
