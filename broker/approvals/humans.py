"""Who is behind a console account. Four eyes are two humans, not two accounts."""

from collections.abc import Iterable
from typing import Any

from django.contrib.auth import get_user_model

from broker.actors import Actor, ActorKind
from broker.errors import BrokerError


def operator_behind(actor: Actor) -> Any:
    """The operator's account. Raises BrokerError approval.not_allowed when the actor is none."""
    accounts = get_user_model()._default_manager.select_related("person")
    email = actor.identifier.strip().lower()
    found = accounts.filter(email=email).first() if actor.kind is ActorKind.OPERATOR else None
    if found is None:
        raise BrokerError("approval.not_allowed", detail="no operator", expected="an operator", actual=actor.kind)
    return found


def is_operator(actor: Actor) -> bool:
    """Whether the actor has a console account, so that something can be asked for in its name."""
    if actor.kind is not ActorKind.OPERATOR:
        return False
    return get_user_model()._default_manager.filter(email=actor.identifier.strip().lower()).exists()


def account_keys(emails: Iterable[str]) -> dict[str, int]:
    """{e-mail: primary key} of the console accounts under these addresses."""
    accounts = get_user_model()._default_manager.filter(email__in=list(emails))
    return dict(accounts.values_list("email", "pk"))


def is_same_human(one: Any, other: Any) -> bool:
    """Whether two accounts share the person they are tied to, or an address of either."""
    return bool(_marks(one) & _marks(other))


def _marks(operator: Any) -> set[tuple[str, object]]:
    marks: set[tuple[str, object]] = {("email", _mailbox(operator.email))}
    if operator.person is not None:
        marks.add(("person", operator.person.pk))
        # The directory stands on a higher floor: its names of the person are reached by the relation.
        marks |= {("email", _mailbox(one.value)) for one in operator.person.identifiers.filter(kind="email")}
    return marks


def _mailbox(email: str) -> str:
    """Letters of either case and what follows a plus lead to one mailbox (RFC 5233 section 1)."""
    local, _, domain = email.strip().casefold().rpartition("@")
    return f"{local.partition('+')[0]}@{domain}"
