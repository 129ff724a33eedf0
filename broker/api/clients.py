"""/clients and /clients/<client_id>/secrets."""

from typing import Any

from django.db import transaction
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from broker.api.authentication import audience, caller_of
from broker.api.base import READ, WRITE, Input, Shown, View
from broker.api.idempotence import answer_once
from broker.api.paging import Order, answer_page
from broker.api.parameters import IDEMPOTENCY_KEY, IF_MATCH, page_of, page_parameters
from broker.api.preconditions import check_match
from broker.api.problems import Problem
from broker.registry.models import Application, Client, ClientSecret, Flow
from broker.registry.registering.changes import hold_registry
from broker.registry.registering.clients import change_client, create_client, retire_client
from broker.registry.secrets import end_secret, issue_secret

ORDER = Order(("client_id",))
FILTERS = {"kind": "kind", "owner": "owner", "application": "application__slug", "enforcement": "enforcement"}
STRICTNESS = (Client.Enforcement.OBSERVE, Client.Enforcement.WARN, Client.Enforcement.ENFORCE)
SETTABLE = (
    "owner",
    "enabled",
    "authentication",
    "jwks",
    "jwks_url",
    "workload",
    "dpop_bound_access_tokens",
    "tls_client_certificate_bound_access_tokens",
    "enforcement",
)


class ClientInput(Input):
    """What can be said of a client of an integration. Applications' sign-on clients are changed in the console."""

    client_id = serializers.CharField(max_length=200)
    application = serializers.SlugField(max_length=64, required=False, allow_blank=True, help_text="slug")
    owner = serializers.EmailField(required=False)
    enabled = serializers.BooleanField(required=False)
    authentication = serializers.ChoiceField(Client.Authentication.choices, required=False)
    jwks = serializers.DictField(required=False)
    jwks_url = serializers.URLField(max_length=1024, required=False, allow_blank=True)
    workload = serializers.DictField(child=serializers.CharField(max_length=1024), required=False)
    dpop_bound_access_tokens = serializers.BooleanField(required=False)
    tls_client_certificate_bound_access_tokens = serializers.BooleanField(required=False)
    enforcement = serializers.ChoiceField(Client.Enforcement.choices, required=False)


class ClientChange(ClientInput):
    """The same without its name, which stays."""

    client_id = None  # type: ignore[assignment]  # DRF's way to leave an inherited field out


class ClientShown(Shown, ClientInput):
    """A client as it is."""

    kind = serializers.ChoiceField(Client.Kind.choices)
    owner = serializers.EmailField(allow_blank=True)
    workload = serializers.DictField(help_text="issuer, subject, audience and what else stands of it")
    created_at = serializers.DateTimeField()


class SecretShown(Shown):
    """A secret's row; its value is shown once, when it is made."""

    id = serializers.IntegerField()
    scheme = serializers.ChoiceField(ClientSecret.Scheme.choices)
    created_at = serializers.DateTimeField()
    rotate_by = serializers.DateField(allow_null=True)
    expires_at = serializers.DateTimeField(allow_null=True)


class SecretMade(SecretShown):
    """A new secret, with its value."""

    optional = ("client_secret",)

    client_secret = serializers.CharField(required=False, help_text="only in the first answer, never in a repeated one")


class SecretInput(Input):
    """Nothing can be said of a new secret."""


def show_client(client: Client) -> dict[str, Any]:
    """A client as a caller sees it; no secret is in it."""
    shown: dict[str, Any] = {
        "client_id": client.client_id,
        "kind": client.kind,
        "application": client.application.slug if client.application else "",
        "created_at": client.created_at,
    }
    return shown | {name: getattr(client, name) for name in SETTABLE}


def show_secret(secret: ClientSecret) -> dict[str, Any]:
    """A secret's row as a caller sees it."""
    return {name: getattr(secret, name) for name in ("id", "scheme", "created_at", "rotate_by", "expires_at")}


class Clients(View):
    """The clients of integrations and of sign-on."""

    scopes = {"GET": READ, "POST": WRITE}
    filters = FILTERS

    @extend_schema(parameters=page_parameters(FILTERS), responses=page_of(ClientShown))
    def get(self, request: Request) -> Response:
        """List clients."""
        return answer_page(
            Client.objects.filter(retired_at=None).select_related("application"),
            request,
            order=ORDER,
            filters=FILTERS,
            represent=show_client,
        )

    @extend_schema(request=ClientInput, responses={201: ClientShown}, parameters=[IDEMPOTENCY_KEY])
    def post(self, request: Request) -> Response:
        """Register a client of an integration, without a secret yet."""

        def register() -> tuple[int, dict[str, Any], dict[str, Any]]:
            sent = ClientInput.of(request)
            hold_registry()
            check_not_lenient(sent, present=Client.Enforcement.ENFORCE)
            if Client.objects.filter(client_id=sent["client_id"], retired_at=None).exists():
                raise Problem("api.conflict", errors=(("/client_id", "There is a client of this name."),))
            client = create_client(sent.pop("client_id"), kind=Client.Kind.SERVICE, actor=self.actor, **_fields(sent))
            return 201, show_client(client), {}

        return answer_once(request, register, name="client_id")


