"""A Django project with django-oauth-toolkit as its documentation sets it up: its settings, and its rows.

It runs in the peer's own environment and imports nothing of ours. What costs a project time without being the
toolkit's (sessions, messages, CSRF) is left out, and its connections to the database stay open.
"""

import os
import sys
from urllib.parse import urlsplit

_url = urlsplit(os.environ["TOOLKIT_DATABASE_URL"])
SECRET_KEY = "the bench's own"
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "bench.toolkit_urls"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "oauth2_provider"]
MIDDLEWARE: list[str] = []
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": _url.path.lstrip("/"),
        "USER": _url.username,
        "HOST": _url.hostname,
        "PORT": _url.port,
        "CONN_MAX_AGE": None,
    }
}
OAUTH2_PROVIDER = {"SCOPES": {"orders.read": "Read orders", "introspection": "Introspect"}}


def prepare(names: list[str], secret: str) -> None:
    """Make the tables, and a confidential client under each name, whose secret is held in plain text."""
    import django

    django.setup()
    from django.core.management import call_command
    from oauth2_provider.models import Application

    call_command("migrate", verbosity=0)
    Application.objects.bulk_create(
        [
            Application(
                client_id=name,
                client_secret=secret,
                hash_client_secret=False,
                client_type=Application.CLIENT_CONFIDENTIAL,
                authorization_grant_type=Application.GRANT_CLIENT_CREDENTIALS,
            )
            for name in names
        ],
        batch_size=1_000,
    )


if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "bench.toolkit_project"
    prepare([f"service-{n}" for n in range(int(sys.argv[1]))], sys.argv[2])
