"""What the doctor looks at among the sources of people: tokens that end, silence, refusals, members who wait."""

from datetime import datetime, timedelta

from django.db.models import Count
from django.utils import timezone

from broker.findings import NAMED_MAX, Finding, listed
from provisioning.inbound.models import JournalEntry, PendingMember, ScimSource, SourceToken

NAME = "sources of people"
ENDS_SOON = timedelta(days=14)
SILENCE = timedelta(days=2)
WAITS = timedelta(days=2)


def check_sources() -> list[Finding]:
    """Whether each source in use can speak and does, and whether what it said could be done."""
    now = timezone.now()
    live = list(ScimSource.objects.filter(enabled=True, retired_at=None).order_by("slug"))
    if not live:
        return [Finding(NAME, "ok", "0 are registered")]
    found = [
        *_check_tokens(live, now),
        *_check_silence(live, now),
        *_check_refusals(now),
        *_check_waiting(now),
    ]
    return found or [Finding(NAME, "ok", f"{len(live)} are in use and speak")]


def _check_tokens(live: list[ScimSource], now: datetime) -> list[Finding]:
    ends: dict[int, datetime] = {}
    for source, until in SourceToken.objects.filter(expires_at__gt=now).values_list("source", "expires_at"):
        ends[source] = max(until, ends.get(source, until))
    found = []
    mute = [one.slug for one in live if one.pk not in ends]
    if mute:
        text = f"without a live token: {listed(mute)}"
        found.append(Finding(NAME, "warning", text, "Run manage.py issue_scim_token SOURCE, or disable the source."))
    soon = [one.slug for one in live if one.pk in ends and ends[one.pk] - now < ENDS_SOON]
    if soon:
        text = f"whose last token ends within {ENDS_SOON.days} days: {listed(soon)}"
        found.append(Finding(NAME, "warning", text, "Run manage.py issue_scim_token SOURCE and hand the token over."))
    return found


def _check_silence(live: list[ScimSource], now: datetime) -> list[Finding]:
    heard = set(JournalEntry.objects.filter(at__gt=now - SILENCE).values_list("source", flat=True).distinct())
    silent = [one.slug for one in live if one.pk not in heard and one.created_at < now - SILENCE]
    if not silent:
        return []
    text = f"not heard of for {SILENCE.days} days: {listed(silent)}"
    return [Finding(NAME, "warning", text, "Ask the source's owner whether it still provisions.")]


def _check_refusals(now: datetime) -> list[Finding]:
    refused = (
        JournalEntry.objects.filter(at__gt=now - timedelta(days=1), code__gt="")
        .exclude(code__in=("scim.not_found", "scim.precondition"))
        .values_list("source__slug", "code")
        .annotate(number=Count("pk"))
        .order_by("-number")
    )
    rows = [f"{slug}: {code} {number} times" for slug, code, number in refused[:NAMED_MAX]]
    if not rows:
        return []
    text = f"refused in the last day: {', '.join(rows)}"
    return [Finding(NAME, "warning", text, "Look at the journal in the console, by the code.")]


def _check_waiting(now: datetime) -> list[Finding]:
    waiting = PendingMember.objects.filter(created_at__lt=now - WAITS).values_list("source__slug")
    rows = [f"{slug} ({number})" for slug, number in waiting.annotate(number=Count("pk")).order_by("source__slug")]
    if not rows:
        return []
    text = f"members of groups who wait for a person for over {WAITS.days} days: {listed(rows)}"
    return [Finding(NAME, "warning", text, "Assign these people in the source, or take them out of the group there.")]