class OneClient(View):
    """One client."""

    scopes = {"GET": READ, "PATCH": WRITE, "DELETE": WRITE}

    @extend_schema(responses=ClientShown)
    def get(self, request: Request, client_id: str) -> Response:  # noqa: ARG002 - DRF's signature
        """Show a client."""
        return self.one(show_client(_find(client_id)))

    @extend_schema(request=ClientChange, responses=ClientShown, parameters=[IF_MATCH])
    def patch(self, request: Request, client_id: str) -> Response:
        """Change what is sent, and nothing else."""
        with transaction.atomic():
            client = _hold(client_id)
            check_may_manage(client)
            check_match(request, show_client(client))
            sent = ClientChange.of(request)
            check_not_lenient(sent, present=client.enforcement)
            changed = change_client(client, actor=self.actor, **_fields(sent))
            return self.one(show_client(changed))

    @extend_schema(responses={204: None}, parameters=[IF_MATCH])
    def delete(self, request: Request, client_id: str) -> Response:
        """Retire a client: its tokens end at once, and the book keeps what it was."""
        with transaction.atomic():
            client = _hold(client_id)
            check_may_manage(client)
            check_match(request, show_client(client))
            retire_client(client, actor=self.actor)
        return Response(status=204)


class Secrets(View):
    """The secrets of one client."""

    scopes = {"GET": READ, "POST": WRITE}
    filters = {}

    @extend_schema(parameters=page_parameters(()), responses=page_of(SecretShown))
    def get(self, request: Request, client_id: str) -> Response:
        """List a client's secrets, the ended ones too. A value is never among them."""
        rows = ClientSecret.objects.filter(client=_find(client_id))
        return answer_page(rows, request, order=Order(("id",), descending=True), filters={}, represent=show_secret)

    @extend_schema(request=SecretInput, responses={201: SecretMade}, parameters=[IDEMPOTENCY_KEY])
    def post(self, request: Request, client_id: str) -> Response:
        """Issue a new secret beside the one in use. Its value is in this answer and nowhere else."""

        def issue() -> tuple[int, dict[str, Any], dict[str, Any]]:
            SecretInput.of(request)
            client = _hold(client_id)
            check_may_manage(client, caller=caller_of(request).client)
            value = issue_secret(client, actor=self.actor)
            made = ClientSecret.objects.filter(client=client).latest("pk")
            return 201, show_secret(made), {"client_secret": value}

        return answer_once(request, issue)


class OneSecret(View):
    """One secret of a client."""

    scopes = {"DELETE": WRITE}

    @extend_schema(responses={204: None})
    def delete(self, request: Request, client_id: str, secret_id: int) -> Response:
        """End a secret now. Ending an ended one changes nothing."""
        with transaction.atomic():
            client = _hold(client_id)
            check_may_manage(client, caller=caller_of(request).client)
            secret = get_object_or_404(ClientSecret, client=client, pk=secret_id)
            end_secret(secret, reason="management API", actor=self.actor)
        return Response(status=204)


def _find(client_id: str) -> Client:
    return get_object_or_404(Client.objects.select_related("application"), client_id=client_id, retired_at=None)


def _hold(client_id: str) -> Client:
    """The client of an integration, with the registry held until the transaction ends. Raises Http404, Problem."""
    hold_registry()
    client = _find(client_id)
    if client.kind != Client.Kind.SERVICE:
        raise Problem(
            "api.conflict", errors=(("", "A sign-on client is changed with its application, in the console."),)
        )
    return client


def check_may_manage(client: Client, *, caller: Client | None = None) -> None:
    """Who may call this API is the operators' business: no caller gives itself or another what a third one may do.

    `caller` may do it for itself. Raises Problem.
    """
    flows = Flow.objects.filter(client=client, resource__identifier=audience(), is_draft=False)
    if client != caller and flows.exclude(state=Flow.State.REFUSED).exists():
        raise Problem("api.operators_only", errors=(("", "This client may call this API."),))


def check_not_lenient(sent: dict[str, Any], *, present: str) -> None:
    """A lenient client gets tokens outside the flow register: only operators let it. Raises Problem."""
    wanted = sent.get("enforcement", present)
    if STRICTNESS.index(wanted) < STRICTNESS.index(present):
        raise Problem("api.operators_only", errors=(("/enforcement", f"It can be no laxer than {present}."),))


def _fields(sent: dict[str, Any]) -> Any:
    """The services' keywords. An application is named by its slug. Raises Problem."""
    if "application" not in sent:
        return sent
    slug = sent.pop("application")
    application = Application.objects.filter(slug=slug, retired_at=None).first() if slug else None
    if slug and application is None:
        raise Problem("api.invalid", errors=(("/application", "There is no such application."),))
    return sent | {"application": application}
