"""Globex on stage: an OpenID provider upstream, and the OpenID application of `stage` downstream."""

from dataclasses import dataclass
from typing import Any

from django.conf import settings

from broker.actors import SYSTEM
from broker.registry.models import IdentityProvider
from broker.registry.openid import fetch_discovery
from broker.registry.registering.identity_providers import create_identity_provider
from federation.claims.registering import set_claim_mapping
from tests.factories import make_application, make_client, make_keys, make_organisation
from tests.fakes.fake_op import CLIENT_ID, CLIENT_SECRET, FakeOpenIDProvider
from tests.flows.stage import REDIRECT_URI, Browser, Company


@dataclass
class OpenIDCompany(Company):
    """Globex: its `fake` is an OpenID provider."""

    fake: FakeOpenIDProvider  # type: ignore[assignment]

    @property
    def callback_url(self) -> str:
        return f"{settings.BROKER_BASE_URL}/oidc/{self.identity_provider.slug}/callback"

    def answer(self, browser: Browser, sent: Any, **options: Any) -> Any:
        """The person signs on at the provider to which `sent` leads; the browser brings the answer to our callback."""
        assert sent["Location"].startswith(self.fake.issuer), sent["Location"]
        return browser.follow(browser.get(self.fake.authorize(sent["Location"], **options)))


def register(fake: FakeOpenIDProvider, slug: str = "globex", **fields: Any) -> IdentityProvider:
    """The provider as operators would register it: its document fetched, our secret sealed."""
    if "organisation" not in fields:
        fields["organisation"] = make_organisation(slug=slug, domains=(f"{slug}.example",))
    claims = fields.pop("claims", {"groups": ["groups"]})
    if fields.get("authentication") != "private_key_jwt":
        fields = {"client_secret": CLIENT_SECRET} | fields
    identity_provider = create_identity_provider(
        slug,
        actor=SYSTEM,
        protocol=IdentityProvider.Protocol.OIDC,
        **{
            "issuer": fake.issuer,
            "discovery": fetch_discovery(fake.issuer).discovery,
            "client_id": CLIENT_ID,
            "home_realm_domains": [f"{slug}.example"],
        }
        | fields,
    )
    set_claim_mapping(identity_provider, claims, actor=SYSTEM)
    return identity_provider


def make_openid_company(fake: FakeOpenIDProvider, slug: str = "globex", **fields: Any) -> OpenIDCompany:
    """Globex with an application. `fields` are the identity provider's."""
    make_keys()
    identity_provider = register(fake, slug, **fields)
    application = make_application(release=("email", "name", "given_name", "family_name", "groups"))
    client = make_client(application=application, redirect_uris=[REDIRECT_URI])
    return OpenIDCompany(identity_provider, fake, client)
