"""A client at our desk: keys of ours, a person signed on, codes, and requests as an application sends them."""

import base64
import hashlib
import secrets
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus, urlencode

from django.test import Client as Http
from django.utils import timezone

from broker.actors import SYSTEM, Actor, ActorKind
from broker.keys.models import SigningKey
from broker.keys.ring import ring
from broker.keys.services import ensure_keys
from broker.registry.cache import raise_version
from broker.registry.models import Client, Domain, Resource
from broker.sessions.models import Participant
from broker.tokens.authorization import issue_code
from tests.factories import CLIENT_SECRET, make_client, make_participant

REDIRECT_URI = "https://crm.example/callback"
FORM = "application/x-www-form-urlencoded"
TRACE_ID = "ABCDE-12345"
_made_before: list[SigningKey] = []


def lay_out_keys() -> None:
    """Keys of ours; made once per process, since each test's database forgets them."""
    if _made_before:
        SigningKey.objects.bulk_create(_made_before)
        ring.forget()
    else:
        ensure_keys(SYSTEM)
        _made_before.extend(SigningKey.objects.all())


def basic(client_id: str, secret: str) -> str:
    """The Authorization header of client_secret_basic, form-encoded as RFC 6749 section 2.3.1 wants it."""
    return "Basic " + base64.b64encode(f"{quote_plus(client_id)}:{quote_plus(secret)}".encode()).decode()


def post_form(path: str, fields: dict[str, Any] | list[tuple[str, str]], **headers: str) -> Any:
    """A POST as applications send it; nothing raises here, so that a 5xx would be seen as one."""
    http = Http(raise_request_exception=False)
    return http.post(path, urlencode(fields), content_type=FORM, headers=headers)


@dataclass
class Desk:
    """One application with one person signed on."""

    client: Client = field(default_factory=make_client)
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))
    nonce: str = "the-nonce"
    scopes: tuple[str, ...] = ("openid", "email")
    participant: Participant = field(init=False)

    def __post_init__(self) -> None:
        lay_out_keys()
        self.participant = make_participant(client=self.client)

    @property
    def person(self) -> Any:
        return self.participant.session.person

    def give_address(self, address: str) -> None:
        """Give the person an e-mail address in a domain of their organisation."""
        now = timezone.now()
        name = address.partition("@")[2]
        Domain.objects.create(organisation=self.person.organisation, name=name, proof="operator", proved_at=now)
        self.person.identifiers.create(kind="email", value=address, comparable=address, since=now)
        raise_version()

    @property
    def authorization(self) -> str:
        return basic(self.client.client_id, CLIENT_SECRET)

    def code(
        self,
        *,
        scopes: tuple[str, ...] | None = None,
        trace_id: str = TRACE_ID,
        challenge: bool = True,
        resource: Resource | None = None,
    ) -> str:
        """A fresh code for the person, of which the access token is for `resource`."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return issue_code(
            self.client,
            session=self.participant.session,
            participant=self.participant,
            redirect_uri=REDIRECT_URI,
            scopes=scopes or self.scopes,
            nonce=self.nonce,
            code_challenge=base64.urlsafe_b64encode(digest).rstrip(b"=").decode() if challenge else "",
            context=self.participant.session.context,
            resource=resource,
            actor=Actor(ActorKind.PERSON, str(self.person.pk), "192.0.2.1", trace_id),
        )

    def redemption(self, code: str, **changes: Any) -> dict[str, Any]:
        """The form that redeems a code; a change to None leaves the parameter out."""
        fields = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": REDIRECT_URI,
            "code_verifier": self.verifier,
        } | changes
        return {name: value for name, value in fields.items() if value is not None}

    def redeem(self, code: str, **changes: Any) -> Any:
        return post_form("/oauth/token", self.redemption(code, **changes), authorization=self.authorization)

    def refresh(self, refresh_token: str, **changes: Any) -> Any:
        fields = {"grant_type": "refresh_token", "refresh_token": refresh_token} | changes
        return post_form("/oauth/token", fields, authorization=self.authorization)

    def tokens(self, *, scopes: tuple[str, ...] | None = None) -> dict[str, Any]:
        """A whole token response."""
        response = self.redeem(self.code(scopes=scopes))
        assert response.status_code == 200, response.content
        return dict(response.json())

    def offline_tokens(self) -> dict[str, Any]:
        """A token response with a refresh token."""
        return self.tokens(scopes=("openid", "email", "offline_access"))

    def userinfo(self, access_token: str) -> Any:
        http = Http(raise_request_exception=False)
        return http.get("/oauth/userinfo", headers={"authorization": f"Bearer {access_token}"})
