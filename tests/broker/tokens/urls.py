"""The addresses of this room alone."""

from django.urls import include, path

urlpatterns = [path("", include("broker.tokens.urls"))]
