"""What an identity provider said, once every check has passed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class NameID:
    """A saml:NameID as it came; an absent attribute is an empty text."""

    value: str
    format: str
    name_qualifier: str = ""
    sp_name_qualifier: str = ""


@dataclass(frozen=True, slots=True)
class VerifiedResponse:
    """The claims of one answer; only `guard.verify_response` makes one. One-time use is still to be claimed."""

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
