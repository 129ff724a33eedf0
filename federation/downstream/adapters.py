"""Which door answers which request."""

from collections.abc import Mapping
from typing import Any

from federation.downstream import oidc, saml
from federation.downstream.base import Downstream

DOORS: Mapping[str, Downstream] = {oidc.PROTOCOL: oidc, saml.PROTOCOL: saml}


def downstream_for(asked: dict[str, Any]) -> Downstream:
    """The door that read `asked`, which names its protocol."""
    return DOORS[asked["protocol"]]
