"""A target of the product for an application of the suite's."""

from typing import Any

from django.utils import timezone

from broker.registry.models import Application
from provisioning.outbound.credentials import seal_credential
from provisioning.outbound.models import Target
from tests.fakes.scim_target.running import ScimTarget

MAPPING = {"userName": "user_name", "name.familyName": "family_name", "emails": "email", "title": "title"}
TOKEN = "the target's own token"


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
