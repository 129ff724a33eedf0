"""The rules that every policy set has. They are Cedar like all others, and shown beside them."""

from collections.abc import Iterable

from broker.access.policy import Rule

SLUG = "built-in"
SIGN_ON = "sign_on"
APPLICATION = "Application"
_LEAVERS = """@id("inactive-person")
@reason_user("This account is closed.")
forbid (principal is User, action, resource)
when { principal has active && !principal.active };

@id("inactive-client")
@reason_user("This client is switched off.")
forbid (principal is Client, action, resource)
when { principal has active && !principal.active };
"""
_SIGN_ON = """
@id("sign-on-default")
permit (principal is User, action == Action::"sign_on", resource is Application)
when { principal.known && resource has enabled && resource.enabled }"""


def builtin_source(rules: Iterable[Rule]) -> str:
    """The built-in rules beside `rules`: who is closed may nothing, and who may enter an application that no rule
    governs: everybody known.

    An application is governed by a rule that permits `sign_on` by name: then only what rules permit holds there. A
    rule that only forbids narrows the default.
    """
    governed: set[str] = set()
    for rule in rules:
        if not rule.is_permit or rule.actions is None or SIGN_ON not in rule.actions:
            continue
        if rule.resource_types is not None and APPLICATION not in rule.resource_types:
            continue
        if rule.resources is None:
            return _LEAVERS
        governed |= rule.resources
    if not governed:
        return f"{_LEAVERS}{_SIGN_ON};\n"
    named = ", ".join(f"{APPLICATION}::{_quoted(slug)}" for slug in sorted(governed))
    return f"{_LEAVERS}{_SIGN_ON}\nunless {{ [{named}].contains(resource) }};\n"


def _quoted(text: str) -> str:
    """A text as Cedar writes it. Every sign that is no plain letter is spelled out."""
    return (
        '"'
        + "".join(one if one.isascii() and (one.isalnum() or one in "-_.") else f"\\u{{{ord(one):x}}}" for one in text)
        + '"'
    )
