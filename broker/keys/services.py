"""Our keys: which one signs now, what we publish, and the life announced, active, retired, gone."""

import base64
import hashlib
import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from broker import crypto, limits
from broker.actors import Actor
from broker.errors import BrokerError
from broker.events.catalogue import KEY_ACTIVATED, KEY_CREATED, KEY_ERASED, KEY_RETIRED
from broker.events.services import record
from broker.keys import jose
from broker.keys.certificates import self_signed
from broker.keys.models import SigningKey
from broker.keys.ring import RingKey, ring, seal_context
from broker.keys.values import Envelope, PrivateKey, SigningMaterial, VerificationKey

Use, Algorithm, State = SigningKey.Use, SigningKey.Algorithm, SigningKey.State
NEEDED: tuple[tuple[SigningKey.Use, SigningKey.Algorithm], ...] = (
    (Use.TOKEN, Algorithm.RS256),
    (Use.TOKEN, Algorithm.ES256),
    (Use.SAML_SIGNING, Algorithm.RS256),
    (Use.SAML_ENCRYPTION, Algorithm.RS256),
)
"""The keys without which the house does not work."""
RSA_BITS = 2048
EVENT_HEAD_TYPE = "countersign-event-head"
EVENT_HEAD_BYTES = 1024


@dataclass(frozen=True, slots=True)
class SamlCredential:
    """The private key that signs our SAML messages, and its certificate in DER."""

    private_key: RSAPrivateKey = field(repr=False)
    certificate: bytes


# --- Reading --------------------------------------------------------------------------------------------------------
def signing_key(use: SigningKey.Use, *, algorithm: SigningKey.Algorithm) -> SigningMaterial:
    """The key that signs now. Raises BrokerError (service.unavailable) when there is none, or it does not open."""
    return _opened(_active(use, algorithm))


def public_keys(use: SigningKey.Use) -> tuple[VerificationKey, ...]:
    """What others may verify with: announced, active, and retired keys that are not gone; newest first."""
    return tuple(key.sides.verification for key in _published(use))


def every_public_key(use: SigningKey.Use) -> tuple[VerificationKey, ...]:
    """All keys that we ever had, gone ones too: for reading back what we ourselves signed long ago, newest first.

    For seals of the event book and id_token_hints, never for what opens a door now.
    """
    return tuple(key.sides.verification for key in ring.all() if key.row.use == use)


def jwks() -> dict[str, Any]:
    """The JWK set of our token keys (RFC 7517 section 5).

    Raises BrokerError (service.unavailable) when there is none: an empty set would be kept for as long as a full one.
    """
    keys = [jose.public_jwk(key) for key in public_keys(Use.TOKEN)]
    if not keys:
        raise BrokerError("service.unavailable", detail="no token key is published")
    return {"keys": keys}


def saml_signing() -> SamlCredential:
    """What signs our SAML messages now. Raises BrokerError (service.unavailable)."""
    key = _active(Use.SAML_SIGNING, Algorithm.RS256)
    return SamlCredential(cast(RSAPrivateKey, _opened(key).private_key), _certificate(key))


def saml_signing_certificates() -> tuple[bytes, ...]:
    """DER of the certificates that our metadata names for signing: the active one, then the announced ones."""
    published = [key for key in _published(Use.SAML_SIGNING) if key.row.state != State.RETIRED]
    return tuple(_certificate(key) for key in sorted(published, key=lambda key: key.row.state != State.ACTIVE))


def saml_encryption_certificate() -> bytes:
    """DER of the certificate to which others encrypt. Raises BrokerError (service.unavailable)."""
    return _certificate(_active(Use.SAML_ENCRYPTION, Algorithm.RS256))


def saml_decryption_keys() -> tuple[RSAPrivateKey, ...]:
    """Every private key to which somebody may still encrypt, newest first. Raises BrokerError (service.unavailable)."""
    return tuple(cast(RSAPrivateKey, _opened(key).private_key) for key in _published(Use.SAML_ENCRYPTION))


def sign_event_head(digest: str) -> str:
    """Sign the head of the event book (hex): a compact JWS whose type is no token's."""
    key = signing_key(Use.TOKEN, algorithm=Algorithm.ES256)
    return jose.sign(json.dumps({"head": digest}).encode(), key=key, typ=EVENT_HEAD_TYPE)


def verify_event_head(digest: str, signature: str) -> None:
    """Whether `signature` is ours over `digest`, by any key that we ever had: seals outlive keys.

    Raises BrokerError (jwt.*).
    """
    keys = every_public_key(Use.TOKEN)
    envelope = Envelope(keys=keys, types=frozenset({EVENT_HEAD_TYPE}), max_bytes=EVENT_HEAD_BYTES)
    if jose.verify_bytes(signature, envelope) != json.dumps({"head": digest}).encode():
        raise BrokerError("jwt.claim", detail="the signature is over another head", expected=digest)


# --- Life -----------------------------------------------------------------------------------------------------------
def ensure_keys(actor: Actor) -> list[SigningKey]:
    """Make the first key of each needed kind, active at once: nobody can have met an earlier one.

    Returns what was made; a second call makes nothing, nor does a second process at the same moment.
    """
    now = timezone.now()
    made = []
    for use, algorithm in NEEDED:
        if not SigningKey.objects.filter(use=use, algorithm=algorithm).exists():
            try:
                made.append(_create(use, algorithm, state=State.ACTIVE, activates_at=now, now=now, actor=actor))
            except IntegrityError:
                continue
    _forget_ring()
    return made


