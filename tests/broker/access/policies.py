"""Policies put into force for tests, without the second operator who would approve them."""

import hashlib
import itertools

from django.db.models import Max
from django.utils import timezone

from broker.access.builtin import builtin_source
from broker.access.in_force import rules_of
from broker.access.models import Policy, PolicySet, PolicyVersion
from broker.access.policy import read_rules
from broker.registry.cache import raise_version

_numbers = itertools.count(1)


def activate(source: str) -> PolicyVersion:
    """Put a policy with this text into force, beside those that are."""
    now, slug = timezone.now(), f"policy{next(_numbers)}"
    read_rules(source, policy=slug)
    policy = Policy.objects.create(slug=slug, name=slug, owner="security@acme.example", created_at=now)
    version = PolicyVersion.objects.create(
        policy=policy,
        number=1,
        source=source,
        digest=hashlib.sha256(source.encode()).hexdigest(),
        schema=0,
        state=PolicyVersion.State.ACTIVE,
        created_by="suite",
        created_at=now,
        activated_at=now,
        approved_by="suite",
    )
    active = PolicyVersion.objects.filter(state=PolicyVersion.State.ACTIVE)
    members = {str(pk): digest for pk, digest in active.values_list("pk", "digest")}
    PolicySet.objects.create(
        number=PolicySet.objects.aggregate(last=Max("number", default=0))["last"] + 1,
        members=members,
        builtin=builtin_source(rules_of(members)),
        cause="suite",
        created_by="suite",
        created_at=now,
    )
    raise_version()
    return version
