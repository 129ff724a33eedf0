"""What the doctor looks at among our keys, beyond what /health/ready asks."""

import base64
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from broker.findings import Finding
from broker.keys.certificates import end_of
from broker.keys.models import SigningKey

CERTIFICATE_WARNING = timedelta(days=90)
"""How long before its end a certificate is spoken of: its successor has to reach every identity provider."""
ROTATION_DELAY_MAX = timedelta(hours=3)
"""The scheduler moves keys on every hour."""


def check_keys() -> list[Finding]:
    """Whether rotation runs, certificates last, and private keys are sealed under the newest master key."""
    now = timezone.now()
    keys = list(SigningKey.objects.all())
    return [_check_rotation(keys, now), _check_certificates(keys, now), _check_seals(keys)]


def _check_rotation(keys: list[SigningKey], now: datetime) -> Finding:
    name = "keys: rotation"
    overdue = [
        key.kid
        for key in keys
        if key.state == SigningKey.State.ANNOUNCED and key.activates_at + ROTATION_DELAY_MAX < now
    ]
    if overdue:
        remedy = "Start the worker with its scheduler, or run: manage.py rotate_keys"
        return Finding(name, "fault", f"announced keys wait past their time: {', '.join(overdue)}", remedy)
    return Finding(name, "ok", f"none of {len(keys)} keys waits past its time")


def _check_certificates(keys: list[SigningKey], now: datetime) -> Finding:
    name = "keys: certificates"
    used = [key for key in keys if key.certificate and key.state != SigningKey.State.RETIRED]
    ending = [key for key in used if end_of(base64.b64decode(key.certificate)) - now < CERTIFICATE_WARNING]
    if ending:
        kinds = ", ".join(f"{key.use}/{key.algorithm}" for key in ending)
        remedy = f"Run: manage.py rotate_keys --announce {ending[0].use}/{ending[0].algorithm}"
        return Finding(name, "warning", f"certificates end within {CERTIFICATE_WARNING.days} days: {kinds}", remedy)
    return Finding(name, "ok", f"{len(used)} certificates last longer than {CERTIFICATE_WARNING.days} days")


def _check_seals(keys: list[SigningKey]) -> Finding:
    name = "keys: sealed under"
    newest = next(iter(settings.BROKER_MASTER_KEYS))
    sealed = [key for key in keys if key.private_key_sealed]
    older = [key.kid for key in sealed if key.private_key_sealed.partition(".")[0] != newest]
    if older:
        remedy = "Run: manage.py rotate_keys; keep the older master key in BROKER_MASTER_KEYS until then"
        return Finding(name, "warning", f"{len(older)} private keys are sealed under an older master key", remedy)
    return Finding(name, "ok", f"{len(sealed)} private keys are sealed under the newest master key")
