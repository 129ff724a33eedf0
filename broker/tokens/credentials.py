"""What a client presents to prove who it is, and what is known of it once that was verified."""

from dataclasses import dataclass, field

from broker.client_certificate import ClientCertificate
from broker.registry.models import Client, CredentialKind


@dataclass(frozen=True, slots=True)
class Presented:
    """What a client presented, unverified. `methods` are the registered methods that it can stand for."""

    methods: tuple[Client.Authentication, ...]
    raw_client_id: str
    raw_proof: str = field(default="", repr=False)
    """The secret or the assertion."""
    certificate: ClientCertificate | None = None
    """That of the connection, where nothing else is presented."""


@dataclass(frozen=True, slots=True)
class VerifiedCredential:
    """By which credential a client proved who it is. `name` is no secret: a row, a kid, a thumbprint, a subject."""

    method: Client.Authentication
    kind: CredentialKind
    name: str
    certificate: ClientCertificate | None = None
    """That of the connection, when it was the proof."""
