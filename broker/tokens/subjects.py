"""How a client knows a person: `sub` (OpenID Connect Core 8)."""

from broker.directory.models import Person
from broker.registry.models import Client
from broker.tokens.models import PairwiseSubject


def subject_of(client: Client, person: Person) -> str:
    """The person's `sub` for this client: the person's UUID, or where it is pairwise one that no other client sees."""
    if client.subject_type == Client.SubjectType.PUBLIC:
        return str(person.pk)
    pairwise, _ = PairwiseSubject.objects.get_or_create(client=client, person=person)
    return str(pairwise.value)


def subject_name(client: Client, subject: Person | Client) -> str:
    """`sub` of a token of `client`: the person's as that client knows it, or a client's own id (RFC 9068 section 2.2).

    The two never meet: a person's is a UUID, and no client is registered under one.
    """
    return subject.client_id if isinstance(subject, Client) else subject_of(client, subject)
