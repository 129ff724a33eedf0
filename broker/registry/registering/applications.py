"""Applications and their SAML face; their OpenID face is a client (registering.clients)."""

from typing import TypedDict, Unpack

from django.db import transaction
from django.utils import timezone

from broker.actors import Actor
from broker.registry import metadata, values
from broker.registry.models import Application, Client, ServiceProvider
from broker.registry.registering.changes import (
    assign,
    check_row,
    record_changed,
    record_created,
    record_retired,
    save_new,
)
from broker.registry.registering.clients import retire_client
from broker.registry.values import BadValue


class ApplicationFields(TypedDict, total=False):
    """What can be said of an application; what is left out stays as it is."""

    name: str
    kind: str
    owner: str
    home_url: str
    enabled: bool


class ServiceProviderFields(TypedDict, total=False):
    """What can be said of an application's SAML face; what is left out stays as it is."""

    metadata: str
    """Its SAML metadata, from which its entityID follows."""
    name_id: str
    sign: str
    encrypt: str
    require_signed_requests: str
    idp_initiated: bool


@transaction.atomic
def create_application(slug: str, *, actor: Actor, **fields: Unpack[ApplicationFields]) -> Application:
    """Register an application, without any face yet. Raises BadValue."""
    application = Application(slug=values.slug(slug), created_at=timezone.now(), **{"name": slug} | fields)
    _check(application)
    save_new(application)
    record_created("application", slug, actor=actor, fields=fields, application=slug)
    return application


@transaction.atomic
def change_application(application: Application, *, actor: Actor, **fields: Unpack[ApplicationFields]) -> Application:
    """Change what `fields` names; no event when nothing differs. Raises BadValue."""
    application = Application.objects.select_for_update().get(pk=application.pk)
    changes = assign(application, fields)
    if changes:
        _check(application)
        application.save()
        slug = application.slug
        record_changed("application", slug, actor=actor, changes=changes, application=slug)
    return application


@transaction.atomic
def retire_application(application: Application, *, actor: Actor) -> None:
    """Retire it with both faces. Raises BadValue while integration clients belong to it."""
    service = application.clients.filter(retired_at=None, kind=Client.Kind.SERVICE).values_list("client_id", flat=True)
    if service:
        raise BadValue(f"clients still belong to it: {', '.join(service)}")
    for client in application.clients.filter(retired_at=None):
        retire_client(client, actor=actor)
    for face in ServiceProvider.objects.filter(application=application):
        retire_service_provider(face, actor=actor)
    application.retired_at = timezone.now()
    application.enabled = False
    application.save()
    slug = application.slug
    record_retired("application", slug, actor=actor, fields={"owner": application.owner}, application=slug)


@transaction.atomic
def create_service_provider(
    application: Application, *, actor: Actor, **fields: Unpack[ServiceProviderFields]
) -> ServiceProvider:
    """Give an application its SAML face; `metadata` must be among the fields. Raises BadValue."""
    if not fields.get("metadata"):
        raise BadValue("a SAML application needs its metadata")
    entity_id = metadata.read_service_provider(fields["metadata"]).entity_id
    face = ServiceProvider(application=application, entity_id=entity_id, **fields)
    check_row(face)
    save_new(face)
    after = {"entity_id": entity_id, **fields}
    record_created("service_provider", entity_id, actor=actor, fields=after, application=application.slug)
    return face


@transaction.atomic
def change_service_provider(
    face: ServiceProvider, *, actor: Actor, **fields: Unpack[ServiceProviderFields]
) -> ServiceProvider:
    """Change what `fields` names; no event when nothing differs. Raises BadValue."""
    face = ServiceProvider.objects.select_for_update().get(pk=face.pk)
    changes = assign(face, fields)
    if "metadata" in changes:
        changes |= assign(face, {"entity_id": metadata.read_service_provider(face.metadata).entity_id})
    if changes:
        check_row(face)
        face.save()
        slug = face.application.slug
        record_changed("service_provider", face.entity_id, actor=actor, changes=changes, application=slug)
    return face


@transaction.atomic
def retire_service_provider(face: ServiceProvider, *, actor: Actor) -> None:
    """Take an application's SAML face away and free its entityID; the book keeps what it was."""
    slug = face.application.slug
    ended = {"entity_id": face.entity_id, "metadata": face.metadata}
    record_retired("service_provider", face.entity_id, actor=actor, fields=ended, application=slug)
    face.delete()


def _check(application: Application) -> None:
    check_row(application)
    if application.home_url:
        values.web_address(application.home_url)
