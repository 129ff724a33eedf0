"""A company on stage: a real-signing identity provider, an OpenID application, and a browser between them."""

import base64
import hashlib
import json
import secrets
import zlib
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from django.conf import settings
from django.test import Client as DjangoClient
from lxml import etree

from broker.registry.models import Client, IdentityProvider
from tests.factories import (
    CLIENT_SECRET,
    make_application,
    make_client,
    make_identity_provider,
    make_keys,
    make_organisation,
)
from tests.fakes.fake_idp import FakeIdentityProvider

REDIRECT_URI = "https://crm.example/callback"
ATTRIBUTES = {
    "mail": ["alice@acme.example"],
    "givenName": ["Alice"],
    "sn": ["Ålesund"],
    "displayName": ["Alice Ålesund"],
    "groups": ["engineering", "on call"],
}


@dataclass
class Browser:
    """One person's browser: it keeps cookies and follows what it is told, one hop at a time."""

    http: DjangoClient = field(default_factory=DjangoClient)

    def get(self, url: str, **parameters: Any) -> Any:
        return self.http.get(_path(url), parameters or None)

    def post(self, url: str, fields: dict[str, Any]) -> Any:
        return self.http.post(_path(url), fields)

    def follow(self, response: Any) -> Any:
        """Follow redirects for as long as they stay on the broker."""
        while response.status_code in {301, 302, 303} and response["Location"].startswith(
            ("/", settings.BROKER_BASE_URL)
        ):
            response = self.get(response["Location"])
        return response


@dataclass
class Company:
    """Acme, with everything that a sign-on needs."""

    identity_provider: IdentityProvider
    fake: FakeIdentityProvider
    client: Client
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))

    @property
    def acs_url(self) -> str:
        return f"{settings.BROKER_BASE_URL}/saml/sp/{self.identity_provider.slug}/acs"

    @property
    def audience(self) -> str:
        return f"{settings.BROKER_BASE_URL}/saml/sp/{self.identity_provider.slug}/metadata"

    def ask(self, browser: Browser, **changes: Any) -> Any:
        """The application sends the browser to us. A change to None leaves the parameter out."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()
        parameters = {
            "client_id": self.client.client_id,
            "redirect_uri": REDIRECT_URI,
            "response_type": "code",
            "scope": "openid profile email",
            "state": "the-state",
            "nonce": "the-nonce",
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        } | changes
        return browser.get("/oauth/authorize", **{key: value for key, value in parameters.items() if value is not None})

    def answer(self, browser: Browser, sent: Any, **options: Any) -> Any:
        """The identity provider answers the AuthnRequest that `sent` carries; the browser brings it to our ACS."""
        request = read_request(sent)
        options = {
            "request_id": request.get("ID"),
            "acs_url": self.acs_url,
            "audience": self.audience,
            "attributes": ATTRIBUTES,
        } | options
        answer = self.fake.answer(**options)
        relay_state = parse_qs(urlsplit(sent["Location"]).query)["RelayState"][0]
        return browser.follow(browser.post(self.acs_url, {"SAMLResponse": answer, "RelayState": relay_state}))

    def sign_on(self, browser: Browser, *, ask: dict[str, Any] | None = None, **options: Any) -> Any:
        """The whole way from the application to the answer at its redirect URI (or to an error page)."""
        return self.answer(browser, self.ask(browser, **(ask or {})), **options)

    def redeem(self, code: str, **changes: Any) -> Any:
        """The application redeems its code."""
        fields = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": REDIRECT_URI,
            "code_verifier": self.verifier,
        } | changes
        return DjangoClient().post(
            "/oauth/token",
            urlencode(fields),
            content_type="application/x-www-form-urlencoded",
            headers={"authorization": basic(self.client.client_id, CLIENT_SECRET)},
        )


def make_company(**fields: Any) -> Company:
    """Acme. `fields` are the identity provider's."""
    make_keys()
    slug = fields.get("slug", "acme-idp")
    fake = FakeIdentityProvider(f"https://{slug}.example/saml", sso_url=f"https://{slug}.example/sso")
    if "organisation" not in fields:
        fields["organisation"] = make_organisation(slug=slug, domains=(f"{slug.partition('-')[0]}.example",))
    identity_provider = make_identity_provider(
        **{
            "slug": slug,
            "issuer": fake.entity_id,
            "sso_url": fake.sso_url,
            "certificates": [{"der": base64.b64encode(fake.key.der).decode()}],
            "claims": {"groups": ["groups"]},
        }
        | fields
    )
    application = make_application(release=("email", "name", "given_name", "family_name", "groups"))
    return Company(identity_provider, fake, make_client(application=application, redirect_uris=[REDIRECT_URI]))


def read_request(sent: Any) -> etree._Element:
    """The AuthnRequest in a redirect to the identity provider."""
    query = parse_qs(urlsplit(sent["Location"]).query)
    return etree.fromstring(zlib.decompress(base64.b64decode(query["SAMLRequest"][0]), -15))


def answer_of(response: Any) -> dict[str, str]:
    """The parameters that came back to the application's redirect URI."""
    assert response.status_code == 303, response.content.decode()
    assert response["Location"].startswith(REDIRECT_URI), response["Location"]
    return {key: values[0] for key, values in parse_qs(urlsplit(response["Location"]).query).items()}


def basic(client_id: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()


def unverified_claims(token: str) -> dict[str, Any]:
    """The payload of a JWT, for looking only."""
    body = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))))


def _path(url: str) -> str:
    return url.removeprefix(settings.BROKER_BASE_URL) or "/"
