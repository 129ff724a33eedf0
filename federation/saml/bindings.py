"""How a browser brings us an application's request: HTTP-Redirect and HTTP-POST (SAML bindings 3.4 and 3.5).

Nothing is judged here but the wrapping; everything that comes out is unverified.
"""

import base64
import binascii
import unicodedata
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from broker import limits
from broker.errors import BrokerError
from federation.saml.names import DEFLATE
from federation.saml.parsing import decode_post
from federation.saml.request_refusals import refused_as_request

READ = ("SAMLRequest", "RelayState", "SigAlg", "Signature", "SAMLEncoding")
SIGNED = ("SAMLRequest", "RelayState", "SigAlg")
"""What the signature of a Redirect is over, in this order (SAML bindings 3.4.4.1)."""
# Control characters and half surrogate pairs: a form would not give them back as they came.
_UNWRITABLE = frozenset({"Cc", "Cs"})


@dataclass(frozen=True, slots=True)
class QuerySignature:
    """The signature that came beside a Redirect message, unverified."""

    octets: bytes
    """What it is over: the octets of the query as they came, before any decoding."""
    algorithm: str
    value: bytes


@dataclass(frozen=True, slots=True)
class CarriedRequest:
    """A request as it came: the XML (unverified), the RelayState to give back, a signature beside it if any."""

    raw: bytes
    relay_state: str
    query_signature: QuerySignature | None = None


@refused_as_request()
def read_redirect(raw_query: str) -> CarriedRequest:
    """A request by HTTP-Redirect; `raw_query` is the query as it stood in the address, undecoded.

    Raises request.malformed, saml_idp.encoding, saml_idp.too_large and saml_idp.relay_state.
    """
    raw_values = _raw_values(raw_query)
    if _text(raw_values, "SAMLEncoding") not in ("", DEFLATE):
        raise BrokerError("saml.encoding", expected=DEFLATE, actual=_text(raw_values, "SAMLEncoding")[:200])
    return CarriedRequest(
        raw=_inflate(_octets(raw_values, "SAMLRequest")),
        relay_state=_check_relay_state(_text(raw_values, "RelayState")),
        query_signature=_query_signature(raw_values),
    )


@refused_as_request()
def read_form(fields: Mapping[str, Sequence[str]]) -> CarriedRequest:
    """A request by HTTP-POST; `fields` are the form's, each with all its values.

    Raises request.malformed, saml_idp.encoding, saml_idp.too_large and saml_idp.relay_state.
    """
    for name in ("SAMLRequest", "RelayState"):
        values = fields.get(name, ())
        if len(values) > 1 or (name == "SAMLRequest" and not values):
            raise BrokerError("request.malformed", expected=f"{name} once", actual=f"{len(values)} times")
    relay_state = _check_relay_state(next(iter(fields.get("RelayState", ())), ""))
    return CarriedRequest(decode_post(fields["SAMLRequest"][0]), relay_state)


def read_relay_state(values: Sequence[str]) -> str:
    """A RelayState that came without a request. Raises request.malformed and saml_idp.relay_state."""
    if len(values) > 1:
        raise BrokerError("request.malformed", expected="RelayState at most once", actual=f"{len(values)} times")
    return _check_relay_state(next(iter(values), ""))


def _raw_values(raw_query: str) -> dict[str, str]:
    """The undecoded values of the parameters that are read, each of which stands once and spelled plainly.

    A second spelling (`SAML%52equest`) or a second value would leave it open which one was signed.
    """
    if not raw_query.isascii():
        raise BrokerError("request.malformed", expected="a query in ASCII", actual="other characters")
    found: dict[str, str] = {}
    for pair in raw_query.split("&"):
        raw_name, _, raw_value = pair.partition("=")
        name = unquote_to_bytes(raw_name).decode("utf-8", "replace")
        if name not in READ:
            continue
        if name != raw_name or name in found:
            raise BrokerError("request.malformed", expected=f"{name} once, spelled plainly", actual=pair[:100])
        found[name] = raw_value
    if "SAMLRequest" not in found:
        raise BrokerError("request.malformed", expected="SAMLRequest once", actual="none")
    return found


def _query_signature(raw_values: Mapping[str, str]) -> QuerySignature | None:
    if "Signature" not in raw_values and "SigAlg" not in raw_values:
        return None
    if "Signature" not in raw_values or "SigAlg" not in raw_values:
        raise BrokerError("request.malformed", expected="SigAlg and Signature", actual="one of them")
    octets = "&".join(f"{name}={raw_values[name]}" for name in SIGNED if name in raw_values)
    return QuerySignature(octets.encode("ascii"), _text(raw_values, "SigAlg"), _octets(raw_values, "Signature"))


def _text(raw_values: Mapping[str, str], name: str) -> str:
    """A value as text; an absent one is empty."""
    try:
        return unquote_to_bytes(raw_values.get(name, "").replace("+", " ")).decode("utf-8")
    except UnicodeDecodeError as error:
        raise BrokerError("request.malformed", expected=f"{name} in UTF-8", actual="other bytes") from error


def _octets(raw_values: Mapping[str, str], name: str) -> bytes:
    """The octets of a base64 value, whose plus signs some senders leave as they are."""
    try:
        return base64.b64decode(b"".join(unquote_to_bytes(raw_values[name]).split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BrokerError("saml.encoding", detail=f"{name} is not base64: {error}") from error


def _inflate(octets: bytes) -> bytes:
    """Raw DEFLATE (RFC 1951), bounded while it grows: a small message can hold gigabytes."""
    inflater = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    try:
        raw = inflater.decompress(octets, limits.SAML_MESSAGE_BYTES + 1)
    except zlib.error as error:
        raise BrokerError("saml.encoding", detail=f"not DEFLATE: {error}") from error
    if len(raw) > limits.SAML_MESSAGE_BYTES:
        raise BrokerError("saml.too_large", expected=limits.SAML_MESSAGE_BYTES, actual="more")
    if not inflater.eof or inflater.unused_data:
        raise BrokerError("saml.encoding", detail="the DEFLATE stream ends too early or too late")
    return raw


def _check_relay_state(relay_state: str) -> str:
    expected = f"at most {limits.SAML_RELAY_STATE_CHARS} characters, none of them a control character"
    if len(relay_state) > limits.SAML_RELAY_STATE_CHARS or any(
        unicodedata.category(character) in _UNWRITABLE for character in relay_state
    ):
        raise BrokerError("saml_idp.relay_state", expected=expected, actual=ascii(relay_state[:100]))
    return relay_state
