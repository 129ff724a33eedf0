"""Whether this process can do its work now: the checks behind /health/ready, and how checks are run."""

from collections.abc import Callable, Iterable

import redis
import structlog
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils.module_loading import import_string
from kombu import Connection
from kombu.exceptions import ChannelError

from broker.findings import Finding
from broker.throttling import RedisLeases

log = structlog.get_logger(__name__)
Check = Callable[[], list[Finding]]
QUEUE_TIMEOUT = 3
"""Seconds."""
QUEUE_WAITING_MAX = 1_000
"""Messages in the queue above which somebody should look."""


def run_checks(names: Iterable[str]) -> list[Finding]:
    """Run the checks under these dotted names, in order. A check that raises, or that says nothing, is a fault."""
    findings: list[Finding] = []
    for name in names:
        short_name = name.rpartition(".")[2].removeprefix("check_")
        try:
            check: Check = import_string(name)
            found = check()
        except Exception as error:
            log.exception("check failed", check=name)
            found = [Finding(short_name, "fault", f"the check broke ({type(error).__name__})", "See the log.")]
        findings += found or [Finding(short_name, "fault", "the check said nothing", "Report this: it is our fault.")]
    return findings


def is_ready(findings: Iterable[Finding]) -> bool:
    """Whether requests may be sent here: something was checked, and nothing is a fault."""
    levels = [finding.level for finding in findings]
    return bool(levels) and "fault" not in levels


def check_database() -> list[Finding]:
    """A query comes back."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            cursor.fetchone()
    except DatabaseError as error:
        return [
            Finding(
                "database",
                "fault",
                f"the database does not answer ({type(error).__name__})",
                "Start it, or correct BROKER_DATABASE_URL.",
            )
        ]
    return [Finding("database", "ok", f"the database ({connection.vendor}) answers")]


def check_migrations() -> list[Finding]:
    """The tables are those of this version."""
    executor = MigrationExecutor(connection)
    waiting = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if waiting:
        first = waiting[0][0]
        return [
            Finding(
                "migrations",
                "fault",
                f"{len(waiting)} migrations are not applied, the first is {first.app_label}.{first.name}",
                "Run: manage.py migrate",
            )
        ]
    return [Finding("migrations", "ok", "all migrations are applied")]


def check_queue() -> list[Finding]:
    """The queue can be reached. Without it sign-ons still work and background work waits: a warning, not a fault."""
    try:
        waiting = count_waiting_messages()
    except Exception as error:  # noqa: BLE001 - each of the queue's transports has exceptions of its own
        log.warning("queue unreachable", error=type(error).__name__)
        return [
            Finding(
                "queue",
                "warning",
                f"the queue cannot be reached ({type(error).__name__}); background work waits",
                "Start Redis, or correct BROKER_REDIS_URL.",
            )
        ]
    if waiting > QUEUE_WAITING_MAX:
        return [Finding("queue", "warning", f"{waiting} messages wait in the queue", "See whether a worker runs.")]
    return [Finding("queue", "ok", f"the queue can be reached, {waiting} messages wait")]


def check_throttle() -> list[Finding]:
    """Requests are counted by all processes together. Without Redis each counts alone, and allows its share."""
    if not settings.REDIS_URL:
        text = f"without Redis each of {settings.THROTTLE_PROCESSES} processes allows its share of requests"
        return [Finding("throttle", "ok", text)]
    try:
        RedisLeases(settings.REDIS_URL).ping()
    except redis.RedisError as error:
        return [
            Finding(
                "throttle",
                "warning",
                f"requests are counted by each process alone ({type(error).__name__}), each allows 1/"
                f"{settings.THROTTLE_PROCESSES} of a budget",
                "Start Redis, or correct BROKER_REDIS_URL.",
            )
        ]
    return [Finding("throttle", "ok", "requests are counted by all processes together")]


def count_waiting_messages() -> int:
    """How many messages wait for a worker. Raises what the queue's transport raises."""
    options = {"socket_connect_timeout": QUEUE_TIMEOUT, "socket_timeout": QUEUE_TIMEOUT} if settings.REDIS_URL else {}
    with Connection(settings.CELERY_BROKER_URL, transport_options=options) as queue:
        queue.ensure_connection(max_retries=1, interval_start=0, timeout=QUEUE_TIMEOUT)
        try:
            return int(queue.channel().queue_declare("celery", passive=True).message_count)
        except ChannelError:
            return 0  # Redis forgets a queue that is empty.
