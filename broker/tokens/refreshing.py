"""Refresh tokens as generations of one family: the next value follows from the one before it.

So a lost answer can be given again without two children ever living side by side (RFC 9700 section 4.14).
"""

import secrets
from datetime import datetime

from broker import crypto, limits
from broker.tokens.models import Grant, RefreshToken

PURPOSE = "refresh-token"
CHILD_PURPOSE = "refresh-token-child"
TOKEN_BYTES = 32


def first_refresh_token(grant: Grant, *, now: datetime) -> str:
    """A new family's first token: 256 random bits, stored as a keyed hash."""
    value = secrets.token_urlsafe(TOKEN_BYTES)
    _store(value, grant=grant, generation=0, now=now)
    return value


def next_refresh_token(parent: str, used: RefreshToken, *, now: datetime) -> str:
    """The child of `parent`, stored. `used` is the parent's row, claimed before."""
    value = child_of(parent)
    _store(value, grant=used.grant, generation=used.generation + 1, now=now)
    return value


def child_of(parent: str) -> str:
    """The value that follows from `parent` alone."""
    return crypto.derive_secret(parent, purpose=CHILD_PURPOSE)


def hashes_of(value: str) -> list[str]:
    """The hashes under which a presented token may be stored."""
    return crypto.keyed_hashes(value, purpose=PURPOSE)


def _store(value: str, *, grant: Grant, generation: int, now: datetime) -> None:
    RefreshToken.objects.create(
        token_hash=crypto.keyed_hash(value, purpose=PURPOSE),
        grant=grant,
        generation=generation,
        created_at=now,
        expires_at=min(now + limits.REFRESH_TOKEN_IDLE, grant.expires_at),
    )
