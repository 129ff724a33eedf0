"""What every view and every input of the API has in common."""

from collections.abc import Mapping
from typing import Any, ClassVar

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from broker.actors import Actor
from broker.api.authentication import attempt_of, caller_of
from broker.api.deprecation import Deprecated, note_use
from broker.api.preconditions import etag_of

READ, WRITE = "registry.read", "registry.write"


class View(APIView):
    """A view of the API. `scopes` says per method what a token must reach; a method without one is open to nobody."""

    scopes: ClassVar[Mapping[str, str]] = {}
    deprecated: ClassVar[Deprecated | None] = None

    @property
    def actor(self) -> Actor:
        """The client that calls, for the services."""
        return caller_of(self.request).actor

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        """Every answer tells what is left of the budget, echoes the caller's own request id, and is kept by nobody."""
        response = super().finalize_response(request, response, *args, **kwargs)
        attempt = attempt_of(request)
        for name, value in attempt.left.headers().items() if attempt and attempt.left else ():
            response[name] = value
        response.setdefault("Cache-Control", "no-store")
        if self.deprecated is not None:
            for name, value in self.deprecated.headers().items():
                response[name] = value
            if request.auth is not None:
                note_use(self.deprecated, caller_of(request).client.client_id)
        return response

    def one(self, representation: Mapping[str, Any], *, status: int = 200) -> Response:
        """One thing with its ETag."""
        return Response(dict(representation), status=status, headers={"ETag": etag_of(representation)})


class Input(serializers.Serializer[Any]):
    """What a caller sends. A member that is not known is an error: a typo must not pass for a default."""

    def to_internal_value(self, data: Any) -> Any:
        """Raises serializers.ValidationError."""
        if isinstance(data, Mapping):
            unknown = sorted(str(name)[:100] for name in data if name not in self.fields)
            read_only = sorted(name for name in data if name in self.fields and self.fields[name].read_only)
            if unknown or read_only:
                faults = {name: ["There is no such member."] for name in unknown}
                raise serializers.ValidationError(faults | {name: ["It cannot be set."] for name in read_only})
        return super().to_internal_value(data)

    @classmethod
    def of(cls, request: Request, **options: Any) -> dict[str, Any]:
        """The validated members of a request's body. Raises serializers.ValidationError, Problem."""
        serializer = cls(data=request.data, **options)
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)
