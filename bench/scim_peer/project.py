"""Its settings, its middleware, and its rows: `python -m bench.scim_peer.project COUNT`.

What costs a project time without being django-scim2's (sessions, a look-up of who calls) is left out, and its
connections to the database stay open.
"""

import os
import sys
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

_url = urlsplit(os.environ["SCIM_DATABASE_URL"])
SECRET_KEY = "the bench's own"
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "bench.scim_peer.urls"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "django_scim", "bench.scim_peer"]
MIDDLEWARE = ["bench.scim_peer.project.let_in"]
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
MIGRATION_MODULES = {"auth": None, "contenttypes": None}
"""Their tables are made in one go with the one that refers to them."""
AUTH_USER_MODEL = "scim_peer.User"
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
SCIM_SERVICE_PROVIDER = {
    "NETLOC": "127.0.0.1",
    "SCHEME": "http",
    "AUTHENTICATION_SCHEMES": [{"type": "oauthbearertoken", "name": "Bearer", "description": "A token"}],
}
TOKEN = os.environ["SCIM_TOKEN"]


class Caller:
    """Who has the token."""

    is_authenticated = True


def let_in(get_response: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The one token that there is is compared with what the settings hold: no database is asked."""
    caller, expected = Caller(), f"Bearer {TOKEN}"

    def middleware(request: Any) -> Any:
        if request.headers.get("Authorization") == expected:
            request.user = caller
        return get_response(request)

    return middleware


def prepare(count: int) -> None:
    """Make the tables, and so many people."""
    import django

    django.setup()
    from django.contrib.auth import get_user_model
    from django.core.management import call_command
    from django.db import connection

    call_command("migrate", run_syncdb=True, verbosity=0)
    model = get_user_model()
    model.objects.bulk_create(
        [
            model(
                id=number + 1,
                scim_id=str(number + 1),
                scim_external_id=f"hr-{number:06}",
                username=f"person-{number:06}",
                scim_username=f"person-{number:06}",
                first_name="Ada",
                last_name=f"Lovelace {number}",
                email=f"person-{number:06}@acme.example",
                password="!",
            )
            for number in range(count)
        ],
        batch_size=1_000,
    )
    connection.cursor().execute("ANALYZE")


if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "bench.scim_peer.project"
    prepare(int(sys.argv[1]))
