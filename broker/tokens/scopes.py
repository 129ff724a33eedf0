"""Scopes of a sign-on, and scopes of a resource: asked for in one list, and told apart here."""

from collections.abc import Iterable

from broker.registry.values import SIGN_ON_SCOPES

OFFLINE = "offline_access"


def split_scopes(scopes: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(those of the sign-on, the others), each in their order."""
    listed = tuple(scopes)
    sign_on = tuple(scope for scope in listed if scope in SIGN_ON_SCOPES)
    return sign_on, tuple(scope for scope in listed if scope not in SIGN_ON_SCOPES)
