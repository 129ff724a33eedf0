"""What `manage.py doctor` asks of the installation itself: its settings, and who may read its files."""

import stat
from pathlib import Path

from django.conf import settings
from django.core import checks

from broker.env import SECRET_NAMES
from broker.findings import Finding

METRICS_TOKEN_CHARS = 32
OPEN_TO_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def check_settings() -> list[Finding]:
    """What can be wrong with settings although every one of them is well-formed."""
    found = []
    messages = [message for message in checks.run_checks() if not message.is_silenced()]
    found += [
        Finding(
            "settings",
            "fault" if message.is_serious(checks.ERROR) else "warning",
            f"{message.id}: {message.msg}",
            message.hint or "See the log of the start.",
        )
        for message in messages
        if message.is_serious(checks.WARNING)
    ]
    if not settings.BROKER_IS_LOOPBACK:
        found += _check_public_settings()
    if settings.METRICS_TOKEN and len(settings.METRICS_TOKEN) < METRICS_TOKEN_CHARS:
        text = f"the metrics token has fewer than {METRICS_TOKEN_CHARS} characters"
        found.append(Finding("settings", "warning", text, "Set a longer random BROKER_METRICS_TOKEN."))
    return found or [Finding("settings", "ok", f"settings fit {settings.BROKER_BASE_URL}")]


def _check_public_settings() -> list[Finding]:
    """What only an installation beyond this machine needs."""
    found = []
    if settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"):
        text = "SQLite serves more than this machine: one writer at a time, and no copy elsewhere"
        found.append(Finding("settings", "warning", text, "Name a PostgreSQL database in BROKER_DATABASE_URL."))
    if not settings.REDIS_URL:
        text = "the queue is a file on this machine, and each process has a cache of its own"
        found.append(Finding("settings", "warning", text, "Name a Redis in BROKER_REDIS_URL."))
    if not settings.TRUSTED_PROXIES:
        text = "no proxy is trusted; behind one, every caller has the proxy's address"
        found.append(Finding("settings", "warning", text, "Set BROKER_TRUSTED_PROXIES to the number of proxies."))
    if settings.DEMONSTRATION:
        text = "the demonstration's page is shown to everyone"
        found.append(Finding("settings", "warning", text, "Unset BROKER_DEMONSTRATION."))
    if settings.OUTGOING_NETWORKS:
        text = f"outbound requests may reach {len(settings.OUTGOING_NETWORKS)} networks that are not public"
        found.append(Finding("settings", "warning", text, "Keep BROKER_OUTGOING_NETWORKS as narrow as it can be."))
    return found


def check_permissions() -> list[Finding]:
    """Nobody but the service's own account can read what lies under `var`: secrets, database, queue, logs, seals."""
    var: Path = settings.VAR
    if not var.is_dir():
        return [Finding("permissions", "ok", "there is no var folder; secrets and database come from elsewhere")]
    secrets = [var / "secrets" / name for name in SECRET_NAMES]
    others = [var / "secrets", var / "log", *sorted(var.glob("*.sqlite3*")), Path(settings.SEAL_LOG)]
    looked_at = [path for path in (var, *secrets, *others) if path.exists()]
    var_is_closed = not _is_open(var)
    found = []
    for path in looked_at:
        is_secret = path in secrets
        # What lies in a closed folder is closed; a secret is looked at all the same, since it gets copied.
        if _is_open(path) and (is_secret or not (var_is_closed and var in path.parents)):
            text = f"{path} is open to other accounts (mode {stat.S_IMODE(path.stat().st_mode):o})"
            remedy = f"Run: chmod {'700' if path.is_dir() else '600'} {path}"
            found.append(Finding("permissions", "fault" if is_secret else "warning", text, remedy))
    return found or [Finding("permissions", "ok", f"{len(looked_at)} files and folders are closed to other accounts")]


def _is_open(path: Path) -> bool:
    return bool(path.stat().st_mode & OPEN_TO_OTHERS)
