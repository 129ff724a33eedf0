"""By which ways an application can be told that a person's session ended: found from what took part in it.

Never from tokens that still live: an application that holds none has a session of its own all the same.
"""

from dataclasses import dataclass

from broker.errors import BrokerError
from broker.registry.models import ServiceProvider
from broker.sessions.models import Participant
from federation.downstream.registrations import registered_metadata

OIDC = "logout.oidc"
SAML = "logout.saml"


@dataclass(frozen=True, slots=True)
class Way:
    """A kind of delivery, and the lane of the ledger that leads to the application."""

    kind: str
    lane: str


def ways_of(participant: Participant) -> list[Way]:
    """The ways to the faces by which the application signed the person on; none: it cannot be told.

    `participant` comes with its client, its application and that one's service provider.
    """
    ways = []
    if participant.client is not None and oidc_address(participant):
        ways.append(Way(OIDC, f"client:{participant.client.client_id}"))
    if saml_address(participant):
        ways.append(Way(SAML, f"service-provider:{participant.application.slug}"))
    return ways


def oidc_address(participant: Participant) -> str:
    """Where its client takes logout tokens; empty where it does not, or is not registered any more.

    A client that is switched off is told: its sessions are the ones that should end.
    """
    client = participant.client
    if client is None or client.retired_at is not None:
        return ""
    return str(client.backchannel_logout_uri)


def saml_address(participant: Participant) -> str:
    """Where it takes a LogoutRequest by SOAP; empty where it does not, or did not sign the person on over SAML."""
    face = face_of(participant)
    if face is None or participant.application.retired_at is not None:
        return ""
    try:
        return registered_metadata(face).soap_logout_url
    except BrokerError:
        # Metadata that cannot be read any more names no address; the doctor and the next sign-on say so.
        return ""


def face_of(participant: Participant) -> ServiceProvider | None:
    """The service provider that took part, if it was one."""
    spoke_saml = participant.client_id is None or bool(participant.name_id)
    return getattr(participant.application, "service_provider", None) if spoke_saml else None
