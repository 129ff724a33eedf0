"""grant_type=client_credentials (RFC 6749 section 4.4): a service asks in its own name, for one resource.

All its tokens for that resource are one family, so one revocation ends them. The family's row is remembered like a
party: a warm request reads nothing and writes its event alone.
"""

import uuid
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction

from broker import limits
from broker.events import catalogue
from broker.registry.cache import parties
from broker.registry.models import Client, Flow, Resource
from broker.tokens.attempts import Attempt
from broker.tokens.errors import InvalidTarget
from broker.tokens.grants.base import Proposal, Taken
from broker.tokens.models import Grant
from broker.tokens.requests import TokenRequest

NAME = "client_credentials"
KINDS = frozenset({Client.Kind.SERVICE})
CONSUMES = False


def propose(
    request: TokenRequest, *, client: Client, resource: Resource | None, attempt: Attempt, now: datetime
) -> Proposal:
    """See GrantType. Raises InvalidTarget when no resource is named and the client's flows do not tell which."""
    if resource is None:
        resource = _only_resource(client)
        attempt.trace.note("No resource was named; the client has flows for one alone.", detail=resource.identifier)
    audience = resource
    return Proposal(
        grant_type=NAME,
        subject=client,
        scopes=request.scopes(),
        ceiling=None,
        resource=audience,
        event=catalogue.TOKEN_ISSUED,
        take=lambda _: Taken(_family(client, audience, now=now)),
    )


def _only_resource(client: Client) -> Resource:
    """The one resource for which the client has a flow: most integrations have one, and name none."""
    approved = Resource.objects.filter(flows__client=client, flows__grant=NAME, flows__state=Flow.State.APPROVED)
    resources = parties.get(("service_resources", client.pk), lambda: tuple(approved.order_by("pk")[:2]))
    if len(resources) != 1:
        count = "several" if resources else "none"
        raise InvalidTarget("unnamed", expected="resource, or a flow for exactly one", actual=count)
    return resources[0]


def _family(client: Client, resource: Resource, *, now: datetime) -> Grant:
    # The day is part of the key, so that the family's end is looked at once a day.
    key = ("service_grant", client.pk, resource.pk, now.date())
    return parties.get(key, lambda: _find_or_open(client, resource, now=now))


def _find_or_open(client: Client, resource: Resource, *, now: datetime) -> Grant:
    """The living family of the client's own tokens for the resource, opened where there is none."""
    family = Grant.objects.filter(client=client, resource=resource, grant_type=NAME, revoked_at=None)
    ends_at = now + limits.SERVICE_GRANT_LIFETIME
    for grant in family.order_by()[:1]:
        if grant.expires_at < now + limits.SERVICE_GRANT_LIFETIME - timedelta(days=7):
            grant.expires_at = ends_at
            family.filter(pk=grant.pk).update(expires_at=ends_at)
        return grant
    try:
        with transaction.atomic():
            return Grant.objects.create(
                id=uuid.uuid4(),
                client=client,
                resource=resource,
                subject_client=client,
                grant_type=NAME,
                created_at=now,
                expires_at=ends_at,
            )
    except IntegrityError:
        # Another process opened it at the same moment.
        return family.order_by().get()
