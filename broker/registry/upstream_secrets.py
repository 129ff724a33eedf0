"""The secrets by which we authenticate at OpenID providers: sealed, not hashed, since we have to present them."""

from uuid import UUID

from django.conf import settings

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
    newest = next(iter(settings.BROKER_MASTER_KEYS))
    sealed = IdentityProvider.objects.exclude(client_secret_sealed="")
    resealed = 0
    for row in sealed.exclude(client_secret_sealed__startswith=f"{newest}."):
        try:
            plain = crypto.unseal(row.client_secret_sealed, context=_context(row.pk))
        except crypto.UnsealError:
            continue
        unchanged = IdentityProvider.objects.filter(pk=row.pk, client_secret_sealed=row.client_secret_sealed)
        resealed += unchanged.update(client_secret_sealed=crypto.seal(plain, context=_context(row.pk)))
    if resealed:
        raise_version()
    return resealed


def _context(pk: UUID) -> str:
    """The place of a sealed secret: moved to another row, it does not open."""
    return f"registry.IdentityProvider.client_secret_sealed.{pk}"
