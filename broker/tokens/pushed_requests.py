"""Pushed authorization requests (RFC 9126): what a client sent us itself, kept until its browser brings the reference.

Only references that we gave are looked up; an address that a request names is never fetched.
"""

import json
import secrets
from collections.abc import Mapping
from datetime import datetime

from broker import crypto, limits
from broker.errors import BrokerError
from broker.registry.models import Client
from broker.tokens.models import PushedRequest

PREFIX = "urn:ietf:params:oauth:request_uri:"
PURPOSE = "pushed-request"
REFERENCE_BYTES = 32


def keep_pushed(parameters: Mapping[str, str], *, client: Client, now: datetime) -> str:
    """Keep an authorization request that was judged; returns the request_uri under which its browser may bring it."""
    reference = f"{PREFIX}{secrets.token_urlsafe(REFERENCE_BYTES)}"
    reference_hash = crypto.keyed_hash(reference, purpose=PURPOSE)
    PushedRequest.objects.create(
        reference_hash=reference_hash,
        client=client,
        parameters_sealed=crypto.seal(json.dumps(dict(parameters)).encode(), context=_context(reference_hash)),
        created_at=now,
        expires_at=now + limits.PUSHED_REQUEST_LIFETIME,
    )
    return reference


def take_pushed(
    raw_parameters: Mapping[str, list[str]], *, client: Client | None, now: datetime
) -> Mapping[str, list[str]] | None:
    """The parameters of the pushed request that an authorization request names, used up; None when it names none.

    What stands beside the reference counts for nothing (RFC 9126 section 4). Raises BrokerError (oauth.request_uri)
    when it is unknown, over, used or another client's: where an answer would go is not known then.
    """
    named = raw_parameters.get("request_uri", [])
    if len(named) != 1 or not named[0].startswith(PREFIX):
        return None
    hashes = crypto.keyed_hashes(named[0], purpose=PURPOSE)
    row = next(iter(PushedRequest.objects.filter(reference_hash__in=hashes)[:1]), None)
    if row is None or client is None or row.client_id != client.pk:
        raise BrokerError(
            "oauth.request_uri", expected="a request that this client pushed", actual="none" if row is None else "other"
        )
    if now >= row.expires_at:
        raise BrokerError("oauth.request_uri", expected=f"before {row.expires_at}", actual=now)
    # Only one of many can win this update, on every database.
    if not PushedRequest.objects.filter(pk=row.pk, used_at=None).update(used_at=now):
        raise BrokerError("oauth.request_uri", expected="a request that was not used before", actual="used")
    parameters = json.loads(crypto.unseal(row.parameters_sealed, context=_context(row.reference_hash)))
    return {name: [value] for name, value in parameters.items()}


def forget_pushed(*, now: datetime) -> int:
    """Delete what is over; it holds what was asked and nothing that happened. Returns how many."""
    deleted, _ = PushedRequest.objects.filter(expires_at__lt=now - limits.PUSHED_REQUEST_LIFETIME).delete()
    return deleted


def _context(reference_hash: str) -> str:
    return f"tokens.pushedrequest:{reference_hash}"
