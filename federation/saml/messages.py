"""AuthnRequests, and how a browser carries them (SAML core 3.4.1; SAML bindings 3.4 and 3.5)."""

import base64
import zlib
from collections.abc import Sequence
from datetime import datetime
from urllib.parse import quote

from lxml import etree

from federation.saml.instants import write_instant
from federation.saml.names import BINDING_POST
from federation.saml.signing import Signer, percent_base64, sign_enveloped, sign_query
from federation.saml.writing import element

_ZLIB_MEMORY = 5


def build_authn_request(
    *,
    request_id: str,
    issuer: str,
    destination: str,
    acs_url: str,
    issued_at: datetime,
    force_authn: bool = False,
    is_passive: bool = False,
    name_id_format: str = "",
    contexts: Sequence[str] = (),
) -> str:
    """The XML of an AuthnRequest, not signed yet.

    `request_id` is an xs:ID with at least 128 random bits; the answer names it. AllowCreate is always set, for a
    first login must be able to make an identifier. `contexts` are AuthnContextClassRefs, of which one is to be
    reached exactly; none: any is good.
    """
    request = element(
        "samlp:AuthnRequest",
        element("saml:Issuer", text=issuer),
        element("samlp:NameIDPolicy", Format=name_id_format or None, AllowCreate="true"),
        _requested_context(contexts),
        ID=request_id,
        Version="2.0",
        IssueInstant=write_instant(issued_at),
        Destination=destination,
        AssertionConsumerServiceURL=acs_url,
        ProtocolBinding=BINDING_POST,
        # What is false by default is left out: some identity providers trip over it.
        ForceAuthn="true" if force_authn else None,
        IsPassive="true" if is_passive else None,
    )
    return etree.tostring(request, encoding="unicode")


def redirect_url(destination: str, xml: str, *, relay_state: str = "", signer: Signer | None = None) -> str:
    """The address to send a browser to with a request by HTTP-Redirect; `destination` may have a query already."""
    # With little memory: to clear what zlib takes otherwise, a quarter of a megabyte, takes longer than the message.
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS, memLevel=_ZLIB_MEMORY)
    octets = deflate.compress(xml.encode("utf-8")) + deflate.flush()
    query = f"SAMLRequest={percent_base64(octets)}"
    if relay_state:
        query += f"&RelayState={quote(relay_state, safe='')}"
    if signer is not None:
        query = sign_query(query, signer=signer)
    return f"{destination}{'&' if '?' in destination else '?'}{query}"


def post_form(xml: str, *, relay_state: str = "", signer: Signer | None = None) -> dict[str, str]:
    """The fields of a form that carries a request by HTTP-POST, signed inside the message."""
    octets = xml.encode("utf-8")
    if signer is not None:
        octets = sign_enveloped(octets, signer=signer)
    fields = {"SAMLRequest": base64.b64encode(octets).decode("ascii")}
    return fields | {"RelayState": relay_state} if relay_state else fields


def _requested_context(contexts: Sequence[str]) -> etree._Element | None:
    if not contexts:
        return None
    references = [element("saml:AuthnContextClassRef", text=one) for one in contexts]
    return element("samlp:RequestedAuthnContext", *references, Comparison="exact")
