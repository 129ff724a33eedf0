"""Organisations and the domains for which their identity providers may speak."""

from typing import Any, TypedDict, Unpack

from django.db import transaction
from django.utils import timezone

from broker.actors import Actor
from broker.registry import values
from broker.registry.models import Domain, Organisation
from broker.registry.registering.changes import (
    Changes,
    assign,
    check_row,
    record_changed,
    record_created,
    record_retired,
    save_new,
)
from broker.registry.values import BadValue


class OrganisationFields(TypedDict, total=False):
    """What can be said of an organisation; what is left out stays as it is."""

    name: str
    owner: str
    enabled: bool
    domains: list[str]
    """All of its domains; each new one counts as proved by the actor's word."""


@transaction.atomic
def create_organisation(slug: str, *, actor: Actor, **fields: Unpack[OrganisationFields]) -> Organisation:
    """Register an organisation. Raises BadValue."""
    columns, domains = _split(fields)
    organisation = Organisation(slug=values.slug(slug), created_at=timezone.now(), **{"name": slug} | columns)
    check_row(organisation)
    save_new(organisation)
    _set_domains(organisation, domains or [], actor=actor)
    record_created("organisation", slug, actor=actor, fields=fields)
    return organisation


@transaction.atomic
def change_organisation(
    organisation: Organisation, *, actor: Actor, **fields: Unpack[OrganisationFields]
) -> Organisation:
    """Change what `fields` names; no event when nothing differs. Raises BadValue."""
    organisation = Organisation.objects.select_for_update().get(pk=organisation.pk)
    columns, domains = _split(fields)
    changes = assign(organisation, columns)
    if domains is not None:
        changes |= _set_domains(organisation, domains, actor=actor)
    if changes:
        check_row(organisation)
        organisation.save()
        record_changed("organisation", organisation.slug, actor=actor, changes=changes)
    return organisation


@transaction.atomic
def retire_organisation(organisation: Organisation, *, actor: Actor) -> None:
    """Retire it and free its slug and domains. Raises BadValue while identity providers belong to it."""
    live = organisation.identity_providers.filter(retired_at=None).values_list("slug", flat=True)
    if live:
        raise BadValue(f"identity providers still belong to it: {', '.join(live)}")
    domains = sorted(organisation.domains.values_list("name", flat=True))
    organisation.domains.all().delete()
    organisation.retired_at = timezone.now()
    organisation.enabled = False
    organisation.save()
    record_retired("organisation", organisation.slug, actor=actor, fields={"domains": domains})


def _split(fields: OrganisationFields) -> tuple[dict[str, Any], list[str] | None]:
    columns: dict[str, Any] = {name: value for name, value in fields.items() if name != "domains"}
    if columns.get("owner"):
        values.email(columns["owner"])
    return columns, values.domains(fields["domains"]) if "domains" in fields else None


def _set_domains(organisation: Organisation, wanted: list[str], *, actor: Actor) -> Changes:
    held = sorted(organisation.domains.exclude(proved_at=None).values_list("name", flat=True))
    if held == wanted:
        return {}
    taken = Domain.objects.filter(name__in=wanted).exclude(organisation=organisation).select_related("organisation")
    for domain in taken:
        raise BadValue(f"the domain {domain.name} belongs to the organisation {domain.organisation.slug}")
    organisation.domains.exclude(name__in=wanted).delete()
    for name in wanted:
        if name not in held:
            Domain.objects.update_or_create(
                organisation=organisation,
                name=name,
                defaults={
                    "proof": Domain.Proof.OPERATOR,
                    "proved_at": timezone.now(),
                    "proved_by": actor.identifier[:200],
                },
            )
    return {"domains": (held, wanted)}
