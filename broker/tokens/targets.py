"""Which resource a request asks a token for (RFC 8707 section 2, RFC 8693 section 2.1). One token has one audience."""

from broker.registry.models import Resource
from broker.registry.services import find_resource
from broker.tokens.errors import InvalidTarget
from broker.tokens.requests import TokenRequest


def read_target(request: TokenRequest) -> Resource | None:
    """The resource that `resource` or `audience` names; None where neither stands. Raises InvalidTarget.

    Both may stand when they name the same one: some clients send the two.
    """
    named = {request.parameters[name] for name in ("resource", "audience") if name in request.parameters}
    if not named:
        return None
    if len(named) > 1:
        raise InvalidTarget("several", expected="one resource", actual=len(named))
    identifier = named.pop()
    resource = find_resource(identifier)
    if resource is None:
        raise InvalidTarget("unknown", expected="a registered resource", actual=identifier[:200])
    return resource
