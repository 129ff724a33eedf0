"""What the doctor looks at in the book. `manage.py verify_events` looks at all of it; this takes milliseconds."""

from importlib import import_module

from django.conf import settings
from django.db import connection
from django.utils import timezone
from django.utils.module_loading import import_string

from broker import limits
from broker.errors import BrokerError
from broker.events import seal_log
from broker.events.models import Event, Notice, Seal
from broker.events.notices import all_readers
from broker.findings import Finding

guard = import_module("broker.events.migrations.0002_insert_only")
SEAL_LOG_MODE = 0o600


def check_book() -> list[Finding]:
    """Whether the database guards the book, seals are made and signed, and the seal log keeps up."""
    last = Seal.objects.order_by("-id").first()
    return [_check_triggers(), _check_tail(last), *([_check_signature(last), _check_log(last)] if last else [])]


def check_readers() -> list[Finding]:
    """Whether what happened is read by those who act on it, and whether one of them fails at something."""
    known = all_readers()
    unread = Notice.objects.filter(created_at__lt=timezone.now() - limits.NOTICE_UNREAD_MAX)
    failing = list(unread.filter(attempts__gt=0).values_list("reader", "event_id", "error").order_by("event_id")[:5])
    waiting = unread.filter(attempts=0, reader__in=known).count()
    orphans = sorted(set(unread.exclude(reader__in=known).values_list("reader", flat=True)[:1000]))
    found = []
    if waiting:
        text = f"{waiting} events wait to be read for longer than {limits.NOTICE_UNREAD_MAX.total_seconds():.0f} s"
        found.append(Finding("readers", "fault", text, "start the worker with its scheduler, and look into its log"))
    for reader, event, error in failing:
        text = f"{reader} fails at event {event} ({error})"
        found.append(Finding("readers", "fault", text, "look into the worker's log; it is tried again by itself"))
    if orphans:
        text = f"nobody reads for {', '.join(orphans)}"
        found.append(
            Finding("readers", "warning", text, "see whether a version that knows them is still to be started")
        )
    return found or [Finding("readers", "ok", f"no event waits for any of {len(known)} readers")]


def _check_triggers() -> Finding:
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        else:
            cursor.execute("SELECT tgname FROM pg_trigger WHERE tgenabled IN ('O', 'A')")
        present = {name for (name,) in cursor.fetchall()}
    missing = sorted(set(guard.TRIGGERS[connection.vendor]) - present)
    if missing:
        return Finding(
            "book: insert-only",
            "fault",
            f"the database does not have or does not use these triggers: {', '.join(missing)}",
            "find out who removed them, then migrate events back to 0001 and forward again",
        )
    return Finding("book: insert-only", "ok", "the database refuses changes and deletions of events and seals")


def _check_tail(last: Seal | None) -> Finding:
    tail = Event.objects.filter(id__gt=last.until_id if last else 0)
    oldest = tail.order_by("id").first()
    if oldest is None and last is None:
        return Finding("book: seals", "warning", "no event is recorded yet, so nothing was looked at")
    if oldest is None:
        return Finding("book: seals", "ok", "every event is sealed")
    seconds = (timezone.now() - oldest.at).total_seconds()
    text = f"{tail.count()} events are not sealed yet, the oldest for {seconds:.0f} s"
    if seconds > limits.EVENT_UNSEALED_MAX.total_seconds():
        return Finding("book: seals", "fault", text, "start the worker with its scheduler, and look into its log")
    return Finding("book: seals", "ok", text)


def _check_signature(last: Seal) -> Finding:
    try:
        import_string(settings.EVENT_HEAD_VERIFIER)(last.digest, last.signature)
    except BrokerError as error:
        return Finding(
            "book: signature", "fault", f"seal {last.id} does not verify ({error.code})", "run manage.py verify_events"
        )
    return Finding("book: signature", "ok", f"seal {last.id}, the last one, is signed by us")


def _check_log(last: Seal) -> Finding:
    name, path = "book: seal log", settings.SEAL_LOG
    try:
        logged = seal_log.read_last_seal(path)
        mode = path.stat().st_mode & 0o777
    except OSError as error:
        return Finding(name, "fault", f"cannot be read: {error}", "restore the file from the copy that was shipped")
    if logged > last.id:
        text = f"it names seal {logged}, and the book ends with seal {last.id}: the book was cut"
        return Finding(name, "fault", text, "run manage.py verify_events, and compare with a backup")
    if logged < last.id and timezone.now() - last.at > limits.EVENT_UNSEALED_MAX:
        text = f"it ends with seal {logged}, the book with seal {last.id}"
        return Finding(name, "fault", text, "let the worker write to the file; the missing lines follow")
    if mode & ~SEAL_LOG_MODE:
        return Finding(name, "warning", f"its mode is {mode:04o}", f"chmod {SEAL_LOG_MODE:o} {path}")
    return Finding(name, "ok", f"it ends with seal {logged}")
