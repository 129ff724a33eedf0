"""Every kind of thing that names its owner by an e-mail address: where it is, and how another owner is written."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import models
from django.db.models import Q

from broker.access.models import Policy
from broker.access.registering import change_policy
from broker.notify.models import Subscription
from broker.notify.services import change_subscription
from broker.registry.models import Application, Client, Flow, Organisation
from broker.registry.registering.applications import change_application
from broker.registry.registering.clients import change_client
from broker.registry.registering.flows import change_flow, flow_key
from broker.registry.registering.organisations import change_organisation
from provisioning.batch.models import FileSource
from provisioning.batch.sources import change_file_source
from provisioning.inbound.models import ScimSource
from provisioning.inbound.sources import change_source
from provisioning.outbound.models import Target
from provisioning.outbound.registering import change_target


def _slug(row: Any) -> str:
    return str(row.slug)


@dataclass(frozen=True, slots=True)
class Owned:
    """One kind. `change(row, actor=, owner=)` raises BadValue; `key` is the subject by which the book names it."""

    model: type[models.Model]
    change: Callable[..., Any]
    live: Q
    key: Callable[[Any], str] = _slug


IN_USE = Q(retired_at=None)
KINDS: dict[str, Owned] = {
    "organisation": Owned(Organisation, change_organisation, IN_USE),
    "application": Owned(Application, change_application, IN_USE),
    "client": Owned(Client, change_client, IN_USE, key=lambda row: str(row.client_id)),
    "flow": Owned(Flow, change_flow, Q(ended_at=None, is_draft=False), key=flow_key),
    "policy": Owned(Policy, change_policy, Q()),
    "target": Owned(Target, change_target, IN_USE),
    "scim_source": Owned(ScimSource, change_source, IN_USE),
    "file_source": Owned(FileSource, change_file_source, IN_USE),
    "webhook": Owned(Subscription, change_subscription, IN_USE),
}
"""By the kind of subject that the book's events name."""
