"""Console accounts: made, reset and changed. Each change is an event of its own transaction."""

import secrets
from enum import Enum, auto
from typing import Any

from axes.utils import reset as forget_failures
from django.db import transaction
from django.utils import timezone

from broker.actors import Actor, ActorKind
from broker.console.errors import OperatorRefused
from broker.console.models import Operator
from broker.directory.models import Person
from broker.events.catalogue import (
    OPERATOR_CHANGED,
    OPERATOR_CREATED,
    OPERATOR_LOCKED,
    OPERATOR_REFUSED,
    OPERATOR_RESET,
    OPERATOR_SIGNED_IN,
)
from broker.events.services import record

# Without letters that are misread when a password is copied from a screen; 20 of them are 98 random bits.
PASSWORD_ALPHABET = "23456789abcdefghjkmnpqrstvwxyz"
PASSWORD_GROUPS = 4
PASSWORD_GROUP_CHARS = 5
CHANGEABLE = ("name", "role", "is_active", "person")


class Lockout(Enum):
    """What a refused sign-in has to do with the lockout of its address."""

    NONE = auto()
    BEGINS = auto()
    LASTING = auto()


@transaction.atomic
def create_operator(
    email: str, *, name: str, role: Operator.Role, actor: Actor, person: Person | None = None
) -> tuple[Operator, str]:
    """Make a console account. Returns it with its one-time password, which is shown once and must be changed.

    Raises OperatorRefused when the address already has an account.
    """
    email = normalise_email(email)
    if Operator.objects.filter(email=email).exists():
        raise OperatorRefused("There is already an operator with this e-mail address.")
    password = make_one_time_password()
    operator = Operator(
        email=email, name=name, role=role, person=person, must_change_password=True, created_at=timezone.now()
    )
    operator.set_password(password)
    operator.save()
    record(OPERATOR_CREATED, actor=actor, subject=("operator", operator.pk), role=operator.role)
    return operator, password


@transaction.atomic
def reset_operator(operator: Operator, *, actor: Actor) -> str:
    """Give a new one-time password, end the account's console sessions and its lockout. Returns the password.

    Sessions end because each is bound to a hash of the password. An inactive account stays inactive.
    """
    operator = Operator.objects.select_for_update().get(pk=operator.pk)
    password = make_one_time_password()
    operator.set_password(password)
    operator.must_change_password = True
    operator.save(update_fields=["password", "must_change_password"])
    forget_failures(username=operator.email)
    record(OPERATOR_RESET, actor=actor, subject=("operator", operator.pk))
    return password


@transaction.atomic
def change_operator(operator: Operator, *, actor: Actor, **changes: Any) -> Operator:
    """Change name, role, is_active or person. Returns the account as it stands.

    Raises OperatorRefused when operators would demote or close their own account, when the acting one was demoted
    meanwhile, or when nobody who may change anything would be left.
    """
    unknown = changes.keys() - set(CHANGEABLE)
    if unknown:
        raise ValueError(f"not changeable: {', '.join(sorted(unknown))}")
    # All rows, so that two operators who demote each other at once do not leave nobody.
    locked = {row.pk: row for row in Operator.objects.select_for_update().order_by("pk")}
    if actor.kind is ActorKind.OPERATOR and not any(
        row.email == actor.identifier and row.may_change_things for row in locked.values()
    ):
        raise OperatorRefused("Your own account may not change accounts any more.")
    current = locked[operator.pk]
    changed = [field for field, value in changes.items() if getattr(current, field) != value]
    if not changed:
        return current
    could_change_things, role_before = current.may_change_things, current.role
    for field in changed:
        setattr(current, field, changes[field])
    if could_change_things and not current.may_change_things:
        if actor.kind is ActorKind.OPERATOR and actor.identifier == current.email:
            raise OperatorRefused("You cannot demote or close your own account; ask another operator.")
        if not any(row.may_change_things for row in locked.values() if row.pk != current.pk):
            raise OperatorRefused("This is the last active operator; make another one first.")
    details: dict[str, Any] = {"changed": sorted(changed)}
    if "role" in changed:
        details |= {"role_before": role_before, "role_after": str(current.role)}
    current.save(update_fields=changed)
    record(OPERATOR_CHANGED, actor=actor, subject=("operator", current.pk), **details)
    return current


@transaction.atomic
def change_own_password(operator: Operator, *, password: str, actor: Actor) -> None:
    """Store the operator's own new password, which was validated; the duty to change it ends."""
    operator.set_password(password)
    operator.must_change_password = False
    operator.save(update_fields=["password", "must_change_password"])
    record(OPERATOR_CHANGED, actor=actor, subject=("operator", operator.pk), changed=["password"])


def normalise_email(email: str) -> str:
    """The one spelling under which an account is stored, found and counted: lower case, without spaces around it."""
    return email.strip().lower()


def make_one_time_password() -> str:
    """Four groups of five letters and digits."""
    return "-".join(
        "".join(secrets.choice(PASSWORD_ALPHABET) for _ in range(PASSWORD_GROUP_CHARS)) for _ in range(PASSWORD_GROUPS)
    )


def record_sign_in(operator: Operator, *, actor: Actor) -> None:
    """Call in the transaction that opens the console session."""
    record(
        OPERATOR_SIGNED_IN,
        actor=actor.acting_as(ActorKind.OPERATOR, operator.email),
        subject=("operator", operator.pk),
    )


def record_refused_sign_in(raw_email: str, *, lockout: Lockout, actor: Actor) -> None:
    """Write down a refused sign-in with its reason, which the page does not tell.

    What was typed is not recorded: people type passwords into the wrong field.
    """
    operator = Operator.objects.select_related("person").filter(email=normalise_email(raw_email)).first()
    if lockout is Lockout.LASTING:
        reason = "locked"
    elif operator is None:
        reason = "unknown"
    else:
        reason = "password" if operator.may_enter else "closed"
    event_type = OPERATOR_LOCKED if lockout is Lockout.BEGINS else OPERATOR_REFUSED
    record(event_type, actor=actor, subject=("operator", operator.pk if operator else ""), reason=reason)
