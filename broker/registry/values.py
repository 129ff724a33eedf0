"""What a registered value may look like: each function returns the value in its one form, or raises BadValue.

The configuration file, the console's forms and the registering services ask the same functions.
"""

import hashlib
import re
import uuid
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from broker.env import is_loopback

URL_CHARS = 1024
EMAIL_CHARS = 254
NAME_CHARS = 200
"""Of names and other short texts."""
SIGN_ON_SCOPES = ("openid", "profile", "email", "groups", "offline_access")
"""What an application may ask about a person (OpenID Connect Core 5.4 and 11)."""
REDIRECT_URI_CHARS = 2048
PRINTED_CHARS = 300
"""A longer text (metadata) is shown as its digest."""
_SLUG = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_CLIENT_ID = re.compile(r"[\x21-\x7e]{1,200}")
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,128}")
_CLAIM = re.compile(r"[A-Za-z][A-Za-z0-9_.:/-]{0,127}")
_URL = re.compile(r"[\x21-\x7e]+")
_KEY_TYPES = ("RSA", "EC", "OKP")
_PRIVATE_MEMBERS = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")


class BadValue(ValueError):
    """A value that a party cannot have. The message is for operators and repeats no secret."""


def slug(text: str) -> str:
    """The stable name of a party, which stands in addresses: lower case, digits, - and _."""
    if not _SLUG.fullmatch(text):
        raise BadValue(f"{text!r} is no slug: lower-case letters, digits, - and _, at most 64, a letter or digit first")
    return text


def email(text: str) -> str:
    """An e-mail address."""
    try:
        validate_email(text)
    except ValidationError as error:
        raise BadValue(f"{text!r} is not an e-mail address") from error
    if len(text) > EMAIL_CHARS:
        raise BadValue(f"the e-mail address has more than {EMAIL_CHARS} characters")
    return text


def domain(text: str) -> str:
    """A domain of at least two labels, in lower case and ASCII (RFC 1035 section 2.3.1)."""
    name = text.lower()
    labels = name.split(".")
    if len(name) > 253 or len(labels) < 2 or not all(_LABEL.fullmatch(label) for label in labels):
        raise BadValue(f"{text!r} is not a domain; write it without @, dots at its ends or wildcards, and as xn--…")
    return name


def domains(texts: Iterable[str]) -> list[str]:
    """Domains without repetition, sorted."""
    return sorted({domain(text) for text in texts})


def web_address(text: str) -> str:
    """An absolute https URL; plain http for this machine only."""
    if len(text) > URL_CHARS:
        raise BadValue(f"the address has more than {URL_CHARS} characters")
    _check_address(text)
    return text


def issuer(text: str) -> str:
    """An OpenID issuer: an https URL without query and fragment (OpenID Connect Discovery 2)."""
    web_address(text)
    if "?" in text or "#" in text:
        raise BadValue(f"{text!r} is no issuer: it has a query or a fragment")
    return text


def logout_uri(text: str) -> str:
    """Where logout tokens go: no fragment, which nobody would send (OpenID Connect Back-Channel Logout 1.0, 2.2)."""
    web_address(text)
    if "#" in text:
        raise BadValue(f"{text!r} has a fragment")
    return text


def redirect_uri(text: str) -> str:
    """A redirect URI as it will be compared, character by character (RFC 6749 section 3.1.2, RFC 9700 section 2.1)."""
    if len(text) > REDIRECT_URI_CHARS:
        raise BadValue(f"the redirect URI has more than {REDIRECT_URI_CHARS} characters")
    if "#" in text:
        raise BadValue(f"{text!r} has a fragment, which a redirect URI must not have")
    if "*" in text:
        raise BadValue(f"{text!r} has a wildcard; redirect URIs are compared character by character")
    _check_address(text)
    return text


def redirect_uris(texts: Iterable[str]) -> list[str]:
    """Redirect URIs in their order, without repetition."""
    return list(dict.fromkeys(redirect_uri(text) for text in texts))


def client_id(text: str) -> str:
    """A client identifier: visible ASCII (RFC 6749 appendix A.1), without spaces."""
    if not _CLIENT_ID.fullmatch(text):
        raise BadValue(f"{text!r} is no client_id: visible ASCII characters without spaces, at most 200")
    return text


