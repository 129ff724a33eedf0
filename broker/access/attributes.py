"""What we give of our own, by kind of entity: {attribute: its type in the schema}."""

PERSON = {
    "active": "Bool",
    "organisation": "String",
    "external_id": "String",
    "name": "String",
    "given_name": "String",
    "family_name": "String",
    "email": "String",
    "eppn": "String",
    "department": "String",
    "title": "String",
    "employee_id": "String",
}
CLIENT = {"active": "Bool", "kind": "String", "owner": "String", "application": "Application"}
APPLICATION = {"enabled": "Bool", "name": "String", "kind": "String", "owner": "String"}
EVERY = {"id": "String", "known": "Bool"}
"""Of every entity, ours or not: the id in the question, and whether we know it."""

OWNED = {
    "user": frozenset((*EVERY, *PERSON)),
    "client": frozenset((*EVERY, *CLIENT)),
    "application": frozenset((*EVERY, *APPLICATION)),
}
"""{AuthZEN type: names that a caller cannot give of somebody whom we know}"""
