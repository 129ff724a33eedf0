"""The door to SAML identity providers: our AuthnRequest out, their Response in."""

import base64
from collections.abc import Mapping
from datetime import datetime, timedelta

from django.utils import timezone

from broker.errors import BrokerError
from broker.keys.services import (
    saml_decryption_keys,
    saml_encryption_certificate,
    saml_signing,
    saml_signing_certificates,
)
from broker.once.services import AlreadyUsed, claim_once
from broker.registry.models import IdentityProvider
from broker.traces.collector import Collector
from federation.assertions import Answer, VerifiedAssertion
from federation.saml import messages
from federation.saml.envelope import IdentityProviderRefused
from federation.saml.expectation import NoRequest, ResponseExpectation, SubjectRule
from federation.saml.guard import verify_response
from federation.saml.names import STATUS_NO_AUTHN_CONTEXT
from federation.saml.parsing import decode_post
from federation.saml.publication import write_service_provider
from federation.saml.verified import VerifiedResponse
from federation.upstream.addresses import acs_url, entity_id, metadata_url
from federation.upstream.base import UpstreamRequest, context_refused

ATTRIBUTE_RULE = "attribute:"


class SAMLConnector:
    """SAML 2.0 Web Browser SSO as a service provider (SAML profiles section 4.1)."""

    def our_addresses(self, identity_provider: IdentityProvider) -> Mapping[str, str]:
        """Our metadata, which holds the other two."""
        return {
            "Metadata": metadata_url(identity_provider),
            "entityID": entity_id(identity_provider),
            "Assertion consumer service": acs_url(identity_provider),
        }

    def start(self, identity_provider: IdentityProvider, request: UpstreamRequest, *, trace: Collector) -> Answer:
        """An AuthnRequest by the binding of the provider's metadata, signed unless it is set otherwise."""
        xml = messages.build_authn_request(
            request_id=request.request_id,
            issuer=entity_id(identity_provider),
            destination=identity_provider.sso_url,
            acs_url=acs_url(identity_provider),
            issued_at=timezone.now(),
            force_authn=request.force,
            contexts=request.contexts,
            name_id_format=identity_provider.name_id_format,
        )
        trace.message("AuthnRequest", xml)
        signer = saml_signing() if identity_provider.sign_requests else None
        if identity_provider.sso_binding == "post":
            fields = messages.post_form(xml, relay_state=request.relay_state, signer=signer)
            return Answer(identity_provider.sso_url, fields)
        return Answer(
            messages.redirect_url(identity_provider.sso_url, xml, relay_state=request.relay_state, signer=signer)
        )

    def finish(
        self, identity_provider: IdentityProvider, request: UpstreamRequest, raw_answer: str, *, trace: Collector
    ) -> VerifiedAssertion:
        """Verify the Response and claim its assertion: from here on it counts as used, whatever follows."""
        after = request.authenticated_after
        try:
            verified = self._verified(identity_provider, request.request_id, raw_answer, after=after, trace=trace)
        except IdentityProviderRefused as refusal:
            if request.contexts and STATUS_NO_AUTHN_CONTEXT in refusal.status_codes:
                raise context_refused(request, told=refusal.message) from refusal
            raise
        return self._used(identity_provider, verified, trace=trace)

    def check_unsolicited(self, identity_provider: IdentityProvider, raw_answer: str, *, trace: Collector) -> None:
        """Verify an answer that nobody asked for, without using it up. Raises BrokerError as below."""
        self._verified_unsolicited(identity_provider, raw_answer, trace=trace)

    def finish_unsolicited(
        self, identity_provider: IdentityProvider, raw_answer: str, *, trace: Collector
    ) -> VerifiedAssertion:
        """Verify and claim an answer that nobody asked for (SAML profiles section 4.1.5).

        Raises BrokerError("saml.unsolicited") where the operators have not opted in, and as for any other answer.
        """
        verified = self._verified_unsolicited(identity_provider, raw_answer, trace=trace)
        return self._used(identity_provider, verified, trace=trace)

    def _verified_unsolicited(
        self, identity_provider: IdentityProvider, raw_answer: str, *, trace: Collector
    ) -> VerifiedResponse:
        is_wanted = identity_provider.idp_initiated
        trace.check("idp initiated", passed=is_wanted, expected="switched on for this identity provider")
        if not is_wanted:
            raise BrokerError("saml.unsolicited", expected="a request of ours")
        return self._verified(identity_provider, NoRequest.UNSOLICITED, raw_answer, after=None, trace=trace)

    def _verified(
        self,
        identity_provider: IdentityProvider,
        request_id: str | NoRequest,
        raw_answer: str,
        *,
        after: datetime | None,
        trace: Collector,
    ) -> VerifiedResponse:
        expectation = ResponseExpectation(
            issuer=identity_provider.issuer,
            verification_certificates=tuple(
                base64.b64decode(certificate["der"]) for certificate in identity_provider.certificates
            ),
            audience=entity_id(identity_provider),
            acs_url=acs_url(identity_provider),
            request_id=request_id,
            now=timezone.now(),
            decryption_keys=saml_decryption_keys(),
            subject=subject_rule(identity_provider.subject),
            skew=timedelta(seconds=identity_provider.skew_seconds),
            sha1_accepted_until=identity_provider.sha1_accepted_until,
            authenticated_after=after,
        )
        return verify_response(decode_post(raw_answer), expectation, trace=trace)

    def _used(
        self, identity_provider: IdentityProvider, verified: VerifiedResponse, *, trace: Collector
    ) -> VerifiedAssertion:
        """Claim the assertion: it counts as used from here on."""
        self._claim(identity_provider, verified, trace=trace)
        return VerifiedAssertion(
            issuer=verified.issuer,
            subject=verified.subject,
            authenticated_at=min(verified.authenticated_at, timezone.now()),
            context=verified.context,
            attributes=verified.attributes,
            upstream_session=_upstream_session(verified),
            session_until=verified.session_not_on_or_after,
        )

    def _claim(self, identity_provider: IdentityProvider, verified: VerifiedResponse, *, trace: Collector) -> None:
        try:
            # Whatever follows commits before it answers: that somebody signed on, or why not.
            claim_once(
                "saml-assertion",
                f"{identity_provider.pk} {verified.assertion_id}",
                until=verified.valid_until,
                is_soon_durable=True,
            )
        except AlreadyUsed as error:
            trace.check("once", passed=False, expected="an assertion never seen", actual=verified.assertion_id)
            raise BrokerError("saml.replayed", detail=verified.assertion_id) from error
        trace.check("once", passed=True, expected="an assertion never seen", actual=verified.assertion_id)


