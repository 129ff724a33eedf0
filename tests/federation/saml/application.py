"""One registered application, its requests to us, and our answers to it."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from broker.traces.collector import Collector
from federation.saml.bindings import CarriedRequest, read_form, read_redirect
from federation.saml.metadata import ServiceProviderMetadata, read_service_provider
from federation.saml.names import NAME_ID_PERSISTENT
from federation.saml.requests import RequestExpectation, parse_request, verify_request
from federation.saml.responses import Attribute, Envelope, SignedOn, write_response
from federation.saml.verified import NameID, VerifiedRequest
from tests.fakes.fake_sp import FakeServiceProvider
from tests.federation.saml.test_signing import KEY

IDP = "https://sso.example/saml/idp/metadata"
SSO = "https://sso.example/saml/idp/sso"
NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


@dataclass
class Application:
    """Asks as the service provider, and judges and answers as we do."""

    sp: FakeServiceProvider = field(default_factory=FakeServiceProvider)
    trace: Collector = field(default_factory=Collector)

    @property
    def metadata(self) -> ServiceProviderMetadata:
        return read_service_provider(self.sp.metadata().encode())

    @property
    def expectation(self) -> RequestExpectation:
        metadata = self.metadata
        return RequestExpectation(
            issuer=metadata.entity_id,
            certificates=[one.der for one in metadata.signing_certificates],
            must_be_signed=False,
            sso_url=SSO,
            consumers=metadata.assertion_consumer_services,
            now=NOW,
        )

    def redirect(self, **options: Any) -> str:
        """The query of a request that is sent now."""
        return self.sp.redirect(**({"destination": SSO, "now": NOW} | options))

    def form(self, **options: Any) -> dict[str, list[str]]:
        """The form of a request that is sent now, each field with all its values."""
        fields = self.sp.form(**({"destination": SSO, "now": NOW} | options))
        return {name: [value] for name, value in fields.items()}

    def judge(self, carried: CarriedRequest, **changes: Any) -> VerifiedRequest:
        """Our verdict; `changes` replace fields of the expectation."""
        self.trace = Collector()
        unverified = parse_request(carried, trace=self.trace)
        return verify_request(unverified, replace(self.expectation, **changes), trace=self.trace)

    def by_redirect(self, *, expect: dict[str, Any] | None = None, **options: Any) -> VerifiedRequest:
        return self.judge(read_redirect(self.redirect(**options)), **(expect or {}))

    def by_post(self, *, expect: dict[str, Any] | None = None, **options: Any) -> VerifiedRequest:
        return self.judge(read_form(self.form(**options)), **(expect or {}))

    def failed(self) -> list[str]:
        """The names of the checks that failed."""
        return [entry["name"] for entry in self.trace.entries if entry.get("passed") is False]


def answer(sp: FakeServiceProvider, **options: Any) -> bytes:
    """Our answer to this service provider at NOW; `options` are of `write_response` or of the values that it takes."""
    envelope = {"issuer": IDP, "acs_url": sp.acs_urls[0], "request_id": "_1", "issued_at": NOW}
    signed_on: dict[str, Any] = {
        "name_id": NameID("p-1", NAME_ID_PERSISTENT, IDP, sp.entity_id),
        "authenticated_at": NOW - timedelta(minutes=5),
        "context": "",
        "authority": "https://idp.acme.example",
        "session_index": "the-session",
        "session_until": NOW + timedelta(hours=12),
        "attributes": [Attribute("urn:oid:0.9", "urn:format", "mail", ["alice@acme.example"])],
    }
    how: dict[str, Any] = {"sign_response": True, "sign_assertion": True, "recipient": None}
    for told in (envelope, signed_on, how):
        told |= {name: options.pop(name) for name in list(options) if name in told}
    assert not options, options
    return write_response(
        Envelope(**envelope), SignedOn(**signed_on), audience=sp.entity_id, signer=KEY, trace=Collector(), **how
    )
