"""An estate of services for exchanges: a CRM with a person signed on, and three APIs behind one another.

    person -> CRM (sign-on, and a service of the same application) -> ERP -> HR -> ledger

Each API has a service client, to which its tokens are sent, and which may exchange them for the next API's.
"""

from dataclasses import dataclass, field
from typing import Any

from broker.keys import jose
from broker.keys.models import SigningKey
from broker.keys.services import signing_key
from broker.registry.cache import raise_version
from broker.registry.models import Client, Flow, Resource
from tests.broker.tokens.desk import Desk, basic, post_form
from tests.factories import CLIENT_SECRET, make_application, make_flow, make_resource, make_service
from tests.flows.stage import unverified_claims

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
TYPE = "urn:ietf:params:oauth:token-type:"
ACCESS_TOKEN, ID_TOKEN, SAML2, JWT = (TYPE + name for name in ("access_token", "id_token", "saml2", "jwt"))


@dataclass
class Api:
    """A resource, and the client of whoever serves it."""

    resource: Resource
    client: Client


def make_api(name: str, *, scopes: tuple[str, ...]) -> Api:
    client = make_service(client_id=name, application=make_application(slug=name))
    resource = make_resource(identifier=f"https://{name}.example/api", scopes=dict.fromkeys(scopes, "x"))
    resource.introspectors.add(client)
    raise_version()
    return Api(resource, client)


@dataclass
class Estate:
    """Every client has the secret `CLIENT_SECRET`; `flows` are those of the exchanges, by client id."""

    desk: Desk = field(default_factory=Desk)
    crm: Client = field(init=False)
    flows: dict[str, Flow] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.crm = make_service(client_id="crm", application=self.desk.client.application)
        self.erp = make_api("erp", scopes=("orders.read", "orders.write"))
        self.hr = make_api("hr", scopes=("people.read", "people.write"))
        self.ledger = make_api("ledger", scopes=("entries.read",))
        self.vault = make_api("vault", scopes=("secrets.read",))
        for client, api in (
            (self.crm, self.erp),
            (self.erp.client, self.hr),
            (self.hr.client, self.ledger),
            (self.ledger.client, self.vault),
        ):
            self.let(client, api)

    def let(self, client: Client, api: Api, **fields: Any) -> Flow:
        """A flow for exchanges of people's tokens, with all scopes of the API, and one for the client's own tokens."""
        fields = {"grant": Flow.Grant.TOKEN_EXCHANGE, "subject_class": "person"} | fields
        flow = make_flow(client, api.resource, **{"scopes": list(api.resource.scopes)} | fields)
        if not Flow.objects.filter(client=client, resource=api.resource, grant="client_credentials").exists():
            make_flow(client, api.resource, scopes=list(api.resource.scopes))
        self.flows[client.client_id] = flow
        return flow

    def change(self, row: Any, **fields: Any) -> None:
        """Change a row behind everybody's back, as another process would."""
        type(row).objects.filter(pk=row.pk).update(**fields)
        raise_version()

    # Requests ------------------------------------------------------------------------------------------------------
    def ask(self, client: Client, fields: dict[str, Any], **headers: str) -> Any:
        kept = {name: value for name, value in fields.items() if value is not None}
        return post_form("/oauth/token", kept, authorization=basic(client.client_id, CLIENT_SECRET), **headers)

    def exchange(self, client: Client, token: str, api: Api | None = None, *, actor: str = "", **changes: Any) -> Any:
        """The answer to an exchange of `token`; a change to None leaves the parameter out."""
        fields = {"grant_type": EXCHANGE, "subject_token": token, "subject_token_type": ACCESS_TOKEN}
        if api is not None:
            fields["resource"] = api.resource.identifier
        if actor:
            fields |= {"actor_token": actor, "actor_token_type": ACCESS_TOKEN}
        return self.ask(client, fields | changes)

    def token(self, response: Any) -> str:
        assert response.status_code == 200, response.content
        return str(response.json()["access_token"])

    def introspect(self, api: Api, token: str) -> dict[str, Any]:
        """What the API's client is told of a token that came to it."""
        authorization = basic(api.client.client_id, CLIENT_SECRET)
        return dict(post_form("/oauth/introspect", {"token": token}, authorization=authorization).json())

    def give_back(self, client: Client, token: str) -> None:
        """The client revokes a token of its own."""
        authorization = basic(client.client_id, CLIENT_SECRET)
        assert post_form("/oauth/revoke", {"token": token}, authorization=authorization).status_code == 200

    def own(self, client: Client, api: Api) -> str:
        """The client's own token for an API, as it sends it there."""
        fields = {"grant_type": "client_credentials", "resource": api.resource.identifier}
        return self.token(self.ask(client, fields))

    # The way from the person to the ledger ----------------------------------------------------------------------
    def signed_on(self) -> str:
        """The access token of the sign-on, for our userinfo endpoint."""
        return str(self.desk.tokens()["access_token"])

    def at_erp(self, **changes: Any) -> str:
        """What the CRM sends to the ERP for the person: the CRM acts."""
        return self.token(self.exchange(self.crm, self.signed_on(), self.erp, **changes))

    def at_hr(self, token: str = "", **changes: Any) -> str:
        """What the ERP sends to HR: the ERP acts, as the CRM did, which handed its own token over."""
        actor = self.own(self.crm, self.erp)
        return self.token(self.exchange(self.erp.client, token or self.at_erp(), self.hr, actor=actor, **changes))

    def at_ledger(self, token: str = "") -> str:
        actor = self.own(self.erp.client, self.hr)
        return self.token(self.exchange(self.hr.client, token or self.at_hr(), self.ledger, actor=actor))


def signed_again(token: str, *, typ: str = "at+jwt", **changes: Any) -> str:
    """A token of ours with other claims and our real signature; a change to None removes a claim."""
    claims = {name: value for name, value in (unverified_claims(token) | changes).items() if value is not None}
    return jose.sign(claims, key=signing_key(SigningKey.Use.TOKEN, algorithm=SigningKey.Algorithm.RS256), typ=typ)
