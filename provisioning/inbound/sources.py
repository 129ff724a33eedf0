"""Registering sources of people: HR systems and identity providers that write over SCIM."""

from typing import Any, TypedDict, Unpack

from django.db import transaction
from django.utils import timezone

from broker.actors import Actor
from broker.registry import values
from broker.registry.models import IdentityProvider, Organisation
from broker.registry.registering.changes import (
    assign,
    check_row,
    record_changed,
    record_created,
    record_retired,
    save_new,
)
from broker.registry.values import BadValue
from provisioning.inbound.models import ScimSource
from provisioning.inbound.tokens import end_token, live_tokens
from provisioning.scim.mapping import ATTRIBUTES

KIND = "scim_source"


class SourceFields(TypedDict, total=False):
    """What can be said of a source; what is left out stays as it is."""

    name: str
    owner: str
    enabled: bool
    dialect: str
    unknown_members: str
    match_external_id: bool
    authoritative_for: list[str]


@transaction.atomic
def create_source(slug: str, *, organisation: Organisation, actor: Actor, **fields: Unpack[SourceFields]) -> ScimSource:
    """Register a source; one that was retired comes back with what it told. Raises BadValue.

    Policies name groups "<slug>/<name>": an identity provider's slug, of before too, is no source's.
    """
    columns = {"name": slug} | _checked(fields)
    if IdentityProvider.objects.filter(slug=slug).exists():
        raise BadValue(f"{slug} is, or was, an identity provider: its groups would be taken for that one's")
    retired = ScimSource.objects.select_for_update(of=("self",)).filter(slug=slug).exclude(retired_at=None).first()
    if retired is not None:
        if retired.organisation_id != organisation.pk:
            raise BadValue(f"{slug} was a source of another organisation, and what it told is kept under that name")
        assign(retired, {"enabled": True, **columns, "retired_at": None})
        check_row(retired)
        retired.save()
        record_created(KIND, slug, actor=actor, fields={"organisation": organisation.slug, **columns})
        return retired
    source = ScimSource(slug=values.slug(slug), organisation=organisation, created_at=timezone.now(), **columns)
    check_row(source)
    save_new(source)
    record_created(KIND, slug, actor=actor, fields={"organisation": organisation.slug, **columns})
    return source


@transaction.atomic
def change_source(source: ScimSource, *, actor: Actor, **fields: Unpack[SourceFields]) -> ScimSource:
    """Change what `fields` names; no event when nothing differs. Raises BadValue."""
    source = ScimSource.objects.select_for_update(of=("self",)).get(pk=source.pk)
    changes = assign(source, _checked(fields))
    if changes:
        check_row(source)
        source.save()
        record_changed(KIND, source.slug, actor=actor, changes=changes)
    return source


@transaction.atomic
def retire_source(source: ScimSource, *, actor: Actor) -> None:
    """Its tokens end. What it told of people stays: to close accounts is nobody's side effect."""
    source = ScimSource.objects.select_for_update(of=("self",)).get(pk=source.pk)
    now = timezone.now()
    for token in live_tokens(source, now=now):
        end_token(token, reason="retired", actor=actor)
    source.enabled, source.retired_at = False, now
    source.save(update_fields=["enabled", "retired_at"])
    record_retired(KIND, source.slug, actor=actor, fields={"owner": source.owner})


def holder_of(slug: str) -> str:
    """Who has a slug, in words for an operator; "" where no source has it or ever had it (settings.SLUG_HOLDERS)."""
    return "a SCIM source" if ScimSource.objects.filter(slug=slug).exists() else ""


def _checked(fields: SourceFields) -> dict[str, Any]:
    found: dict[str, Any] = dict(fields)
    if "owner" in found:
        values.email(found["owner"])
    if "authoritative_for" in found:
        found["authoritative_for"] = sorted(set(found["authoritative_for"]))
        for name in found["authoritative_for"]:
            if name not in ATTRIBUTES:
                raise BadValue(f"{name[:100]!r} is no attribute; there are {', '.join(sorted(ATTRIBUTES))}")
    return found
