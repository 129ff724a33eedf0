"""The client that a request names, and whether it is in use."""

from broker.registry.models import Client
from broker.registry.services import find_client
from broker.tokens.printable import is_printable

CLIENT_ID_CHARS = Client._meta.get_field("client_id").max_length or 0


def find_named_client(raw_client_id: str) -> Client | None:
    """The client under an id that came from outside, enabled or not; None when there is none.

    What cannot be an id never reaches the database: PostgreSQL does not take a NUL even in a question.
    """
    if not raw_client_id or len(raw_client_id) > CLIENT_ID_CHARS or not is_printable(raw_client_id):
        return None
    return find_client(raw_client_id)


def is_in_use(client: Client) -> bool:
    """Whether neither the client nor its application is switched off or retired; a service may belong to none."""
    application = client.application
    if not client.enabled or client.retired_at is not None:
        return False
    if application is None:
        return client.kind == Client.Kind.SERVICE
    return application.enabled and application.retired_at is None
