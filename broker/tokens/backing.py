"""Who and what stands behind a token at this moment: people, parties, the flow that issued it."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Subquery

from broker.directory.models import Person
from broker.errors import BrokerError
from broker.registry.flows import FlowQuestion, still_permits
from broker.registry.models import Client, Flow, IdentityProvider, RegistryVersion, Resource
from broker.registry.services import identity_provider_of
from broker.tokens.errors import InvalidToken
from broker.tokens.models import Grant
from broker.tokens.standing import NoLongerStands, Standing, check_standing
from broker.traces.collector import Collector


@dataclass(frozen=True, slots=True, kw_only=True)
class Backing:
    """Who and what stands behind a token: an access token's client, or the refresh token's."""

    grant: Grant
    client: Client
    subject: Person | Client
    resource: Resource | None
    scopes: tuple[str, ...]
    now: datetime


def check_backing(backing: Backing, *, trace: Collector) -> IdentityProvider | None:
    """STANDING_CHECKS, and the flow register. Returns who vouched for the person. Raises InvalidToken.

    The grant comes with its person and session; parties come from a memory that follows the registry's version.
    """
    grant = backing.grant
    vouched = _who_vouched(grant)
    standing = Standing(
        client=backing.client,
        subject=backing.subject,
        session=grant.session,
        identity_provider=vouched,
        is_offline=grant.outlives_session,
        actors=tuple(grant.actors),
        lineage=tuple(grant.lineage),
        now=backing.now,
        given_at=grant.created_at,
    )
    try:
        check_standing(standing, trace=trace)
    except NoLongerStands as error:
        raise InvalidToken(str(error)) from error
    if backing.resource is not None:
        _check_flow(backing, backing.resource, trace=trace)
    return vouched


def _who_vouched(grant: Grant) -> IdentityProvider | None:
    if grant.session is not None:
        grant.session.identity_provider = identity_provider_of(grant.session.identity_provider_id)
        return grant.session.identity_provider
    return None if grant.identity_provider_id is None else identity_provider_of(grant.identity_provider_id)


def _check_flow(backing: Backing, resource: Resource, *, trace: Collector) -> None:
    """What issued the token still permits it: an ended flow ends the tokens that came of it."""
    is_person = isinstance(backing.subject, Person)
    question = FlowQuestion(
        client=backing.client,
        grant=backing.grant.grant_type,
        resource=resource,
        scopes=backing.scopes,
        subject_class=Flow.SubjectClass.PERSON if is_person else Flow.SubjectClass.CLIENT,
        now=backing.now,
        impersonation=backing.grant.impersonation,
    )
    try:
        still_permits(question, trace=trace)
    except BrokerError as error:
        raise InvalidToken(error.code, detail=error.detail, expected=error.expected, actual=error.actual) from error


def registry_version() -> Subquery:
    """For a question that goes on with `parties`: the version as of the moment of that question."""
    return Subquery(RegistryVersion.objects.filter(pk=1).values("number"))
