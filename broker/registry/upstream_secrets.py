"""The secrets by which we authenticate at OpenID providers: sealed, not hashed, since we have to present them."""

from uuid import UUID

from broker import crypto, limits
from broker.errors import BrokerError
from broker.registry.cache import raise_version
from broker.registry.models import IdentityProvider
from broker.registry.values import BadValue

SHOWN_BEFORE = "(the secret that is registered)"
SHOWN_AFTER = "(another secret)"


def seal_upstream_secret(identity_provider: IdentityProvider, value: str) -> bool:
    """Set the provider's secret on the row, unsaved. Returns whether it is another than before. Raises BadValue."""
    if not limits.CLIENT_SECRET_CHARS_MIN <= len(value) <= limits.CLIENT_SECRET_CHARS_MAX:
        raise BadValue(
            f"a client secret has {limits.CLIENT_SECRET_CHARS_MIN} to {limits.CLIENT_SECRET_CHARS_MAX} characters"
        )
    if holds_upstream_secret(identity_provider, value):
        return False
    identity_provider.client_secret_sealed = crypto.seal(value.encode(), context=_context(identity_provider.pk))
    return True


def holds_upstream_secret(identity_provider: IdentityProvider, value: str) -> bool:
    """Whether `value` is the secret that is registered: for those who manage secrets."""
    if not identity_provider.client_secret_sealed:
        return False
    try:
        return upstream_secret(identity_provider) == value
    except BrokerError:
        return False  # it does not open any more: whatever is given now replaces it


def upstream_secret(identity_provider: IdentityProvider) -> str:
    """The secret to present. Raises BrokerError("oidc.not_registered") when there is none that opens."""
    try:
        return crypto.unseal(identity_provider.client_secret_sealed, context=_context(identity_provider.pk)).decode()
    except crypto.UnsealError as error:
        raise BrokerError(
            "oidc.not_registered", detail=f"the secret of {identity_provider.slug} is missing or does not open"
        ) from error


def reseal_upstream_secrets() -> int:
    """Let go of older master keys. Returns how many secrets were sealed anew; one that does not open is left."""
    rows = IdentityProvider.objects.all()
    resealed = crypto.reseal(rows, "client_secret_sealed", context=lambda row: _context(row.pk))
    if resealed:
        raise_version()
    return resealed


def _context(pk: UUID) -> str:
    """The place of a sealed secret: moved to another row, it does not open."""
    return f"registry.IdentityProvider.client_secret_sealed.{pk}"
