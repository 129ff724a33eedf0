"""What every view, every input and every thing shown of the API has in common."""

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from django.http import Http404
from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from broker import limits
from broker.actors import Actor, ActorKind
from broker.api.authentication import attempt_of, caller_of
from broker.api.deprecation import Deprecated, note_use
from broker.api.paging import PAGE_PARAMETERS, read_parameters
from broker.api.preconditions import etag_of
from broker.tokens.dpop import NONCE_HEADER, fresh_nonce, read_proof

READ, WRITE = "registry.read", "registry.write"
REQUEST_ID_HEADER = "X-Request-ID"
_REQUEST_ID = re.compile(rf"[\x21-\x7e]{{1,{limits.ACCESS_REQUEST_ID_CHARS}}}")


class View(APIView):
    """A view of the API. `scopes` says per method what a token must reach; a method without one is not taken."""

    scopes: ClassVar[Mapping[str, str]] = {}
    filters: ClassVar[Mapping[str, str] | None] = None
    """Of a list: {parameter: column}. None: what is read here is one thing, and takes no parameters."""
    deprecated: ClassVar[Deprecated | None] = None

    @property
    def actor(self) -> Actor:
        """The client that calls, for the services."""
        return caller_of(self.request).actor

    @property
    def allowed_methods(self) -> list[str]:
        """For Allow."""
        return [*self.scopes, *(["HEAD"] if "GET" in self.scopes else [])]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Also refuse a path that nothing can be called by, and parameters that nobody reads. Raises Problem."""
        super().initial(request, *args, **kwargs)
        if "\x00" in request.path:
            raise Http404
        is_list = self.filters is not None and request.method in ("GET", "HEAD")
        read_parameters(request, (*(self.filters or ()), *PAGE_PARAMETERS) if is_list else ())

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        """Every answer tells what is left of the budget, echoes the caller's own request id, and is kept by nobody."""
        response = super().finalize_response(request, response, *args, **kwargs)
        response.setdefault("Cache-Control", "no-store")
        for name, value in self._told(request).items():
            response[name] = value
        if self.deprecated is not None:
            self._tell_end(self.deprecated, request, response)
        return response

    def one(self, representation: Mapping[str, Any], *, status: int = 200) -> Response:
        """One thing with its ETag."""
        return Response(dict(representation), status=status, headers={"ETag": etag_of(representation)})

    def _tell_end(self, deprecated: Deprecated, request: Request, response: Response) -> None:
        for name, value in deprecated.headers().items():
            response[name] = f"{response[name]}, {value}" if name == "Link" and "Link" in response else value
        attempt = attempt_of(request)
        if attempt is not None and attempt.actor.kind is ActorKind.CLIENT:
            note_use(deprecated, attempt.actor.identifier)

    def _told(self, request: Request) -> dict[str, str]:
        attempt = attempt_of(request)
        told = attempt.left.headers() if attempt and attempt.left else {}
        request_id = request.headers.get(REQUEST_ID_HEADER, "")
        if _REQUEST_ID.fullmatch(request_id):
            told[REQUEST_ID_HEADER] = request_id
        if read_proof(request._request):
            # Whoever shows proofs always holds the next nonce (RFC 9449 section 8.2).
            told[NONCE_HEADER] = fresh_nonce(now=timezone.now())
        return told


class Shown(serializers.Serializer[Any]):
    """What is shown of something, for the document: every member is always there, but for the `optional` ones."""

    optional: ClassVar[tuple[str, ...]] = ()

    def get_fields(self) -> dict[str, Any]:
        fields = super().get_fields()
        for name, field in fields.items():
            field.required = name not in self.optional
        return fields


class Input(serializers.Serializer[Any]):
    """What a caller sends. A member that is not known is an error: a typo must not pass for a default."""

    def to_internal_value(self, data: Any) -> Any:
        """Raises serializers.ValidationError."""
        if isinstance(data, Mapping):
            unknown = sorted(str(name)[:100] for name in data if name not in self.fields)
            if unknown:
                raise serializers.ValidationError({name: ["There is no such member."] for name in unknown})
        return super().to_internal_value(data)

    @classmethod
    def of(cls, request: Request, **options: Any) -> dict[str, Any]:
        """The validated members of a request's body. Raises serializers.ValidationError, Problem."""
        serializer = cls(data=request.data, **options)
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)
