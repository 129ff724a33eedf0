"""The process-wide memory of our keys: rows read again every few seconds, private keys opened once."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Literal, cast
from uuid import UUID

from cryptography.hazmat.primitives.serialization import load_der_private_key, load_pem_public_key
from django.db import InterfaceError, OperationalError, connection

from broker import crypto, limits
from broker.keys import jose
from broker.keys.models import SigningKey
from broker.keys.values import PrivateKey, PublicKey, SigningMaterial, VerificationKey


class KeySides:
    """Both sides of one key, each opened when it is first needed: checking an RSA key takes tens of milliseconds."""

    def __init__(self, row: SigningKey) -> None:
        self._row = row

    @cached_property
    def private_key(self) -> PrivateKey:
        """Raises broker.crypto.UnsealError when the master key is gone."""
        sealed = self._row.private_key_sealed
        return cast(PrivateKey, load_der_private_key(crypto.unseal(sealed, context=seal_context(self._row.pk)), None))

    @cached_property
    def signing(self) -> SigningMaterial:
        return jose.signing_material(self.private_key, kid=self._row.kid, algorithm=self._row.algorithm)

    @cached_property
    def verification(self) -> VerificationKey:
        public_key = cast(PublicKey, load_pem_public_key(self._row.public_key.encode()))
        use: Literal["sig", "enc"] = "enc" if self._row.use == SigningKey.Use.SAML_ENCRYPTION else "sig"
        return jose.verification_key(public_key, kid=self._row.kid, algorithm=self._row.algorithm, use=use)


@dataclass(frozen=True, slots=True)
class RingKey:
    """A row as it was read last, with its sides, which outlive the reading."""

    row: SigningKey
    sides: KeySides

    def is_published(self, now: datetime) -> bool:
        """Whether others may still meet this key."""
        return self.row.gone_at is None or self.row.gone_at > now


class KeyRing:
    """All keys that there ever were, newest first. An empty ring is read again at each use."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: tuple[RingKey, ...] = ()
        self._sides: dict[UUID, KeySides] = {}
        self._read_at = float("-inf")

    def all(self) -> tuple[RingKey, ...]:
        """The keys, at most `limits.KEY_POLL_INTERVAL` old; as they were read last while the database is away."""
        now = self._clock()
        if self._keys and now - self._read_at < limits.KEY_POLL_INTERVAL.total_seconds():
            return self._keys
        try:
            rows = list(SigningKey.objects.order_by("-created_at", "pk"))
        except (InterfaceError, OperationalError):
            if not self._keys or connection.in_atomic_block:
                raise
            self._read_at = now
            return self._keys
        with self._lock:
            self._sides = {row.pk: self._sides.get(row.pk) or KeySides(row) for row in rows}
            self._keys = tuple(RingKey(row, self._sides[row.pk]) for row in rows)
            self._read_at = now
            return self._keys

    def forget(self) -> None:
        """Read the rows again at the next use."""
        with self._lock:
            self._keys = ()


ring = KeyRing()


def seal_context(pk: UUID) -> str:
    """The place of a sealed private key: moved to another row, it does not open."""
    return f"keys.SigningKey.private_key_sealed.{pk}"