def service_provider_metadata(identity_provider: IdentityProvider) -> bytes:
    """Our signed metadata towards this identity provider."""
    return write_service_provider(
        entity_id=entity_id(identity_provider),
        acs_url=acs_url(identity_provider),
        signing_certificates=saml_signing_certificates(),
        encryption_certificates=[saml_encryption_certificate()],
        signs_requests=identity_provider.sign_requests,
        signer=saml_signing(),
        name_id_formats=[identity_provider.name_id_format] if identity_provider.name_id_format else [],
    )


def subject_rule(stored: str) -> SubjectRule:
    """`name_id`, `attribute: <name>` or `attribute: <name> with <companion>` as the guard takes it."""
    if not stored.startswith(ATTRIBUTE_RULE):
        return SubjectRule()
    name, _, companion = stored.removeprefix(ATTRIBUTE_RULE).strip().partition(" with ")
    return SubjectRule(attribute=name.strip(), companion=companion.strip() or None)


def _upstream_session(verified: VerifiedResponse) -> dict[str, str]:
    """What the identity provider's logout will want to hear."""
    known = {"session_index": verified.session_index}
    if verified.name_id is not None:
        known |= {
            "name_id": verified.name_id.value,
            "name_id_format": verified.name_id.format,
            "name_qualifier": verified.name_id.name_qualifier,
            "sp_name_qualifier": verified.name_id.sp_name_qualifier,
        }
    return {key: value for key, value in known.items() if value}
