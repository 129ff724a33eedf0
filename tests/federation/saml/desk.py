"""One login request at one identity provider, and the guard asked about answers to it."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from broker.errors import BrokerError
from broker.traces.collector import Collector
from federation.saml.guard import ResponseExpectation, SubjectRule, VerifiedResponse, verify_response
from tests.fakes.fake_idp import FakeIdentityProvider
from tests.fakes.saml_keys import key_pair

ENTITY_ID = "https://idp.example.org/saml"
ACS_URL = "https://sso.example.com/saml/sp/corp/acs"
AUDIENCE = "https://sso.example.com/saml/sp/corp/metadata"
REQUEST_ID = "_7f1b0d6c2a9e4f5d8c3b6a1e0d9f8c7b"
NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


class Desk:
    """Asks the fake for an answer and the guard for its verdict."""

    def __init__(self) -> None:
        self.encryption_key = key_pair("service provider encryption")
        self.idp = FakeIdentityProvider(ENTITY_ID, encryption_certificate=self.encryption_key.der)
        self.expectation = ResponseExpectation(
            issuer=ENTITY_ID,
            verification_certificates=(self.idp.key.der,),
            audience=AUDIENCE,
            acs_url=ACS_URL,
            request_id=REQUEST_ID,
            now=NOW,
            decryption_keys=(self.encryption_key.rsa,),
            subject=SubjectRule(),
        )
        self.trace = Collector()

    def respond(self, **options: Any) -> bytes:
        """The XML of an answer to our request; see `FakeIdentityProvider.response`."""
        asked: dict[str, Any] = {"request_id": REQUEST_ID, "acs_url": ACS_URL, "audience": AUDIENCE, "now": NOW}
        return self.idp.response(**(asked | options))

    def verify(self, raw: bytes, **changes: Any) -> VerifiedResponse:
        """The guard's verdict; `changes` replace fields of the expectation."""
        self.trace = Collector()
        return verify_response(raw, replace(self.expectation, **changes), trace=self.trace)

    def refusal(self, raw: bytes, **changes: Any) -> BrokerError:
        """The refusal of a message; one that is accepted fails the test."""
        with pytest.raises(BrokerError) as caught:
            self.verify(raw, **changes)
        return caught.value

    def code(self, raw: bytes, **changes: Any) -> str:
        """The public code with which a message is refused."""
        return self.refusal(raw, **changes).code
