"""The Cedar schema: what is built in, joined with what an operator declared."""

import re
from collections.abc import Mapping

from broker.access.attributes import APPLICATION, CLIENT, EVERY, OWNED, PERSON
from broker.access.source import BadPolicy, Fault, split_statements

_BUILT_IN = """
entity Group;
entity User in [Group] {{ {person} }} tags Set<String>;
entity Application {{ {application} }};
entity Client {{ {client} }};
action sign_on appliesTo {{
  principal: [User],
  resource: [Application],
  context: {{
    action: {{}}, acr?: String, methods?: Set<String>, identity_provider?: String, network?: ipaddr, fresh?: Bool
  }}
}};
"""
_GROUP_OF_ACTIONS = re.compile(r"(@\w+ ?(\([^)]*\))? ?)*action\b[^{]*?\bin\b")
_MEMBERS = re.compile(r"[\w\s?:,<>{}]*", re.ASCII)


def whole_schema(*, source: str = "", person_properties: str = "", client_properties: str = "") -> str:
    """The schema against which policies are checked. The operator's declarations come first, so their lines stay."""
    built_in = _BUILT_IN.format(
        person=_members(PERSON, person_properties),
        client=_members(CLIENT, client_properties),
        application=_members(APPLICATION, ""),
    )
    return f"{source}\n{built_in}"


def check_declarations(*, source: str, person_properties: str, client_properties: str) -> None:
    """Raise BadPolicy for declarations that the engine would take and we do not offer."""
    faults = []
    for statement in split_statements(source):
        if re.match(r"\s*namespace\b", statement.text):
            faults.append(Fault(statement.line, "namespaces are not offered: types stand under their own names"))
        if _GROUP_OF_ACTIONS.match(_without_texts(statement.text)):
            faults.append(Fault(statement.line, "groups of actions are not offered: list the actions in the policy"))
    faults += _faults_of_members("person_properties", person_properties, OWNED["user"])
    faults += _faults_of_members("client_properties", client_properties, OWNED["client"])
    if faults:
        raise BadPolicy(faults)


def _faults_of_members(name: str, members: str, owned: frozenset[str]) -> list[Fault]:
    split_statements(members)
    outermost = _outermost(members)
    if not _MEMBERS.fullmatch(members) or "{" in outermost or "}" in outermost:
        return [Fault(1, f"{name}: only members of a record, such as role?: String, without quotes")]
    # The engine would let a second declaration replace ours.
    taken = [one for one in re.findall(r"(\w+)\s*\??\s*:", outermost) if one in owned]
    return [Fault(1, f"{name}: {one} is built in") for one in taken]


def _without_texts(text: str) -> str:
    """Without strings and comments, and with single spaces."""
    return " ".join(re.sub(r'"(?:[^"\\]|\\.)*"|//[^\n]*', '""', text).split())


def _outermost(members: str) -> str:
    """Without what stands in braces."""
    while (shorter := re.sub(r"\{[^{}]*\}", "", members)) != members:
        members = shorter
    return members


def _members(own: Mapping[str, str], declared: str) -> str:
    always = [f"{name}: {kind}" for name, kind in EVERY.items()]
    ours = ", ".join([*always, *(f"{name}?: {kind}" for name, kind in own.items())])
    declared = declared.strip().strip(",").strip()
    return f"{ours},\n  {declared}\n" if declared else ours
