"""What policies may speak of: the schema that is built in, with what operators declare beside it."""

from django.db import transaction
from django.utils import timezone

from broker.access.models import PolicySchema, PolicyVersion
from broker.access.policy import check_against_schema, check_schema
from broker.access.publishing import name_of
from broker.access.schema import check_declarations, whole_schema
from broker.access.source import BadPolicy, Fault
from broker.actors import Actor
from broker.events import catalogue
from broker.events.services import record
from broker.registry.registering.changes import hold_registry

STANDING = (PolicyVersion.State.ACTIVE, PolicyVersion.State.CANDIDATE)


@transaction.atomic
def change_schema(*, source: str, person_properties: str, client_properties: str, actor: Actor) -> PolicySchema:
    """Declare anew what policies may speak of. Returns the schema that counts, the old one where nothing differs.

    Raises BadPolicy, also when a version that is in force or tried would not agree with it.
    """
    hold_registry()
    fields = {
        "source": source.replace("\r\n", "\n"),
        "person_properties": person_properties.replace("\r\n", "\n").strip(),
        "client_properties": client_properties.replace("\r\n", "\n").strip(),
    }
    standing = current_schema()
    if all(getattr(standing, name) == value for name, value in fields.items()):
        return standing
    check_declarations(**fields)
    schema = PolicySchema(number=standing.number + 1, created_by=name_of(actor), created_at=timezone.now(), **fields)
    text = schema_text(schema)
    check_schema(text, declared=schema.source)
    for version in PolicyVersion.objects.filter(state__in=STANDING).select_related("policy"):
        try:
            check_against_schema(version.source, text)
        except BadPolicy as error:
            raise BadPolicy([Fault(one.line, f"{version}: {one.message}") for one in error.faults]) from error
    schema.save()
    record(catalogue.POLICY_SCHEMA_CHANGED, actor=actor, subject=("policy_schema", schema.number))
    return schema


def current_schema() -> PolicySchema:
    """The declarations that count; empty ones with the number 0 when nobody declared any."""
    return PolicySchema.objects.order_by("-number").first() or PolicySchema(number=0)


def schema_text(schema: PolicySchema) -> str:
    """The whole schema as Cedar reads it, the declarations first."""
    return whole_schema(
        source=schema.source,
        person_properties=schema.person_properties,
        client_properties=schema.client_properties,
    )
