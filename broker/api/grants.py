"""/grants: what was given to whom, and taking it back."""

import uuid
from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from broker.api.base import Shown, View
from broker.api.paging import Order, answer_page
from broker.api.parameters import page_of, page_parameters
from broker.tokens.models import Grant
from broker.tokens.services import revoke_grant

READ_GRANTS, REVOKE_GRANTS = "grants.read", "grants.revoke"
FILTERS = {"client": "client__client_id", "person": "person", "grant_type": "grant_type"}


class GrantShown(Shown):
    """One family of tokens. No token, and nothing of a person but the id, is in it."""

    id = serializers.UUIDField()
    client = serializers.CharField(help_text="client_id")
    grant_type = serializers.CharField()
    resource = serializers.CharField(allow_blank=True, help_text="identifier; empty: the userinfo endpoint")
    person = serializers.CharField(allow_blank=True, help_text="id of the person, where the subject is one")
    scopes = serializers.ListField(child=serializers.CharField())
    actors = serializers.ListField(child=serializers.CharField(), help_text="client_ids, the present one first")
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    revoked_at = serializers.DateTimeField(allow_null=True)
    revoke_reason = serializers.CharField(allow_blank=True)


def show_grant(grant: Grant) -> dict[str, Any]:
    """A grant as a caller sees it."""
    own = ("id", "grant_type", "scopes", "created_at", "expires_at", "revoked_at", "revoke_reason")
    return {name: getattr(grant, name) for name in own} | {
        "client": grant.client.client_id,
        "resource": grant.resource.identifier if grant.resource else "",
        "person": str(grant.person_id or ""),
        "actors": [actor.get("client_id") or actor["sub"] for actor in grant.actors],
    }


class Grants(View):
    """What was given."""

    scopes = {"GET": READ_GRANTS}
    filters = FILTERS

    @extend_schema(parameters=page_parameters(FILTERS), responses=page_of(GrantShown))
    def get(self, request: Request) -> Response:
        """List grants, the newest first."""
        return answer_page(
            Grant.objects.select_related("client", "resource"),
            request,
            order=Order(("created_at", "id"), descending=True),
            filters=FILTERS,
            represent=show_grant,
        )


class OneGrant(View):
    """One grant."""

    scopes = {"GET": READ_GRANTS, "DELETE": REVOKE_GRANTS}

    @extend_schema(responses=GrantShown)
    def get(self, request: Request, grant_id: uuid.UUID) -> Response:  # noqa: ARG002 - DRF's signature
        """Show a grant."""
        return self.one(show_grant(_find(grant_id)))

    @extend_schema(responses={204: None})
    def delete(self, request: Request, grant_id: uuid.UUID) -> Response:  # noqa: ARG002 - DRF's signature
        """Revoke a grant with everything that came of it. Revoking a revoked one changes nothing."""
        revoke_grant(_find(grant_id).pk, reason="management API", actor=self.actor)
        return Response(status=204)


def _find(grant_id: uuid.UUID) -> Grant:
    return get_object_or_404(Grant.objects.select_related("client", "resource"), pk=grant_id)
