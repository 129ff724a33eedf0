"""What an identity provider said, or an application asked, once every check has passed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class NameID:
    """A saml:NameID as it came; an absent attribute is an empty text."""

    value: str
    format: str
    name_qualifier: str = ""
    sp_name_qualifier: str = ""


@dataclass(frozen=True, slots=True)
class VerifiedResponse:
    """The claims of one answer; only the guard makes one. One-time use is still to be claimed."""

    issuer: str
    response_id: str
    """The Response's ID where the Response is signed, else an empty text."""
    assertion_id: str
    subject: str
    """The key of the person at this identity provider, by its subject rule."""
    subject_format: str
    """The NameID's format, or the name of the attribute that the rule took."""
    name_id: NameID | None
    authenticated_at: datetime
    session_index: str
    session_not_on_or_after: datetime | None
    context: str
    """The authentication context's class, or declaration, or an empty text."""
    attributes: Mapping[str, tuple[str, ...]]
    """Values by the attribute's Name."""
    friendly_names: Mapping[str, str]
    """FriendlyName by Name: for people to read, never to find an attribute by (SAML core 2.7.3.1)."""
    valid_until: datetime
    """Until when the assertion could be accepted once more: how long its ID must be remembered."""
    ends_at: datetime
    """The earliest end that the assertion names."""


class Comparison(StrEnum):
    """How the context that is reached has to compare with those that were asked for (SAML core 3.3.2.2.1)."""

    EXACT = "exact"
    MINIMUM = "minimum"
    BETTER = "better"
    MAXIMUM = "maximum"


@dataclass(frozen=True, slots=True)
class RequestedContexts:
    """A samlp:RequestedAuthnContext; without references any context is good."""

    comparison: Comparison = Comparison.EXACT
    references: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NameIDPolicy:
    """What kind of name an application asks for (SAML core 3.4.1.1); an empty text asks for nothing."""

    format: str = ""
    sp_name_qualifier: str = ""


@dataclass(frozen=True, slots=True)
class VerifiedRequest:
    """What an application asks; only `requests.verify_request` makes one."""

    issuer: str
    request_id: str
    acs_url: str
    """Where the answer goes: an address of the registered metadata."""
    relay_state: str
    """To be given back unchanged. It is signed by nobody where the request came by HTTP-POST."""
    is_signed: bool
    force: bool
    passive: bool
    name_id_policy: NameIDPolicy
    contexts: RequestedContexts
    subject: NameID | None
    """The person whom the application wants; its format is `NAME_ID_ENCRYPTED` where it cannot be read."""
    proxy_count: int | None
