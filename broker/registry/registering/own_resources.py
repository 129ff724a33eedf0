"""The resources that we are ourselves: the APIs of ours that take our tokens, by settings.PROTECTED_RESOURCES."""

from collections.abc import Iterable, Mapping

from django.conf import settings

from broker.registry.values import BadValue

USERINFO = "oauth/userinfo"
"""Its tokens come with a sign-on; there is no flow to it, and so no row."""


def own_resources() -> dict[str, Mapping[str, str]]:
    """{identifier: {scope: what it allows}}."""
    return {
        f"{settings.BROKER_BASE_URL}/{path}": scopes
        for path, scopes in settings.PROTECTED_RESOURCES.items()
        if path != USERINFO
    }


def check_own_scopes(identifier: str, scopes: Iterable[str]) -> None:
    """What our own APIs let in is in their code: no registration gives them other scopes. Raises BadValue."""
    if identifier == f"{settings.BROKER_BASE_URL}/{USERINFO}":
        raise BadValue(f"{identifier} is our own; its tokens come with a sign-on, and nothing is registered for it")
    own = own_resources().get(identifier)
    if own is not None and set(scopes) != set(own):
        raise BadValue(f"{identifier} is our own API; its scopes are {', '.join(own)}")


def check_not_own(identifier: str) -> None:
    """Our own APIs stay. Raises BadValue."""
    if identifier in own_resources():
        raise BadValue(f"{identifier} is our own API, and stays")
