"""Where our keys are published."""

from django.urls import path

from broker.keys import views

urlpatterns = [path("oauth/jwks", views.jwks, name="jwks")]
