"""Service clients with their flows, as many as wanted, and two resources: one whose tokens are RS256, one ES256.

Import it after Django is set up.
"""

import base64
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.utils import timezone

from broker import crypto
from broker.actors import SYSTEM
from broker.keys.services import ensure_keys
from broker.registry.cache import raise_version
from broker.registry.models import Client, ClientSecret, Flow, Resource
from broker.registry.secrets import PREFIX, PURPOSE, SECRET_BYTES

BATCH: dict[str, Any] = {"batch_size": 1_000}
ALGORITHMS = ("RS256", "ES256")
FORM = "application/x-www-form-urlencoded"
GUARDS = 32
"""So many clients may introspect the tokens of both resources."""


def identifier_of(algorithm: str) -> str:
    """The resource whose tokens are signed by it."""
    return f"https://api.example/{algorithm.lower()}"


def token_form(algorithm: str) -> str:
    """The body of a token request."""
    fields = {"grant_type": "client_credentials", "resource": identifier_of(algorithm), "scope": "orders.read"}
    return urlencode(fields)


@dataclass(frozen=True, slots=True)
class Services:
    """Clients by name, each with the same secret: whose it is changes nothing of the work."""

    names: list[str]
    secret: str

    @property
    def authorizations(self) -> list[str]:
        """Their Authorization headers."""
        return [f"Basic {base64.b64encode(f'{name}:{self.secret}'.encode()).decode()}" for name in self.names]


def make_services(count: int) -> Services:
    """Make our keys, the resources, and `count` clients, each with an approved flow to either resource.

    The first `GUARDS` of them may introspect.
    """
    ensure_keys(SYSTEM)
    now, secret = timezone.now(), f"{PREFIX}{secrets.token_urlsafe(SECRET_BYTES)}"
    resources = [
        Resource.objects.create(
            identifier=identifier_of(algorithm),
            scopes={"orders.read": "Read orders", "orders.write": "Change orders"},
            token_algorithm=algorithm,
        )
        for algorithm in ALGORITHMS
    ]
    clients = Client.objects.bulk_create(
        [
            Client(client_id=f"service-{n}", kind=Client.Kind.SERVICE, owner="it@example.com", created_at=now)
            for n in range(count)
        ],
        **BATCH,
    )
    hashed = crypto.keyed_hash(secret, purpose=PURPOSE)
    ClientSecret.objects.bulk_create(
        [ClientSecret(client=one, scheme="keyed", secret_hash=hashed, created_at=now) for one in clients], **BATCH
    )
    Flow.objects.bulk_create(
        [
            Flow(
                client=one,
                resource=resource,
                grant=Flow.Grant.CLIENT_CREDENTIALS,
                scopes=["orders.read"],
                purpose="Bench",
                data_classes=["orders"],
                owner="it@example.com",
                state=Flow.State.APPROVED,
                approved_by="security@example.com",
                expires=(now + timedelta(days=365)).date(),
            )
            for one in clients
            for resource in resources
        ],
        **BATCH,
    )
    for resource in resources:
        resource.introspectors.set(clients[:GUARDS])
    raise_version()
    return Services([one.client_id for one in clients], secret)
