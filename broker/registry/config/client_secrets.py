"""Secrets of clients in a file: compared, taken over, issued."""

from broker.actors import Actor
from broker.registry.config.base import Secret
from broker.registry.models import Client
from broker.registry.registering.clients import has_secret_authentication
from broker.registry.secrets import UnusableSecret, holds_secret, import_secret, issue_secret
from broker.registry.values import BadValue

SHOWN_BEFORE = "(the secret that is registered)"
SHOWN_AFTER = "(another secret)"


def secret_differs(client_id: str, secret: Secret) -> bool:
    """Whether `secret` is not a live secret of the client."""
    client = Client.objects.filter(client_id=client_id, retired_at=None).first()
    return client is None or not holds_secret(client, secret.value)


def give_secret(client: Client, secret: Secret | None, *, is_new: bool, actor: Actor) -> tuple[dict[str, str], str]:
    """Take over `secret`; a new client without one gets one of ours.

    Returns ({client_id: issued secret}, warning or ""). Raises BadValue.
    """
    if secret is not None:
        try:
            return {}, import_secret(client, secret.value, actor=actor)
        except UnusableSecret as error:
            raise BadValue(str(error)) from error
    if is_new and has_secret_authentication(client):
        return {client.client_id: issue_secret(client, actor=actor)}, ""
    return {}, ""
