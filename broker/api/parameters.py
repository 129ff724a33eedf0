"""Parameters and answers that many operations share, for the OpenAPI document."""

from collections.abc import Iterable
from typing import Any

from drf_spectacular.utils import OpenApiParameter, inline_serializer
from rest_framework import serializers

from broker import limits

IF_MATCH = OpenApiParameter(
    "If-Match", str, OpenApiParameter.HEADER, required=True, description="the ETag of what was read"
)
IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key", str, OpenApiParameter.HEADER, description="the request has its effect once under this key"
)


def page_parameters(filters: Iterable[str]) -> list[OpenApiParameter]:
    """The query of a list."""
    return [
        OpenApiParameter("limit", int, description=f"1 to {limits.API_PAGE}; {limits.API_PAGE_DEFAULT} if not named"),
        OpenApiParameter("cursor", str, description="what the page before gave as next_cursor"),
        *(OpenApiParameter(name, str, description="exactly this value") for name in filters),
    ]


def page_of(shown: type[serializers.Serializer[Any]]) -> Any:
    """A page of such things."""
    return inline_serializer(
        f"{shown.__name__.removesuffix('Shown')}Page",
        {"items": shown(many=True), "next_cursor": serializers.CharField(help_text="empty on the last page")},
    )
