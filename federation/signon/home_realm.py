"""Home realm discovery: which identity provider a person comes from."""

from dataclasses import dataclass

from django.db.models import Q

from broker import limits
from broker.errors import BrokerError
from broker.registry.models import IdentityProvider
from broker.registry.services import find_home_realm, find_identity_provider, find_only_identity_provider
from broker.sessions.models import Session
from broker.traces.collector import Collector
from federation.assertions import SignOnRequest
from federation.claims.authority import scope_of
from federation.signon.testing import is_under_test


def find_realm(request: SignOnRequest, *, session: Session | None, trace: Collector) -> IdentityProvider | None:
    """The identity provider by the application's hint, by the e-mail domain of the login hint, that of the live
    session, which has to be renewed or stepped up and not chosen anew, or the only one.

    None: the person has to be asked. A hint that names none, or one that is switched off, is refused.
    """
    if request.identity_provider_hint:
        found = usable_identity_provider(request.identity_provider_hint)
        trace.note("The application names the identity provider.", identity_provider=found.slug)
        return found
    domain = "" if request.choose else scope_of(request.login_hint)
    if domain:
        by_domain = find_home_realm(domain)
        if by_domain:
            trace.note("The e-mail domain leads to an identity provider.", identity_provider=by_domain.slug)
            return by_domain
    if session is not None and not request.choose:
        trace.note("The session came from an identity provider.", identity_provider=session.identity_provider.slug)
        return find_identity_provider(session.identity_provider.slug)
    only = find_only_identity_provider()
    if only:
        trace.note("There is only one identity provider.", identity_provider=only.slug)
    return only


def usable_identity_provider(slug: str) -> IdentityProvider:
    """The identity provider under `slug`. Raises BrokerError when there is none, or it is switched off."""
    found = find_identity_provider(slug)
    if found is None:
        raise BrokerError("signon.no_identity_provider", detail="no identity provider under this slug", actual=slug)
    if not found.is_in_use:
        raise BrokerError("signon.identity_provider_disabled", expected="switched on", actual=f"{slug} is switched off")
    return found


def answering_identity_provider(slug: str, *, relay_state: str) -> IdentityProvider:
    """The identity provider whose answer comes in: one in use, or one that is tried out. Raises as above."""
    found = find_identity_provider(slug)
    if found is not None and not found.enabled and is_under_test(found, relay_state=relay_state):
        return found
    return usable_identity_provider(slug)


@dataclass(frozen=True, slots=True)
class Choices:
    """What the page that asks offers: a bounded list, and whether there are more."""

    identity_providers: list[IdentityProvider]
    has_more: bool


def list_choices(search: str = "") -> Choices:
    """The enabled identity providers whose name, organisation or domain matches `search`, a page of them."""
    found = IdentityProvider.objects.filter(enabled=True, retired_at=None, organisation__enabled=True)
    found = found.select_related("organisation")
    if search:
        found = found.filter(
            Q(name__icontains=search)
            | Q(organisation__name__icontains=search)
            | Q(home_realm_domains__name__icontains=search)
        ).distinct()
    page = list(found.order_by("name", "slug")[: limits.CHOICES_PER_PAGE + 1])
    return Choices(page[: limits.CHOICES_PER_PAGE], has_more=len(page) > limits.CHOICES_PER_PAGE)
