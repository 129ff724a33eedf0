"""Whose an account or a group at a target is, where it is found by its name."""

from uuid import UUID

from broker.directory.models import Person
from provisioning.outbound.connectors.base import RemoteUser, TargetError
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


def is_marked(external_id: str, ours: object, *, adoption: str) -> bool:
    """Whether what is there carries another externalId than `ours`, and the target does not let any be adopted.

    Such a mark is of another system that also writes there (RFC 7643 section 3.1).
    """
    return adoption != Target.Adoption.ANY and external_id not in ("", str(ours))


def check_unmarked(external_id: str, ours: object, *, adoption: str) -> None:
    """What carries this externalId may become ours. Raises TargetError (target.foreign)."""
    if is_marked(external_id, ours, adoption=adoption):
        raise TargetError("target.foreign", detail="it carries another externalId than ours")
