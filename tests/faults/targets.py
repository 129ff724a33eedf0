"""A target of the product for an application of the suite's."""

from typing import Any

from django.utils import timezone

from broker.actors import SYSTEM
from broker.registry.models import Application, Organisation
from provisioning.inbound.models import ScimSource
from provisioning.inbound.tokens import issue_token
from provisioning.outbound.credentials import seal_credential
from provisioning.outbound.models import Target
from tests.fakes.scim_target.running import ScimTarget

MAPPING = {"userName": "user_name", "name.familyName": "family_name", "emails": "email", "title": "title"}


def make_target(slug: str, place: ScimTarget, *, application: Application, token: str, **fields: Any) -> Target:
    """Registered, everybody belongs there, nothing was probed yet."""
    fields = {
        "name": slug.upper(),
        "owner": "it@acme.example",
        "scope": {"everyone": True},
        "mapping": MAPPING,
        "breaker_count": 10**6,
        "breaker_share": 1.0,
    } | fields
    target = Target(slug=slug, application=application, base_url=place.base_url, created_at=timezone.now(), **fields)
    target.save()
    seal_credential(target, token)
    target.save()
    return target


def make_source(slug: str, *, organisation: Organisation, **fields: Any) -> str:
    """A source of people. Returns its bearer token."""
    fields = {"name": slug.upper(), "owner": "hr@acme.example", "organisation": organisation} | fields
    source = ScimSource.objects.create(slug=slug, created_at=timezone.now(), **fields)
    return issue_token(source, actor=SYSTEM)
