"""Sessions that end, and the applications that listen: what the reader writes is carried as a worker would."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from django.conf import settings
from django.test import Client as Http
from django.utils import timezone

from broker.actors import SYSTEM, Actor, ActorKind
from broker.delivery.carrying import carry
from broker.delivery.models import Delivery
from broker.events.reading import read_notices
from broker.keys.services import saml_signing_certificates
from broker.registry.models import Client
from broker.registry.registering.applications import create_service_provider
from broker.sessions.models import Participant
from broker.sessions.services import end_session
from tests.factories import make_application, make_client, make_participant, make_session
from tests.fakes.fake_logout import Heard, LogoutAsked, Reply, SoapParty, read_logout_token
from tests.fakes.fake_sp import FakeServiceProvider

PERSON = Actor(ActorKind.PERSON, "somebody", trace_id="ABCDE-FGHJK")
IDP = "http://localhost:8000/saml/idp/metadata"


def says(status: int = 200, body: bytes = b"", **headers: str) -> Callable[[Heard], Reply]:
    """An application that always answers this."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda heard: (status, named, body)


def make_oidc(url: str, **fields: Any) -> Participant:
    """An OpenID application that takes part in a session, and listens at `url`."""
    session = fields.pop("session", None) or make_session()
    client = make_client(backchannel_logout_uri=url, **fields)
    return make_participant(session=session, client=client)


def make_saml(url: str, *, sp: FakeServiceProvider | None = None, **fields: Any) -> Participant:
    """A SAML application that takes part in a session, and listens at `url`."""
    sp = sp or FakeServiceProvider()
    application = make_application(slug=fields.pop("slug", "erp"), name="ERP", kind="erp")
    create_service_provider(application, actor=SYSTEM, metadata=sp.metadata(soap_logout=url))
    now = timezone.now()
    session = fields.pop("session", None) or make_session()
    return Participant.objects.create(
        session=session, application=application, joined_at=now, last_used_at=now, **fields
    )


def end(participant: Participant, *, actor: Actor = PERSON, reason: str = "logout") -> None:
    """The session ends, the reader reads, and the ledger carries once."""
    end_session(participant.session, reason=reason, actor=actor)
    read_notices()
    carry_all()


def carry_all() -> None:
    """Each lane once."""
    for lane in sorted(set(Delivery.objects.filter(settled_at=None).values_list("lane", flat=True))):
        carry(lane)


def told(heard: Heard, client: Client, **options: Any) -> dict[str, Any]:
    """What a strict OpenID application makes of what it got, with the keys that we publish."""
    jwks = Http().get("/oauth/jwks").json()
    fields = parse_qs(heard.body.decode(), strict_parsing=True)
    assert list(fields) == ["logout_token"]
    assert heard.headers["content-type"] == "application/x-www-form-urlencoded"
    token = fields["logout_token"][0]
    return read_logout_token(token, jwks=jwks, issuer=settings.BROKER_BASE_URL, client_id=client.client_id, **options)


def asked(heard: Heard, party: SoapParty) -> LogoutAsked:
    """What a strict service provider makes of what it got."""
    assert heard.headers["content-type"] == "text/xml; charset=UTF-8"
    assert heard.headers["soapaction"] == '"http://www.oasis-open.org/committees/security"'
    idp = f"{settings.BROKER_BASE_URL}/saml/idp/metadata"
    return party.read(heard.body, idp=idp, certificate=saml_signing_certificates()[0], now=timezone.now())


def row(participant: Participant) -> Delivery:
    """The one row of the ledger that tells this participant."""
    return Delivery.objects.get(reference=participant.reference)


def as_json(**words: Any) -> bytes:
    return json.dumps(words).encode()
