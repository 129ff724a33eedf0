"""Sealed fields and keyed hashes, both with a key version so that keys can be rotated.

The master keys come from the settings (`BROKER_MASTER_KEYS`, newest first). From each a key per purpose is derived
by HKDF (RFC 5869), so that a hash of one purpose is worthless for another.
"""

import base64
import hmac
import os
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

NONCE_BYTES = 12


class UnsealError(Exception):
    """The sealed value is damaged, belongs to another place, or its key is gone."""


def seal(plaintext: bytes, *, context: str) -> str:
    """Encrypt with AES-256-GCM. `context` names the place (`model.field.pk`): a value moved elsewhere does not open.

    Returns `<key id>.<base64url of nonce and ciphertext>`.
    """
    key_id = _key_ids()[0]
    nonce = os.urandom(NONCE_BYTES)
    sealed = AESGCM(_derived(key_id, "seal")).encrypt(nonce, plaintext, context.encode())
    return f"{key_id}.{base64.urlsafe_b64encode(nonce + sealed).decode()}"


def unseal(sealed: str, *, context: str) -> bytes:
    """The plaintext of `seal`. Raises UnsealError."""
    key_id, _, body = sealed.partition(".")
    try:
        raw = base64.urlsafe_b64decode(body)
        return AESGCM(_derived(key_id, "seal")).decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], context.encode())
    except (InvalidTag, ValueError, KeyError) as error:
        raise UnsealError(context) from error


def reseal(rows: Any, column: str, *, context: Callable[[Any], str]) -> int:
    """Seal a column of these rows (a queryset) under the newest master key, where an older one sealed it.

    `context` gives a row's place. Returns how many were sealed anew; one that does not open, or that somebody changed
    at the same moment, is left.
    """
    resealed = 0
    for row in rows.exclude(**{column: ""}).exclude(**{f"{column}__startswith": f"{_key_ids()[0]}."}):
        sealed = getattr(row, column)
        try:
            plain = unseal(sealed, context=context(row))
        except UnsealError:
            continue
        unchanged = rows.filter(pk=row.pk, **{column: sealed})
        resealed += unchanged.update(**{column: seal(plain, context=context(row))})
    return resealed


def keyed_hash(value: str, *, purpose: str, key_id: str | None = None) -> str:
    """`<key id>:<hex of HMAC-SHA256>`, under the newest master key unless `key_id` names another."""
    key_id = key_id or _key_ids()[0]
    return f"{key_id}:{hmac.digest(_derived(key_id, purpose), value.encode(), 'sha256').hex()}"


def keyed_hashes(value: str, *, purpose: str) -> list[str]:
    """The hash under each live master key, newest first: for finding a row by a value that an older key hashed."""
    return [keyed_hash(value, purpose=purpose, key_id=key_id) for key_id in _key_ids()]


def derive_secret(parent: str, *, purpose: str) -> str:
    """A 256-bit secret that follows from `parent` alone (43 characters of base64url)."""
    digest = hmac.digest(_derived(_key_ids()[0], purpose), parent.encode(), "sha256")
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _key_ids() -> list[str]:
    return list(settings.BROKER_MASTER_KEYS)


@lru_cache(maxsize=256)
def _derive(master: bytes, purpose: str) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=f"countersign/{purpose}".encode()).derive(master)


def _derived(key_id: str, purpose: str) -> bytes:
    return _derive(settings.BROKER_MASTER_KEYS[key_id], purpose)
