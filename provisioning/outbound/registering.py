"""Registering targets, changing them, and giving them credentials: the console and the configuration file ask here."""

from collections.abc import Mapping
from typing import Any, TypedDict, Unpack
from urllib.parse import urlsplit

from django.db import transaction
from django.utils import timezone

from broker.actors import Actor
from broker.delivery.enqueueing import ensure_lanes, wake
from broker.delivery.models import Lane
from broker.delivery.services import resume_lane
from broker.events import catalogue
from broker.events.services import record
from broker.registry import values
from broker.registry.models import Application
from broker.registry.registering.changes import (
    assign,
    check_row,
    record_changed,
    record_created,
    record_retired,
    save_new,
)
from broker.registry.values import BadValue
from provisioning.outbound.catching_up import ask_to_catch_up
from provisioning.outbound.credentials import SHOWN_AFTER, SHOWN_BEFORE, seal_credential
from provisioning.outbound.mapping import DEFAULT, check_mapping
from provisioning.outbound.models import Target
from provisioning.outbound.scope import check_scope
from provisioning.outbound.services import SWITCHED_OFF, forget_wanted

KIND = "target"
_PLACE = ("base_url", "authentication", "token_url", "token_client_id", "token_scope")
"""What may make another place of it: what it can do has to be found out anew."""
_WANTED = ("scope", "mapping", "leaver_policy")
"""What decides what should be there."""


class TargetFields(TypedDict, total=False):
    """What can be said of a target; what is left out stays as it is."""

    name: str
    owner: str
    enabled: bool
    base_url: str
    dialect: str
    authentication: str
    token_url: str
    token_client_id: str
    token_scope: str
    scope: dict[str, Any]
    mapping: dict[str, str]
    leaver_policy: str
    adoption: str
    group_strategy: str
    groups: list[str]
    breaker_count: int
    breaker_share: float
    leaver_deadline: int
    max_connections: int
    credential: str
    """Sealed, and never shown again."""


@transaction.atomic
def create_target(slug: str, *, application: Application, actor: Actor, **fields: Unpack[TargetFields]) -> Target:
    """Register a target of `application`. Raises BadValue."""
    given: dict[str, Any] = {"name": slug, "mapping": dict(DEFAULT), **fields}
    credential = given.pop("credential", None)
    target = Target(slug=values.slug(slug), application=application, created_at=timezone.now(), **_columns(given))
    _check(target)
    save_new(target)
    shown = dict(given)
    if credential is not None and seal_credential(target, credential):
        target.credential_changed_at = timezone.now()
        target.save(update_fields=["credential_sealed", "credential_changed_at"])
        shown["credential"] = SHOWN_AFTER
    # Before anybody enqueues: who finds a lane missing waits for others that make one.
    ensure_lanes([target.lane])
    record_created(KIND, slug, actor=actor, fields=shown, application=application.slug)
    return target


@transaction.atomic
def change_target(target: Target, *, actor: Actor, **fields: Unpack[TargetFields]) -> Target:
    """Change what `fields` names; no event when nothing differs. Raises BadValue.

    One that is switched on is caught up with (catching_up). Another place is probed anew before anything is sent to
    it. Another host gets no credential that was given for the one before: it is forgotten, unless `fields` bring one
    for the new host.
    """
    target = Target.objects.select_for_update().get(pk=target.pk)
    given: dict[str, Any] = dict(fields)
    credential = given.pop("credential", None)
    changes = assign(target, _columns(given))
    had_credential = bool(target.credential_sealed)
    if credential is not None and seal_credential(target, credential):
        target.credential_changed_at = timezone.now()
        changes["credential"] = (SHOWN_BEFORE if had_credential else None, SHOWN_AFTER)
    elif credential is None and target.credential_sealed and _is_elsewhere(changes):
        target.credential_sealed, target.credential_changed_at = "", timezone.now()
        changes["credential"] = (SHOWN_BEFORE, None)
    if not changes:
        return target
    _check(target)
    if changes.keys() & {*_PLACE}:
        target.capabilities, target.probed_at = {}, None
    target.save()
    if changes.keys() & {*_WANTED}:
        forget_wanted(target)
    record_changed(KIND, target.slug, actor=actor, changes=changes, application=target.application.slug)
    if "enabled" in changes and target.enabled:
        ask_to_catch_up(target, actor=actor, now=timezone.now())
        Lane.objects.filter(name=target.lane, reason=SWITCHED_OFF).update(not_before=None, reason="")
        wake([target.lane])
    if "credential" in changes:
        _tell_of_credential(target, actor=actor)
    return target


