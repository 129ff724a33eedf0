"""Two operators who bring policies into force as the house does, and questions to what they brought."""

import itertools
from typing import Any

from django.utils import timezone

from broker.access.activation import request_activation, request_retirement
from broker.access.declaring import change_schema
from broker.access.entities import Action, Evaluation, Resource, Subject
from broker.access.models import Policy, PolicyVersion
from broker.access.registering import add_version, register_policy
from broker.access.services import Decided, decide
from broker.actors import Actor, ActorKind
from broker.approvals.services import approve
from broker.console.models import Operator

_numbers = itertools.count(1)
SCHEMA = """
entity record { id: String, known: Bool, status?: String, owner?: String, level?: Long };
entity invoice;
action read, write appliesTo {
  principal: [User, Client],
  resource: [record, invoice],
  context: { action: { soft?: Bool }, hour?: Long }
};
"""
PERSON = "role?: String, level?: Long"


def by(email: str) -> Actor:
    return Actor(ActorKind.OPERATOR, email, trace_id="AAAAA-BBBBB")


ADA, BOB = by("ada@acme.example"), by("bob@acme.example")


class Anyone:
    """A caller that may ask about everything."""

    client = None

    def may_ask(self, resource: Resource) -> bool:
        return True


class Nobody(Anyone):
    """A caller that may ask about nothing."""

    def may_ask(self, resource: Resource) -> bool:
        return False


def settle(**fields: str) -> None:
    """The two operators, and the words of the tests' policies."""
    for actor in (ADA, BOB):
        if not Operator.objects.filter(email=actor.identifier).exists():
            Operator.objects.create(
                email=actor.identifier, name=actor.identifier, role=Operator.Role.OPERATOR, created_at=timezone.now(),
                must_change_password=False,
            )  # fmt: skip
    change_schema(**{"source": SCHEMA, "person_properties": PERSON, "client_properties": ""} | fields, actor=ADA)


def draft(source: str, *, slug: str = "", **fields: Any) -> PolicyVersion:
    """A version with this text, of the policy `slug` or of a new one."""
    slug = slug or f"policy{next(_numbers)}"
    policy = Policy.objects.filter(slug=slug).first()
    if policy is None:
        policy = register_policy(slug, **{"name": slug, "owner": "it@acme.example"} | fields, actor=ADA)
    return add_version(policy, source, actor=ADA)


def in_force(source: str, *, slug: str = "", **fields: Any) -> PolicyVersion:
    """A version that one operator asked for and the other approved."""
    version = draft(source, slug=slug, **fields)
    approve(request_activation(version, actor=ADA), actor=BOB)
    return reread(version)


def out_of_force(version: PolicyVersion) -> PolicyVersion:
    """The opposite, likewise."""
    approve(request_retirement(reread(version), actor=ADA), actor=BOB)
    return reread(version)


def reread(version: PolicyVersion) -> PolicyVersion:
    return PolicyVersion.objects.select_related("policy").get(pk=version.pk)


def question(
    subject: tuple[str, str] = ("user", "alice"),
    action: str = "read",
    resource: tuple[str, str] = ("record", "1"),
    **more: dict[str, Any],
) -> Evaluation:
    """`more`: subject_properties, action_properties, resource_properties, context."""
    return Evaluation(
        Subject(*subject, more.get("subject_properties", {})),
        Action(action, more.get("action_properties", {})),
        Resource(*resource, more.get("resource_properties", {})),
        more.get("context", {}),
    )


def ask(*args: Any, caller: Any = None, **more: Any) -> Decided:
    """The kept answer to `question(…)`."""
    actor = Actor(ActorKind.CLIENT, "gateway", trace_id="CCCCC-DDDDD")
    return decide(question(*args, **more), caller=caller or Anyone(), actor=actor, now=timezone.now())


def permits(*args: Any, **more: Any) -> bool:
    return ask(*args, **more).verdict.decision
