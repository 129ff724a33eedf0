"""What a SAML application is told of a person: the claims of its release rule, under their usual names."""

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

from broker.directory.models import Person
from broker.registry.models import Application
from federation.saml.attribute_names import FRIENDLY_NAME_OF_CLAIM, NAMES_OF_CLAIM
from federation.saml.names import ATTRIBUTE_NAME_BASIC, ATTRIBUTE_NAME_URI
from federation.saml.responses import Attribute
from federation.saml.writable import is_writable

SCOPES = ("openid", "profile", "email")
"""SAML knows no scopes: the release rule alone decides."""
WITHOUT_ATTRIBUTE = frozenset({"email_verified"})
"""What only OpenID Connect says; every address that leaves us is proved."""


def attributes_of(person: Person, application: Application) -> list[Attribute]:
    """The released claims as attributes, in the order of their names (settings.CLAIMS_RELEASER).

    A known claim bears its OID or URI and a friendly name, every other one its own name. A value that XML cannot hold
    is left out.
    """
    release = import_string(settings.CLAIMS_RELEASER)
    claims: dict[str, Any] = release(person=person, application=application, scopes=SCOPES)
    attributes = (_attribute(claim, value) for claim, value in claims.items() if claim not in WITHOUT_ATTRIBUTE)
    return sorted((one for one in attributes if one.values), key=lambda one: one.name)


def _attribute(claim: str, value: object) -> Attribute:
    values = [str(one) for one in _listed(value) if is_writable(str(one))]
    if claim in FRIENDLY_NAME_OF_CLAIM:
        return Attribute(NAMES_OF_CLAIM[claim][0], ATTRIBUTE_NAME_URI, FRIENDLY_NAME_OF_CLAIM[claim], values)
    return Attribute(claim, ATTRIBUTE_NAME_BASIC, "", values)


def _listed(value: object) -> Iterable[object]:
    return value if isinstance(value, list | tuple) else [value]
