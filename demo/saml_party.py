"""The ERP's side of SAML 2.0 Web Browser SSO: AuthnRequests out by Redirect, Responses in by POST."""

import base64
import secrets
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from lxml import etree
from lxml.builder import ElementMaker

from demo.fetching import fetch
from demo.keys import KeyPair
from demo.saml_logout import Expected as ExpectedLogout
from demo.saml_logout import Leaving, read_logout_request, write_logout_response
from demo.saml_metadata import PERSISTENT, POST, SAMLP, IdentityProviderEntity, read_identity_provider
from demo.saml_request import RSA_SHA256, SAML
from demo.saml_response import Expected, ResponseRefused, StatusRefused, Told, read_response
from demo.sign_on_failed import SignOnFailed

saml = ElementMaker(namespace=SAML, nsmap={"saml": SAML})
samlp = ElementMaker(namespace=SAMLP, nsmap={"samlp": SAMLP, "saml": SAML})


@dataclass(frozen=True, slots=True)
class Started:
    """A sign-on that is under way in one browser."""

    request_id: str
    relay_state: str


@dataclass(frozen=True, slots=True)
class SAMLParty:
    """One service provider of the broker, whose metadata is at `metadata_url`."""

    entity_id: str
    acs_url: str
    slo_url: str
    metadata_url: str
    signing_key: KeyPair = field(repr=False)
    encryption_key: RSAPrivateKey = field(repr=False)

    def start(self, *, force: bool = False, passive: bool = False, context: str = "") -> tuple[Started, str]:
        """A new sign-on, and the address to send the browser to. `context` is how strong it has to be."""
        started = Started("_" + secrets.token_hex(16), secrets.token_urlsafe(24))
        sso_url = self._broker().sso_url
        xml = self._request(started, destination=sso_url, force=force, passive=passive, context=context)
        deflater = zlib.compressobj(wbits=-15)
        message = base64.b64encode(deflater.compress(xml) + deflater.flush()).decode()
        fields = {"SAMLRequest": message, "RelayState": started.relay_state, "SigAlg": RSA_SHA256}
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in fields.items())
        # Bindings 3.4.4.1: the signature is over these octets.
        signature = base64.b64encode(
            self.signing_key.private.sign(query.encode(), PKCS1v15(), hashes.SHA256())
        ).decode()
        return started, f"{sso_url}?{query}&Signature={quote(signature, safe='')}"

    def finish(self, started: Started, form: Mapping[str, str]) -> Told:
        """What the broker says in the browser's `form`. Raises SignOnFailed."""
        if not secrets.compare_digest(form.get("RelayState", "").encode(), started.relay_state.encode()):
            raise SignOnFailed("The answer's RelayState is not the one that this browser was given.")
        expected = Expected(
            issuer=self._broker(),
            audience=self.entity_id,
            acs_url=self.acs_url,
            request_id=started.request_id,
            key=self.encryption_key,
            now=datetime.now(UTC),
        )
        try:
            return read_response(form.get("SAMLResponse", ""), expected)
        except StatusRefused as refused:
            raise SignOnFailed(str(refused), code=" / ".join(map(_short, refused.codes))) from refused
        except ResponseRefused as refused:
            raise SignOnFailed(f"The answer is not accepted. {refused}", code="response") from refused

    def read_logout(self, envelope: bytes) -> Leaving:
        """Whose session ends, by the broker's word. Raises LogoutRefused, SignOnFailed."""
        return read_logout_request(envelope, ExpectedLogout(self._broker(), self.slo_url, datetime.now(UTC)))

    def answer_logout(self, request_id: str, *, status: tuple[str, ...]) -> bytes:
        """Our signed answer, in its envelope."""
        return write_logout_response(issuer=self.entity_id, request_id=request_id, status=status, key=self.signing_key)

    def _request(self, started: Started, *, destination: str, force: bool, passive: bool, context: str) -> bytes:
        request = samlp.AuthnRequest(
            saml.Issuer(self.entity_id),
            samlp.NameIDPolicy(Format=PERSISTENT, AllowCreate="true"),
            ID=started.request_id,
            Version="2.0",
            IssueInstant=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            Destination=destination,
            AssertionConsumerServiceURL=self.acs_url,
            ProtocolBinding=POST,
        )
        if force:
            request.set("ForceAuthn", "true")
        if passive:
            request.set("IsPassive", "true")
        if context:
            request.append(samlp.RequestedAuthnContext(saml.AuthnContextClassRef(context), Comparison="exact"))
        return bytes(etree.tostring(request))

    def _broker(self) -> IdentityProviderEntity:
        """The broker as its metadata describes it now."""
        try:
            return read_identity_provider(fetch(self.metadata_url))
        except (OSError, ValueError) as error:
            raise SignOnFailed(f"The broker's metadata at {self.metadata_url}: {error}") from error


def _short(status: str) -> str:
    return status.rpartition(":")[2]
