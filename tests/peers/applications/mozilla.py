"""An application with mozilla-django-oidc: `/whoami` wants a sign-on and tells who came.

Runs in the peers' own environment, configured by ISSUER, CLIENT_ID, CLIENT_SECRET, ADDRESS and DATABASE.
"""

import json
import os
import urllib.request

import django
from django.conf import settings
from django.core.management import call_command
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import include, path

with urllib.request.urlopen(os.environ["ISSUER"] + "/.well-known/openid-configuration", timeout=10) as answer:
    published = json.load(answer)

settings.configure(
    SECRET_KEY="for-one-run-on-loopback-only-" + "0123456789" * 3,
    ALLOWED_HOSTS=["127.0.19.2"],
    ROOT_URLCONF=__name__,
    USE_TZ=True,
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "mozilla_django_oidc",
    ],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["DATABASE"]}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    AUTHENTICATION_BACKENDS=["mozilla_django_oidc.auth.OIDCAuthenticationBackend"],
    LOGIN_URL="/oidc/authenticate/",
    LOGIN_REDIRECT_URL="/whoami",
    LOGIN_REDIRECT_URL_FAILURE="/failed",
    OIDC_RP_CLIENT_ID=os.environ["CLIENT_ID"],
    OIDC_RP_CLIENT_SECRET=os.environ["CLIENT_SECRET"],
    OIDC_RP_SIGN_ALGO="RS256",
    OIDC_RP_SCOPES="openid email profile",
    OIDC_USE_PKCE=True,
    OIDC_OP_ISSUER=published["issuer"],
    OIDC_OP_AUTHORIZATION_ENDPOINT=published["authorization_endpoint"],
    OIDC_OP_TOKEN_ENDPOINT=published["token_endpoint"],
    OIDC_OP_USER_ENDPOINT=published["userinfo_endpoint"],
    OIDC_OP_JWKS_ENDPOINT=published["jwks_uri"],
    LOGGING={
        "version": 1,
        "handlers": {"stderr": {"class": "logging.StreamHandler"}},
        "root": {"handlers": ["stderr"], "level": "INFO"},
    },
)
django.setup()

from django.contrib.auth.decorators import login_required  # noqa: E402 - it reads the settings


@login_required
def whoami(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"peer": "mozilla-django-oidc", "email": request.user.email})


def failed(_request: HttpRequest) -> HttpResponse:
    return HttpResponse("mozilla-django-oidc refused the sign-on", status=403)


def up(_request: HttpRequest) -> HttpResponse:
    return HttpResponse("up")


urlpatterns = [
    path("oidc/", include("mozilla_django_oidc.urls")),
    path("whoami", whoami),
    path("failed", failed),
    path("up", up),
]

call_command("migrate", verbosity=0)
call_command("runserver", os.environ["ADDRESS"], "--noreload")