def own_client_id(text: str) -> str:
    """The identifier of a client of ours; never a UUID, which is a subject of a person (RFC 9700 section 4.15)."""
    client_id(text)
    try:
        uuid.UUID(text)
    except ValueError:
        return text
    raise BadValue(f"{text!r} is no client_id here: UUIDs are the subjects of people, which a client's must not equal")


def scope(text: str) -> str:
    """One scope token (RFC 6749 section 3.3)."""
    if not _SCOPE.fullmatch(text):
        raise BadValue(f"{text!r} is no scope: visible ASCII characters without spaces, quotes or backslashes")
    return text


def resource_scope(text: str) -> str:
    """A scope of a resource; never one of a sign-on, since one request may ask for both."""
    if scope(text) in SIGN_ON_SCOPES:
        raise BadValue(f"{text!r} is a scope of every sign-on; name the resource's own differently")
    return text


def resource_identifier(text: str) -> str:
    """An absolute URI without a fragment (RFC 8707 section 2)."""
    parts = _split(text)
    if not _URL.fullmatch(text) or not parts[0] or "#" in text or len(text) > 512:
        raise BadValue(
            f"{text!r} is no resource identifier: an absolute URI without a fragment, at most 512 characters"
        )
    return text


def claim_name(text: str) -> str:
    """The name of one of our claims."""
    if not _CLAIM.fullmatch(text):
        raise BadValue(f"{text!r} is no claim name: letters, digits and _.:/- with a letter first")
    return text


def match_claim(text: str) -> str:
    """The claim by which a login's person is matched."""
    if len(text) > 64:
        raise BadValue("the claim of a match has at most 64 characters")
    return claim_name(text)


def subject_rule(text: str) -> str:
    """`name_id` (SAML), `sub` (OpenID), `attribute: <name>`, or `attribute: <name> with <companion>`."""
    if text in ("name_id", "sub"):
        return text
    kind, colon, rest = text.partition(":")
    words = rest.split()
    named = kind == "attribute" and colon and (len(words) == 1 or (len(words) == 3 and words[1] == "with"))
    if not named:
        raise BadValue(f'{text!r} is no subject rule: name_id, sub, or "attribute: <name>"')
    if len(rest) > NAME_CHARS - len("attribute: "):
        raise BadValue("the attribute of the subject rule has a name that is too long")
    return f"attribute: {' '.join(words)}"


def key_set(keys: object) -> dict[str, object]:
    """A JSON Web Key Set of public keys (RFC 7517 section 5)."""
    listed = keys.get("keys") if isinstance(keys, Mapping) else None
    if not isinstance(listed, list) or not listed or not all(isinstance(key, dict) for key in listed):
        raise BadValue('is no key set: {"keys": [...]} with at least one key')
    for number, key in enumerate(listed):
        if key.get("kty") not in _KEY_TYPES:
            raise BadValue(
                f"key {number} is of the kind {key.get('kty')!r}; only {', '.join(_KEY_TYPES)} can be public"
            )
        if any(member in key for member in _PRIVATE_MEMBERS):
            raise BadValue(f"key {number} holds a private key: register public keys only, and replace this one")
    return {"keys": listed}


def printable(value: Any) -> Any:
    """`value` as JSON that an operator can compare: long texts as digests, certificates as
    fingerprints."""
    if isinstance(value, str):
        value = str(value)  # a TextChoices member
        return value if len(value) <= PRINTED_CHARS else f"sha256:{hashlib.sha256(value.encode()).hexdigest()}"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return value["fingerprint"] if "fingerprint" in value else {name: printable(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [printable(one) for one in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    # Another party is named by its slug, which stays.
    return str(getattr(value, "slug", value))


def _check_address(text: str) -> None:
    scheme, host, has_credentials = _split(text)
    if not _URL.fullmatch(text) or "\\" in text or not host:
        raise BadValue(f"{text!r} is not an absolute URL in ASCII")
    if has_credentials:
        raise BadValue("the address holds a name or a password")
    if scheme != "https" and not (scheme == "http" and is_loopback(host)):
        raise BadValue(f"{text!r} must begin with https:// (plain http is for this machine only)")


def _split(text: str) -> tuple[str, str, bool]:
    """Scheme, host, and whether credentials stand before the host."""
    try:
        parts = urlsplit(text)
        _ = parts.port  # a port out of range raises here
    except ValueError as error:
        raise BadValue(f"{text!r} is not a URL") from error
    return parts.scheme, parts.hostname or "", "@" in parts.netloc
