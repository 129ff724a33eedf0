"""What a verified AuthnRequest may ask for; an application hears which of its wishes cannot be granted."""

from collections.abc import Callable
from dataclasses import dataclass

from broker.errors import BrokerError
from broker.registry.models import ServiceProvider
from federation.checks import Compared
from federation.downstream.name_ids import can_be_compared, kind_for
from federation.downstream.saml_contexts import contexts_good_enough
from federation.saml.verified import VerifiedRequest


@dataclass(frozen=True, slots=True)
class Wish:
    """A verified request, and the application that it comes from."""

    request: VerifiedRequest
    face: ServiceProvider


def check_name_id_policy(wish: Wish) -> Compared:
    """The kind of name that is asked for is one that the application may have."""
    return f"what {wish.face.name_id} allows", kind_for(wish.face, wish.request.name_id_policy)


def check_subject(wish: Wish) -> Compared:
    """The person who is asked for, if one is, is named in a way that can be compared with who signs on."""
    wanted = wish.request.subject
    if wanted is not None and not can_be_compared(wanted):
        expected = "a persistent NameID or an e-mail address as Subject"
        raise BrokerError("saml_idp.subject", expected=expected, actual=wanted.format)
    return "anybody" if wanted is None else "a Subject that can be compared", wanted.format if wanted else "nobody"


def check_proxying(wish: Wish) -> Compared:
    """Another identity provider may be asked: a ProxyCount of zero forbids what a broker is (SAML core 3.4.1.5)."""
    count = wish.request.proxy_count
    if count == 0:
        raise BrokerError("saml_idp.proxying", expected="a ProxyCount of at least 1, or none", actual=count)
    return "a ProxyCount of at least 1, or none", count


def check_contexts(wish: Wish) -> Compared:
    """There is a context that could be good enough."""
    wanted = contexts_good_enough(wish.request.contexts)
    return ", ".join(wanted) or "any context", f"{wish.request.contexts.comparison} of what was named"


WISHES: tuple[Callable[[Wish], Compared], ...] = (check_name_id_policy, check_subject, check_proxying, check_contexts)
