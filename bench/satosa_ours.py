"""Countersign as its image runs it: granian with one worker, on a PostgreSQL that writes durably.

Import it after `start_database` has told the settings where the database is.
"""

import base64
import contextlib
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.satosa_driver import SERVICE_PROVIDER, Broker, Company
from bench.satosa_peer import wait_until_it_answers
from tests.services.servers import PostgreSQL

ROOT = Path(__file__).resolve().parent.parent
STOP_SECONDS = 30
THREADS = 4
"""As the image runs it."""


class DurablePostgreSQL(PostgreSQL):
    """As Debian configures it: what was committed survives a loss of power."""

    def command(self) -> list[str]:
        program, *rest = super().command()
        return [program, *rest, "-c", "fsync=on", "-c", "full_page_writes=on"]


def environment(folder: Path, *, port: int, database_url: str) -> dict[str, str]:
    """What the broker reads."""
    return {
        "DJANGO_SETTINGS_MODULE": "broker.settings",
        "BROKER_BASE_URL": f"http://127.0.0.1:{port}",
        "BROKER_VAR": str(folder),
        "BROKER_DATABASE_URL": database_url,
        "BROKER_SECRET_KEY": secrets.token_urlsafe(48),
        "BROKER_MASTER_KEYS": f"k1:{base64.b64encode(secrets.token_bytes(32)).decode()}",
    }


def prepare(count: int) -> tuple[list[Company], bytes]:
    """Make the tables, our keys, `count` companies and the application.

    Returns the companies, and the certificate that our answers are signed with (DER). Django has to be set up.
    """
    from django.conf import settings
    from django.core.management import call_command
    from django.db import connections

    from bench.companies import make_known_at, register_companies
    from broker.actors import SYSTEM
    from broker.keys.services import ensure_keys, saml_signing
    from broker.registry.models import ServiceProvider
    from tests.factories import make_application

    call_command("migrate", verbosity=0)
    ensure_keys(SYSTEM)
    application = make_application(slug="erp", release=("email", "name", "groups"))
    ServiceProvider.objects.create(
        application=application,
        entity_id=SERVICE_PROVIDER.entity_id,
        metadata=SERVICE_PROVIDER.metadata(keys=()),
    )
    registered = register_companies(count)
    make_known_at(application)
    certificate = saml_signing().certificate
    for connection in connections.all():
        connection.cursor().execute("ANALYZE")  # the statistics that a running installation has
        connection.close()
        connection.close_pool()
    sso_url = f"{settings.BROKER_BASE_URL}/saml/idp/sso"
    return [Company(one.fake, one.domain, sso_url) for one in registered], certificate


@contextlib.contextmanager
def running(folder: Path, *, port: int, companies: list[Company], certificate: bytes) -> Iterator[Broker]:
    """The web server, until the end of the block."""
    base_url = f"http://127.0.0.1:{port}"
    options = ["--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port), "--workers", "1", "--no-ws"]
    options += ["--blocking-threads", str(THREADS), "--log-level", "warning", "broker.wsgi:application"]
    log = folder / "web.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "granian", *options],
            cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=dict(os.environ),
        )  # fmt: skip
    try:
        wait_until_it_answers(f"{base_url}/health/ready", process, log)
        yield Broker(
            "Countersign, at random", base_url, f"{base_url}/saml/idp/metadata", companies, certificate, process.pid
        )
    finally:
        process.terminate()
        process.wait(STOP_SECONDS)