def _is_elsewhere(changes: Mapping[str, tuple[Any, Any]]) -> bool:
    """Whether what proves who we are would go to another host than the one that it was given for."""
    moves = [changes[name] for name in ("base_url", "token_url") if name in changes]
    return any(urlsplit(before or "").netloc.lower() != urlsplit(after or "").netloc.lower() for before, after in moves)


@transaction.atomic
def rotate_credential(target: Target, credential: str, *, actor: Actor) -> bool:
    """Replace our credential there, and let a lane go on that was stopped for it. Raises BadValue.

    Returns whether it is another than before.
    """
    target = Target.objects.select_for_update().get(pk=target.pk)
    if not seal_credential(target, credential):
        return False
    target.credential_changed_at = timezone.now()
    target.save(update_fields=["credential_sealed", "credential_changed_at"])
    _tell_of_credential(target, actor=actor)
    return True


@transaction.atomic
def retire_target(target: Target, *, actor: Actor) -> None:
    """Retire it, and forget our credential there. Accounts there stay as they are; nothing is sent any more."""
    target = Target.objects.select_for_update().get(pk=target.pk)
    target.credential_sealed = ""
    target.enabled, target.retired_at = False, timezone.now()
    target.save()
    ended = {"base_url": target.base_url, "leaver_policy": target.leaver_policy}
    record_retired(KIND, target.slug, actor=actor, fields=ended, application=target.application.slug)


def _tell_of_credential(target: Target, *, actor: Actor) -> None:
    record(
        catalogue.TARGET_CREDENTIAL_CHANGED,
        actor=actor,
        subject=(KIND, target.slug),
        application=target.application.slug,
    )
    if Lane.objects.filter(name=target.lane, state=Lane.State.STOPPED).exists():
        resume_lane(target.lane, actor=actor)


def _columns(given: dict[str, Any]) -> dict[str, Any]:
    """In their one form. Raises BadValue."""
    columns = dict(given)
    for name, check in (
        ("base_url", _base_url),
        ("token_url", _token_url),
        ("owner", values.email),
        ("scope", check_scope),
        ("mapping", _mapping),
        ("groups", _groups),
    ):
        if name in columns:
            columns[name] = check(columns[name])
    return columns


def _base_url(text: str) -> str:
    values.web_address(text)
    if "?" in text or "#" in text:
        raise BadValue(f"{text!r} has a query or a fragment; name what stands before /Users")
    return text.rstrip("/")


def _token_url(text: str) -> str:
    return values.web_address(text) if text else ""


def _mapping(mapping: object) -> dict[str, str]:
    found = check_mapping(mapping)
    if not found:
        raise BadValue("the mapping is empty: an account needs at least a userName")
    return found


def _groups(names: object) -> list[str]:
    if not isinstance(names, list) or not all(isinstance(one, str) and one.strip() for one in names):
        raise BadValue("groups wants a list of names")
    return sorted(set(names))


def _check(target: Target) -> None:
    check_row(target)
    if target.application.retired_at is not None:
        raise BadValue(f"the application {target.application.slug} is retired")
    is_oauth = target.authentication == Target.Authentication.CLIENT_CREDENTIALS
    if is_oauth and not (target.token_url and target.token_client_id):
        raise BadValue("OAuth client credentials need token_url and client_id")
    if target.groups and target.group_strategy == Target.GroupStrategy.NONE:
        raise BadValue("groups are named, and the strategy keeps none: say memberships")
