"""To which key a token is bound (`cnf`, RFC 7800): by a DPoP proof (RFC 9449) or by the TLS certificate (RFC 8705)."""

from collections.abc import Mapping
from datetime import datetime

from broker.registry.models import Client
from broker.tokens.attempts import Attempt
from broker.tokens.dpop import check_proof
from broker.tokens.errors import InvalidGrant, InvalidProof, InvalidRequest
from broker.tokens.requests import ClientRequest

KEY = "jkt"
CERTIFICATE = "x5t#S256"


def read_confirmation(request: ClientRequest, *, client: Client, attempt: Attempt, now: datetime) -> Mapping[str, str]:
    """`cnf` of the tokens that this request may bring: empty for a client that shows no key and need not.

    Raises InvalidProof, UseNonce, and InvalidRequest for a client that has to come with its certificate and does not.
    """
    confirmation: dict[str, str] = {}
    if request.raw_proof:
        confirmation[KEY] = check_proof(
            request.raw_proof, method="POST", address=request.address, now=now, trace=attempt.trace
        )
    elif client.dpop_bound_access_tokens:
        raise InvalidProof("absent", expected="a DPoP proof", actual="none")
    if client.tls_client_certificate_bound_access_tokens:
        certificate = request.certificate
        if certificate is None:
            raise InvalidRequest("certificate", expected="a client certificate in TLS", actual="none")
        confirmation[CERTIFICATE] = certificate.thumbprint
    return confirmation


def check_bound(bound_to: Mapping[str, str], shown: Mapping[str, str]) -> None:
    """What is bound to a key is redeemed by who shows one: that one, where it is named. Raises InvalidGrant.

    An empty thumbprint stands for any key of the client: what it refreshes stays bound, and its key may change
    (RFC 9449 section 5, for clients that authenticate, as all of ours do).
    """
    for name, thumbprint in bound_to.items():
        if name not in shown or (thumbprint and shown[name] != thumbprint):
            raise InvalidGrant("binding", actual="another key" if name in shown else "none")
