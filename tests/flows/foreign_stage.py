"""Tokens of identity providers at our token endpoint: Globex's OpenID provider, Acme's SAML one, and an API."""

import base64
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.conf import settings
from lxml import etree

from broker.directory.models import Person
from broker.registry.models import Client, Flow, IdentityProvider
from tests.broker.tokens.desk import basic, lay_out_keys, post_form
from tests.broker.tokens.estate import EXCHANGE, ID_TOKEN, SAML2, Api, make_api
from tests.factories import CLIENT_SECRET, link, make_application, make_flow, make_person, make_service
from tests.fakes.fake_idp import SAML, FakeIdentityProvider
from tests.fakes.fake_op import ALICE, CLIENT_ID, FakeOpenIDProvider
from tests.fakes.tokens import Signer, forge, rs256
from tests.flows.openid_stage import register
from tests.flows.stage import make_company

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"


@dataclass
class Foreigners:
    """Alice at both providers, and a service with flows to the ERP for all that they vouch for."""

    op: FakeOpenIDProvider
    globex: IdentityProvider = field(init=False)
    acme: IdentityProvider = field(init=False)
    idp: FakeIdentityProvider = field(init=False)
    alice: Person = field(init=False)
    service: Client = field(init=False)
    erp: Api = field(init=False)

    def __post_init__(self) -> None:
        lay_out_keys()
        self.globex = register(self.op)
        company = make_company(organisation=self.globex.organisation)
        self.acme, self.idp = company.identity_provider, company.fake
        self.alice = make_person(organisation=self.globex.organisation)
        link(self.alice, self.globex, ALICE["sub"])
        link(self.alice, self.acme, "alice")
        self.service = make_service(client_id="nightly", application=make_application(slug="nightly"))
        self.erp = make_api("erp", scopes=("orders.read", "orders.write"))
        for grant in (Flow.Grant.TOKEN_EXCHANGE, Flow.Grant.JWT_BEARER):
            fields = {"subject_class": "person", "scopes": ["orders.read"]}
            make_flow(self.service, self.erp.resource, grant=grant, **fields)

    # What the providers make --------------------------------------------------------------------------------------
    def jwt(self, *, header: dict[str, Any] | None = None, sign: Signer | None = None, **claims: Any) -> str:
        """An ID token of Globex for us, with any change; ... removes a claim."""
        now = int(time.time())
        honest = {"iss": self.op.issuer, "sub": ALICE["sub"], "aud": CLIENT_ID, "iat": now, "exp": now + 300}
        kid, key = next(iter(self.op.keys.items()))
        kept = {name: value for name, value in (honest | claims).items() if value is not ...}
        return forge({"alg": "RS256", "kid": kid, "typ": "JWT"} | (header or {}), kept, sign or rs256(key))

    def assertion(self, **claims: Any) -> str:
        """A JWT of Globex that was made for our token endpoint."""
        return self.jwt(**{"aud": settings.BROKER_BASE_URL, "jti": "the-jti"} | claims)

    def saml(self, *, now: datetime | None = None, **options: Any) -> bytes:
        """A signed assertion of Acme for our token endpoint, as XML."""
        options = {
            "request_id": None,
            "acs_url": f"{settings.BROKER_BASE_URL}/oauth/token",
            "audience": f"{settings.BROKER_BASE_URL}/saml/sp/{self.acme.slug}/metadata",
            "sign": "assertion",
        } | options
        response = etree.fromstring(self.idp.response(now=now, **options))
        found = response.find(f"{{{SAML}}}Assertion")
        assert found is not None
        return etree.tostring(found, with_tail=False)

    # Requests -----------------------------------------------------------------------------------------------------
    def ask(self, fields: dict[str, Any]) -> Any:
        fields = {"resource": self.erp.resource.identifier} | fields
        kept = {name: value for name, value in fields.items() if value is not None}
        return post_form("/oauth/token", kept, authorization=basic(self.service.client_id, CLIENT_SECRET))

    def exchange(self, token: str | bytes, declared: str = ID_TOKEN, **changes: Any) -> Any:
        """The answer to an exchange; XML is sent in base64url, without padding."""
        if isinstance(token, bytes):
            token, declared = base64.urlsafe_b64encode(token).rstrip(b"=").decode(), SAML2
        fields = {"grant_type": EXCHANGE, "subject_token": token, "subject_token_type": declared}
        return self.ask(fields | changes)

    def bear(self, assertion: str, **changes: Any) -> Any:
        """The answer to an assertion grant."""
        return self.ask({"grant_type": JWT_BEARER, "assertion": assertion} | changes)