def announce_key(use: SigningKey.Use, *, algorithm: SigningKey.Algorithm, now: datetime, actor: Actor) -> SigningKey:
    """Publish the successor of the active key; `rotate` lets it sign after `limits.KEY_ANNOUNCE`.

    A successor that is announced already is returned as it is.
    """
    announced = SigningKey.objects.filter(use=use, algorithm=algorithm, state=State.ANNOUNCED)
    found = announced.first()
    if found is None:
        try:
            activates_at = now + limits.KEY_ANNOUNCE
            found = _create(use, algorithm, state=State.ANNOUNCED, activates_at=activates_at, now=now, actor=actor)
        except IntegrityError:
            found = announced.get()
    _forget_ring()
    return found


def rotate(*, now: datetime, actor: Actor) -> list[SigningKey]:
    """Move every key on: announced ones whose time has come sign, their predecessors retire, old private sides go.

    Private sides under an older master key are sealed again under the newest. Returns the keys that began to sign.
    Safe to run twice at once: each step is a conditional update.
    """
    activated = []
    due = SigningKey.objects.filter(state=State.ANNOUNCED, activates_at__lte=now)
    for successor in due.order_by("activates_at"):
        with transaction.atomic():
            active = SigningKey.objects.filter(use=successor.use, algorithm=successor.algorithm, state=State.ACTIVE)
            # Another process may have activated the successor since: it is not its own predecessor.
            for predecessor in active.exclude(pk=successor.pk):
                _retire(predecessor, now=now, actor=actor)
            if SigningKey.objects.filter(pk=successor.pk, state=State.ANNOUNCED).update(state=State.ACTIVE):
                record(KEY_ACTIVATED, actor=actor, subject=("key", successor.kid), use=successor.use)
                activated.append(successor)
    _erase(now=now, actor=actor)
    _reseal()
    _forget_ring()
    return activated


def _create(
    use: SigningKey.Use,
    algorithm: SigningKey.Algorithm,
    *,
    state: SigningKey.State,
    activates_at: datetime,
    now: datetime,
    actor: Actor,
) -> SigningKey:
    """Raises IntegrityError when the place (use, algorithm, state) was taken meanwhile."""
    private_key = generate_private_key(algorithm)
    public_key = private_key.public_key()
    der = private_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    spki = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    row = SigningKey(
        kid=base64.urlsafe_b64encode(hashlib.sha256(spki).digest()).rstrip(b"=").decode(),
        use=use,
        algorithm=algorithm,
        state=state,
        public_key=public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
        created_at=now,
        activates_at=activates_at,
    )
    row.private_key_sealed = crypto.seal(der, context=seal_context(row.pk))
    if use != Use.TOKEN:
        row.certificate = base64.b64encode(self_signed(private_key, now=now)).decode()
    with transaction.atomic():
        row.save(force_insert=True)
        record(KEY_CREATED, actor=actor, subject=("key", row.kid), use=use, algorithm=algorithm, state=state)
    return row


def generate_private_key(algorithm: SigningKey.Algorithm) -> PrivateKey:
    """A fresh private key for `algorithm`."""
    if algorithm == Algorithm.ES256:
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)


def _retire(key: SigningKey, *, now: datetime, actor: Actor) -> None:
    """Stop using a key; it stays published until whatever it signed has ended."""
    published_for = limits.KEY_RETIRE_ENCRYPTION if key.use == Use.SAML_ENCRYPTION else limits.KEY_RETIRE
    changed = SigningKey.objects.filter(pk=key.pk, state=State.ACTIVE).update(
        state=State.RETIRED, retired_at=now, gone_at=now + published_for
    )
    if changed:
        record(KEY_RETIRED, actor=actor, subject=("key", key.kid), use=key.use)


def _erase(*, now: datetime, actor: Actor) -> None:
    """A gone key keeps its public side for ever, for old seals; its private side is of use to thieves only."""
    for key in SigningKey.objects.filter(state=State.RETIRED, gone_at__lte=now).exclude(private_key_sealed=""):
        with transaction.atomic():
            if SigningKey.objects.filter(pk=key.pk).exclude(private_key_sealed="").update(private_key_sealed=""):
                record(KEY_ERASED, actor=actor, subject=("key", key.kid), use=key.use)


def _reseal() -> None:
    """Let go of older master keys. A key that does not open is left for the health check to name."""
    newest = next(iter(settings.BROKER_MASTER_KEYS))
    for key in SigningKey.objects.exclude(private_key_sealed="").exclude(private_key_sealed__startswith=f"{newest}."):
        context = seal_context(key.pk)
        try:
            sealed = crypto.seal(crypto.unseal(key.private_key_sealed, context=context), context=context)
        except crypto.UnsealError:
            continue
        unchanged = SigningKey.objects.filter(pk=key.pk, private_key_sealed=key.private_key_sealed)
        unchanged.update(private_key_sealed=sealed)


def _forget_ring() -> None:
    """Now for this transaction, and after its commit for the threads that read the ring meanwhile."""
    ring.forget()
    transaction.on_commit(ring.forget)


def _published(use: SigningKey.Use) -> list[RingKey]:
    now = timezone.now()
    return [key for key in ring.all() if key.row.use == use and key.is_published(now)]


def _active(use: SigningKey.Use, algorithm: SigningKey.Algorithm) -> RingKey:
    for key in ring.all():
        if key.row.use == use and key.row.algorithm == algorithm and key.row.state == State.ACTIVE:
            return key
    raise BrokerError("service.unavailable", detail=f"no active key for {use} {algorithm}")


def _opened(key: RingKey) -> SigningMaterial:
    try:
        return key.sides.signing
    except crypto.UnsealError as error:
        raise BrokerError("service.unavailable", detail=f"the private key {key.row.kid} does not open") from error


def _certificate(key: RingKey) -> bytes:
    return base64.b64decode(key.row.certificate)
