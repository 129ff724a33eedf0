"""The Cedar schema: what is built in, joined with what an operator declared."""

import re

from broker.access.source import BadPolicy, Fault, split_statements

_BUILT_IN = """
entity Group;
entity User in [Group] {{
  id: String, known: Bool, active?: Bool, organisation?: String, external_id?: String,
  name?: String, given_name?: String, family_name?: String, email?: String, eppn?: String,
  department?: String, title?: String, employee_id?: String{person}
}} tags Set<String>;
entity Application {{
  id: String, known: Bool, enabled?: Bool, name?: String, kind?: String, owner?: String
}};
entity Client {{
  id: String, known: Bool, active?: Bool, kind?: String, owner?: String, application?: Application{client}
}};
action sign_on appliesTo {{
  principal: [User],
  resource: [Application],
  context: {{
    action?: {{}}, acr?: String, methods?: Set<String>, identity_provider?: String, network?: ipaddr, fresh?: Bool
  }}
}};
"""
_GROUP_OF_ACTIONS = re.compile(r"\s*(@\w+\s*(\([^)]*\))?\s*)*action\b[^{]*?\bin\b", re.DOTALL)
_MEMBERS = re.compile(r"[^;{}@]*(\{[^;@]*\}[^;{}@]*)*", re.DOTALL)


def whole_schema(*, source: str = "", person_properties: str = "", client_properties: str = "") -> str:
    """The schema against which policies are checked. The operator's declarations come first, so their lines stay."""
    built_in = _BUILT_IN.format(person=_members(person_properties), client=_members(client_properties))
    return f"{source}\n{built_in}"


def check_declarations(*, source: str, person_properties: str, client_properties: str) -> None:
    """Raise BadPolicy for declarations that the engine would take and we do not offer."""
    faults = []
    for statement in split_statements(source):
        if re.match(r"\s*namespace\b", statement.text):
            faults.append(Fault(statement.line, "namespaces are not offered: types stand under their own names"))
        if _GROUP_OF_ACTIONS.match(_without_texts(statement.text)):
            faults.append(Fault(statement.line, "groups of actions are not offered: list the actions in the policy"))
    for name, members in (("person_properties", person_properties), ("client_properties", client_properties)):
        split_statements(members)
        if not _MEMBERS.fullmatch(_without_texts(members)):
            faults.append(Fault(1, f"{name}: only members of a record, such as role?: String"))
    if faults:
        raise BadPolicy(faults)


def _without_texts(text: str) -> str:
    return re.sub(r'"(?:[^"\\]|\\.)*"|//[^\n]*', '""', text)


def _members(text: str) -> str:
    members = text.strip().strip(",").strip()
    return f",\n  {members}\n" if members else ""
