"""A SAML application as it is registered: its metadata, and what follows from it and from the operators' settings."""

from broker.registry.cache import parties
from broker.registry.models import ServiceProvider
from federation.saml.encrypting import Recipient, choose_recipient
from federation.saml.metadata import ServiceProviderMetadata, read_registered_service_provider
from federation.saml.request_refusals import refused_as_request


def must_be_signed(face: ServiceProvider, metadata: ServiceProviderMetadata) -> bool:
    """Whether requests of this application have to be signed: as it declared, unless an operator decided."""
    if face.require_signed_requests == ServiceProvider.RequireSigned.AUTO:
        return metadata.authn_requests_signed
    return face.require_signed_requests == ServiceProvider.RequireSigned.ALWAYS


def recipient_of(face: ServiceProvider, metadata: ServiceProviderMetadata) -> Recipient | None:
    """To whom the assertion is encrypted; None: it is not. Raises saml_idp.encryption."""
    if face.encrypt == ServiceProvider.Encrypt.NEVER:
        return None
    if face.encrypt == ServiceProvider.Encrypt.AUTO and not metadata.encryption_keys:
        return None
    return choose_recipient(metadata.encryption_keys)


def registered_metadata(face: ServiceProvider) -> ServiceProviderMetadata:
    """The application's metadata, read once per change. Raises saml_idp.metadata."""

    def load() -> ServiceProviderMetadata:
        with refused_as_request():
            return read_registered_service_provider(face.metadata.encode())

    return parties.get(("service_provider_metadata", face.pk), load)
