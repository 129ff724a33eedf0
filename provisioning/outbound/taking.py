"""Whose an account at a target is, where it is found by its name."""

from uuid import UUID

from broker.directory.models import Person
from provisioning.outbound.connectors.base import RemoteUser
from provisioning.outbound.models import RemoteAccount, Target


def is_taken(target: Target, there: RemoteUser, person_id: UUID) -> bool:
    """Whether it is another person's: by our own notes, or by the externalId that it carries."""
    others = RemoteAccount.objects.filter(target=target, remote_id=there.remote_id)
    if others.exclude(person_id=person_id).exists():
        return True
    try:
        named = UUID(there.external_id)
    except ValueError:
        return False
    return named != person_id and Person.objects.filter(pk=named).exists()
