"""The person who signs on in every bench, and what her identity provider says of her."""

from collections.abc import Mapping

NAME = "Alice Ålesund"
GROUPS = ("engineering", "on call")
MAIL = "urn:oid:0.9.2342.19200300.100.1.3"
DISPLAY_NAME = "urn:oid:2.16.840.1.113730.3.1.241"
IS_MEMBER_OF = "urn:oid:1.3.6.1.4.1.5923.1.5.1.1"


def mail_at(domain: str) -> str:
    return f"alice@{domain}"


def attributes_at(domain: str) -> Mapping[str, str | tuple[str, ...]]:
    """SAML attributes by name."""
    return {MAIL: mail_at(domain), DISPLAY_NAME: NAME, IS_MEMBER_OF: GROUPS}
