"""The keys of signatures: sealed, since we sign with them at each attempt (Standard Webhooks, "Signature scheme")."""

import base64
import os
from datetime import datetime

from broker import crypto
from broker.errors import BrokerError
from broker.notify.models import Subscription
from broker.registry.cache import raise_version

PREFIX = "whsec_"
SECRET_BYTES = 32


def make_secret() -> str:
    """A new secret, as the receiving end configures it."""
    return PREFIX + base64.b64encode(os.urandom(SECRET_BYTES)).decode()


def seal(subscription: Subscription, secret: str) -> str:
    """The secret for the column; it opens for this subscription alone."""
    return crypto.seal(secret.encode(), context=_context(subscription))


def secrets_of(subscription: Subscription, *, now: datetime) -> list[str]:
    """What signs now, the newest first. Raises BrokerError("webhook.secret") when one does not open."""
    sealed = [subscription.secret_sealed]
    if subscription.previous_secret_sealed and subscription.previous_until and now < subscription.previous_until:
        sealed.append(subscription.previous_secret_sealed)
    try:
        return [crypto.unseal(one, context=_context(subscription)).decode() for one in sealed]
    except crypto.UnsealError as error:
        raise BrokerError("webhook.secret", detail=subscription.slug) from error


def reseal_secrets() -> int:
    """Let go of older master keys. Returns how many secrets were sealed anew; one that does not open is left."""
    columns = ("secret_sealed", "previous_secret_sealed")
    resealed = sum(crypto.reseal(Subscription.objects.all(), column, context=_context) for column in columns)
    if resealed:
        raise_version()
    return resealed


def _context(subscription: Subscription) -> str:
    return f"notify.Subscription.secret.{subscription.slug}.{subscription.created_at.isoformat()}"
