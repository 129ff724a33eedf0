"""The OpenID provider's side of a sign-on: reading what an application asks, and answering with a code or an error.

RFC 6749 section 4.1, OpenID Connect Core 3.1.2, OAuth 2.0 Form Post Response Mode, RFC 9207.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from django.conf import settings

from broker.actors import Actor
from broker.errors import BrokerError
from broker.registry.models import Resource
from broker.registry.services import find_client, find_resource
from broker.sessions.models import Participant, Session
from broker.tokens.authorization import (
    AuthorizationRefused,
    AuthorizationRequest,
    ReturnAddress,
    issue_code,
    read_authorization_request,
)
from broker.tokens.clients import is_in_use
from broker.tokens.errors import InvalidTarget, LoginRequired, OAuthError
from broker.tokens.subjects import subject_of
from broker.traces.collector import Collector
from federation.assertions import Answer, SignOnRequest
from federation.contexts import told

PROTOCOL = "oidc"
ERROR_OF_CODE: Mapping[str, str] = {
    "signon.login_required": "login_required",
    # Its own word, interaction_required, is not what applications wait for when they ask whether anybody is here.
    "signon.interaction_required": "login_required",
    "signon.context_not_reached": "unmet_authentication_requirements",
    "oauth.server_error": "temporarily_unavailable",
    "service.unavailable": "temporarily_unavailable",
    "service.fault": "server_error",
    "request.too_many": "temporarily_unavailable",
}
"""What a refusal that is not OAuth's own is called over the wire; every other one is `access_denied`."""


def read(raw_parameters: Mapping[str, list[str]], *, collector: Collector | None = None) -> SignOnRequest:
    """Read an authorization request: each parameter with all its values.

    Raises AuthorizationRefused, for which `refuse_request` has the answer, and any other BrokerError for a page of
    ours: nothing is sent to an address that is not known to be the application's.
    """
    request = read_authorization_request(raw_parameters, collector=collector)
    client = request.client
    if client.application is None:
        raise BrokerError("oauth.unknown_client", expected="an application's client", actual=client.client_id)
    return SignOnRequest(
        application=client.application,
        client=client,
        asked=_write_asked(request),
        passive="none" in request.prompts,
        force="login" in request.prompts,
        choose="select_account" in request.prompts,
        max_age=request.max_age,
        contexts=request.contexts,
        login_hint=request.login_hint,
        identity_provider_hint=request.identity_provider_hint,
    )


def respond(
    asked: dict[str, Any],
    *,
    session: Session,
    participant: Participant,
    actor: Actor,
    trace: Collector,  # noqa: ARG001 - what the code stands for is shown when it is redeemed
) -> Answer:
    """The answer that carries a code; runs in the transaction that joins the session.

    The client is looked at again: what was registered when the sign-on began may have been withdrawn since. Raises
    BrokerError (signon.application_disabled, oauth.redirect_uri) for a page of ours, and LoginRequired when the
    person is another than the application's id_token_hint named.
    """
    client = find_client(asked["client_id"])
    if client is None or not is_in_use(client) or client.application_id != participant.application_id:
        raise BrokerError("signon.application_disabled", expected="enabled", actual=asked["client_id"])
    if asked["redirect_uri"] not in client.redirect_uris:
        expected = " or ".join(client.redirect_uris)
        raise BrokerError("oauth.redirect_uri", expected=expected, actual=asked["redirect_uri"])
    expected_subject = asked["expected_subject"]
    if expected_subject and subject_of(client, session.person) != expected_subject:
        raise LoginRequired("other_person", expected="the person of the id_token_hint", actual="another person")
    code = issue_code(
        client,
        session=session,
        participant=participant,
        redirect_uri=asked["redirect_uri"],
        scopes=asked["scopes"],
        nonce=asked["nonce"],
        code_challenge=asked["code_challenge"],
        context=told(session.context, asked.get("contexts", [])),
        resource=_find_resource(asked.get("resource", "")),
        dpop_thumbprint=asked.get("dpop_thumbprint", ""),
        actor=actor,
    )
    return _answer(_return_address(asked), {"code": code})


def _find_resource(identifier: str) -> Resource | None:
    """The resource that was asked for, looked at again: it may have gone since. Raises InvalidTarget."""
    if not identifier:
        return None
    resource = find_resource(identifier)
    if resource is None:
        raise InvalidTarget("unknown", expected="a registered resource", actual=identifier)
    return resource


def refuse(asked: dict[str, Any], error: BrokerError) -> Answer:
    """The error answer to a sign-on that was read and then refused (RFC 6749 section 4.1.2.1)."""
    return _answer(_return_address(asked), _error_parameters(error))


def refuse_request(refused: AuthorizationRefused) -> Answer:
    """The error answer to a request that `read` refused."""
    return _answer(refused.return_to, _error_parameters(refused))


def _write_asked(request: AuthorizationRequest) -> dict[str, Any]:
    return {
        "protocol": PROTOCOL,
        "client_id": request.client.client_id,
        "redirect_uri": request.return_to.redirect_uri,
        "state": request.return_to.state,
        "response_mode": request.return_to.response_mode,
        "scopes": list(request.scopes),
        "nonce": request.nonce,
        "code_challenge": request.code_challenge,
        "contexts": list(request.contexts),
        "expected_subject": request.expected_subject,
        "resource": request.resource,
        "dpop_thumbprint": request.dpop_thumbprint,
    }


def _return_address(asked: dict[str, Any]) -> ReturnAddress:
    return ReturnAddress(asked["redirect_uri"], asked["state"], asked["response_mode"])


def _error_parameters(error: BrokerError) -> dict[str, str]:
    if isinstance(error, AuthorizationRefused | OAuthError):
        wire = error.error
    else:
        wire = ERROR_OF_CODE.get(error.code, "access_denied")
    return {"error": wire, "error_description": error.refusal.meaning}


def _answer(return_to: ReturnAddress, parameters: dict[str, str]) -> Answer:
    """Send `parameters` with the state and our issuer (RFC 9207), in the mode that was asked for."""
    fields = dict(parameters)
    if return_to.state:
        fields["state"] = return_to.state
    fields["iss"] = settings.BROKER_BASE_URL
    if return_to.response_mode == "form_post":
        return Answer(return_to.redirect_uri, fields)
    # A registered query string stays letter by letter (RFC 6749 section 3.1.2).
    uri = return_to.redirect_uri
    glue = "" if uri.endswith(("?", "&")) else "&" if "?" in uri else "?"
    return Answer(f"{uri}{glue}{urlencode(fields)}")
