"""What a version must agree with: the confines of its policy, and the schema."""

from collections.abc import Sequence

from broker.access.builtin import APPLICATION, SIGN_ON
from broker.access.declaring import current_schema, schema_text
from broker.access.models import Policy, PolicyVersion
from broker.access.names import cedar_type
from broker.access.policy import Rule, check_against_schema, read_rules
from broker.access.source import BadPolicy, Fault


def check_source(policy: Policy, source: str) -> int:
    """Raise BadPolicy, with every line at fault, for a text that this policy cannot have.

    Returns the number of the schema with which it agrees.
    """
    rules = read_rules(source, policy=policy.slug)
    check_confined(policy, rules)
    schema = current_schema()
    check_against_schema(source, schema_text(schema))
    return schema.number


def check_again(version: PolicyVersion) -> None:
    """The same of a version that was added before; it notes the schema of today. Raises BadPolicy."""
    version.schema = check_source(version.policy, version.source)


def check_confined(policy: Policy, rules: Sequence[Rule]) -> None:
    """Raise BadPolicy for rules whose scope reaches beyond what the policy is confined to."""
    types = frozenset(cedar_type(one) for one in policy.resource_types)
    applications = frozenset(policy.applications)
    faults = []
    for rule in rules:
        if types and (rule.resource_types is None or not rule.resource_types <= types):
            faults.append(_beyond(rule, f"resources of type {' or '.join(sorted(types))}"))
        elif applications and rule.concerns(SIGN_ON, APPLICATION) and not (rule.resources or {""}) <= applications:
            faults.append(_beyond(rule, f"sign-ons to {' or '.join(sorted(applications))}"))
    if faults:
        raise BadPolicy(faults)


def _beyond(rule: Rule, confines: str) -> Fault:
    return Fault(rule.line, f"the policy is confined to {confines}; its scope has to say so")
