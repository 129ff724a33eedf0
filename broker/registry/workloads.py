"""Where a platform publishes the keys by which it signs its workloads' tokens (OpenID Connect Discovery 4).

A platform is no identity provider: of its document only the issuer and the address of the keys matter.
"""

import json

import structlog

from broker import limits
from broker.actors import Actor
from broker.registry import values
from broker.registry.models import Client
from broker.registry.openid import discovery_address, fetch_document
from broker.registry.registering.clients import change_client
from broker.registry.values import BadValue

log = structlog.get_logger(__name__)


def discover_keys(issuer: str) -> str:
    """The address of the keys of `issuer`, as its document says. Raises BadValue; Unreachable when there is none."""
    url = discovery_address(issuer)
    raw = fetch_document(issuer, purpose="workload discovery")
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise BadValue(f"{url} is not JSON") from error
    if not isinstance(document, dict) or document.get("issuer") != issuer:
        raise BadValue(f"{url} is not the document of {issuer}")
    address = document.get("jwks_uri")
    if not isinstance(address, str):
        raise BadValue(f"{url} names no jwks_uri")
    return values.web_address(address)


def rediscover_workloads(*, actor: Actor) -> int:
    """Read anew where the keys of each discovered platform are. Returns how many clients changed.

    A platform that does not answer keeps the address that it named last.
    """
    clients = Client.objects.filter(retired_at=None, enabled=True, workload__is_discovered=True)
    addresses: dict[str, str] = {}
    changed = 0
    for client in clients.order_by("pk")[: limits.DISCOVERY_BATCH]:
        issuer = client.workload["issuer"]
        try:
            if issuer not in addresses:
                addresses[issuer] = discover_keys(issuer)
        except BadValue as error:
            log.warning("workload issuer not read", client=client.client_id, problem=str(error)[:200])
            addresses[issuer] = client.workload["jwks_url"]
        if addresses[issuer] != client.workload["jwks_url"]:
            change_client(client, actor=actor, workload=client.workload | {"jwks_url": addresses[issuer]})
            changed += 1
    return changed
