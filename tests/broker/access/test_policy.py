"""The engine's door: faults with their lines, only the rules that can concern, and no for every error."""

import json
import subprocess
import sys
from random import Random

import cedarpy
import pytest

from broker import limits
from broker.access import policy as engine
from broker.access.policy import (
    Question,
    check_against_schema,
    check_schema,
    compile_rules,
    evaluate,
    evaluate_whole,
    read_rules,
)
from broker.access.schema import check_declarations, whole_schema
from broker.access.source import BadPolicy, split_statements

ALL = "permit(principal, action, resource);"


def ask(source, *, principal=("User", "alice"), action="read", resource=("record", "1"), context=None, entities=()):
    asked = Question(
        {"type": principal[0], "id": principal[1]}, action, {"type": resource[0], "id": resource[1]},
        context or {}, list(entities),
    )  # fmt: skip
    return evaluate(compile_rules(read_rules(source, policy="p"), number=7), asked)


def faults(act, *args, **kwargs):
    with pytest.raises(BadPolicy) as caught:
        act(*args, **kwargs)
    return [(fault.line, fault.message) for fault in caught.value.faults]


# --- Texts -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("source", "line", "part"),
    [
        ("", 1, "no statement"),
        ("// only a comment; really", 1, "no statement"),
        ("permit", 1, "unexpected end of input"),
        ("permit(principal, action);", 1, "missing the `resource`"),
        ("permit(principal,\n action,\n resource)\nwhen { 1 + };", 4, "unexpected token"),
        (f"{ALL}\n\n{ALL} // fine\npermit(\n principal, action, resource)\nwhen {{\n true &&\n", 7, "unexpected end"),
        ("grant(principal, action, resource);", 1, "grant"),
        ("permit(principal == ?principal, action, resource);", 1, "templates"),
        (f'@id("a")\n{ALL}\n@id("a")\n{ALL}', 3, "used twice"),
        (f'{ALL}\n@id("1")\n{ALL}', 2, "used twice"),
        (f'@id("a b"){ALL}', 1, "@id"),
        (f'@id("")\n{ALL}', 1, "@id"),
        (f'@id("{"a" * 65}"){ALL}', 1, "@id"),
        (f"{ALL}\n\x00", 2, "NUL"),
        ('permit(principal == User::"\\z", action, resource);', 1, ""),
    ],
)  # fmt: skip
def test_a_text_that_does_not_compile_is_refused_with_its_line(source, line, part):
    found = faults(read_rules, source, policy="p")
    assert line in [one for one, _ in found], found
    assert any(part in message for _, message in found), found


def test_a_list_may_be_long():
    listed = ", ".join(f'Application::"{number}"' for number in range(1_000))
    assert read_rules(f"permit(principal, action, resource) when {{ [{listed}].contains(resource) }};", policy="p")


def test_every_fault_is_told_at_once():
    assert [line for line, _ in faults(read_rules, f"permit(principal);\n{ALL}\nforbid(action);", policy="p")] == [1, 3]


def test_strings_and_comments_do_not_end_a_statement():
    source = 'permit(principal == User::"a;b\\"; //", action, resource) // ; "\nwhen { true }; // "\n' + ALL
    assert [one.line for one in split_statements(source)] == [1, 3]


@pytest.mark.parametrize("size", [limits.POLICY_BYTES, limits.POLICY_BYTES + 1])
def test_a_text_has_a_greatest_size(size):
    source = ALL + " " * (size - len(ALL))
    if size > limits.POLICY_BYTES:
        assert faults(read_rules, source, policy="p")
    else:
        assert read_rules(source, policy="p")


def test_a_version_has_a_greatest_number_of_statements():
    assert "statements" in faults(read_rules, ALL * (limits.POLICY_STATEMENTS + 1), policy="p")[0][1]


def nested(depth):
    return f"permit(principal, action, resource) when {{ {'(' * (depth - 1)}true{')' * (depth - 1)} }};"


def test_brackets_have_a_greatest_depth():
    assert read_rules(nested(limits.POLICY_DEPTH), policy="p")
    assert faults(read_rules, f"\n{nested(limits.POLICY_DEPTH + 1)}", policy="p")[0][0] == 2


DEEP = {
    "brackets": "(" * 5_000 + "true" + ")" * 5_000,
    "unclosed": "(" * 5_000,
    "sets": "[" * 5_000 + "]" * 5_000 + " == 1",
    "records": '{"a":' * 5_000 + "1" + "}" * 5_000 + " == 1",
    "and": "true" + " && true" * 5_000,
    "or": "true" + " || true" * 5_000,
    "members": "context" + ".a" * 5_000 + " == 1",
    "indexes": "context" + '["a"]' * 5_000 + " == 1",
    "calls": "context.a" + ".contains(1)" * 5_000,
    "if": "if true then " * 5_000 + "true" + " else false" * 5_000,
    "plus": "1" + "+1" * 5_000 + " == 1",
    "not": "!" * 5_000 + "true",
    "minus": "-" * 5_000 + "1 == 1",
    "has": "context" + " has a" * 5_000,
    "clauses": "true }" + " when { true }" * 5_000 + " when { true",
    "paths": "A" + "::A" * 5_000 + '::"a" == principal',
    "divided": "[[1], 2]" + "[0]" * 5_000 + " == 1",
}


AT_THE_LIMIT = {
    "and": "true" + " && true" * (limits.POLICY_OPERATORS - 1),
    "if": "if true then " * (limits.POLICY_OPERATORS // 3 - 1)
    + "true"
    + " else false" * (limits.POLICY_OPERATORS // 3 - 1),
    "members": "context" + ".a" * (limits.POLICY_OPERATORS - 2) + " == 1",
    "sets": "[" * (limits.POLICY_DEPTH - 1) + "]" * (limits.POLICY_DEPTH - 1) + " == 1",
}
PROGRAM = """
import json, sys, threading
from django.conf import settings
settings.configure()
from broker.access.policy import Question, check_against_schema, compile_rules, evaluate, read_rules
from broker.access.source import BadPolicy

def put(source):
    asked = Question({"type": "User", "id": "a"}, "read", {"type": "record", "id": "1"}, {}, [])
    words = "entity User; entity record; action read appliesTo { principal: [User], resource: [record] };"
    check_against_schema(source, words)
    evaluate(compile_rules(read_rules(source, policy="p")), asked)

def run():
    for name, body in json.load(sys.stdin).items():
        print(name, flush=True)
        try:
            put("permit(principal, action, resource) when { " + body + " };")
        except BadPolicy as error:
            print("refused", str(error)[:80], flush=True)

threading.stack_size(1024 * 1024)
thread = threading.Thread(target=run)
thread.start()
thread.join()
"""


@pytest.mark.parametrize("shapes", [DEEP, AT_THE_LIMIT], ids=["beyond the limits", "at the limits"])
def test_no_text_overruns_the_engines_stack(shapes):
    """In a process of its own, and on a small stack: the engine would end it without a word."""
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM], input=json.dumps(shapes), capture_output=True, text=True, timeout=100
    )
    assert (run.returncode, run.stderr) == (0, ""), f"ended by {run.stdout.splitlines()[-1:]}"
    refused = [line for line in run.stdout.splitlines() if line.startswith("refused line")]
    if shapes is DEEP:
        assert len(refused) == len(DEEP), run.stdout


# --- The schema ------------------------------------------------------------------------------------------------------
SCHEMA = whole_schema(
    source="entity record { status?: String };\naction read appliesTo { principal: [User], resource: [record] };",
    person_properties="role?: String",
)


@pytest.mark.parametrize(
    ("source", "line", "part"),
    [
        ('permit(principal, action == Action::"raed", resource);', 1, "raed"),
        ("permit(principal is Usr, action, resource);", 1, "Usr"),
        (f"{ALL}\npermit(principal, action, resource is record)\nwhen {{ resource.colour == 1 }};", 3, "colour"),
        ("permit(principal is User, action, resource is record)\nwhen { resource.status == \"x\" };", 2, "status"),
        ("permit(principal is User, action, resource) when { principal.id == 1 };", 1, "not compatible"),
        ("permit(principal is User, action, resource) when { principal.name };", 1, ""),
    ],
)  # fmt: skip
def test_a_rule_that_does_not_agree_with_the_schema_is_refused_with_its_line(source, line, part):
    found = faults(check_against_schema, source, SCHEMA)
    assert line in [one for one, _ in found], found
    assert any(part in message for _, message in found), found


def test_a_rule_that_agrees_with_the_schema_is_taken():
    check_against_schema(
        'permit(principal in Group::"acme/finance", action == Action::"read", resource is record)\n'
        'when { principal has role && principal.role == "auditor" && principal.hasTag("entitlement") '
        '&& principal.getTag("entitlement").contains("records") };',
        SCHEMA,
    )


@pytest.mark.parametrize(
    ("declared", "part"),
    [
        ({"source": "entity User;"}, "declared twice"),
        ({"source": "entity record\n{ a: Strng };"}, "Strng"),
        ({"source": "entity record { a: "}, ""),
        ({"source": "nonsense"}, ""),
        ({"source": "namespace Acme { entity record; }"}, "namespaces"),
        ({"source": "entity r;\naction readers;\naction read in [readers];"}, "groups of actions"),
        ({"source": '@doc("x") action a in b appliesTo { principal: [User], resource: [User] };'}, "groups of actions"),
        ({"person_properties": "} ; entity evil {"}, "members"),
        ({"person_properties": "a: String }; action x;"}, "members"),
        ({"client_properties": "a: Strng"}, "Strng"),
        ({"person_properties": "role?: String, email ?: Long"}, "built in"),
        ({"client_properties": "known: Bool"}, "built in"),
        ({"person_properties": '"email"?: Long'}, "quotes"),
        ({"person_properties": "a: { b: Long }}"}, "members"),
        ({"source": "entity r { a: " + "Set<" * 3000 + "Long" + ">" * 3000 + " };"}, "operators"),
    ],
)  # fmt: skip
def test_declarations_that_cannot_be_are_refused(declared, part):
    declared = {"source": "", "person_properties": "", "client_properties": ""} | declared

    def declare():
        check_declarations(**declared)
        check_schema(whole_schema(**declared))

    assert any(part in message for _, message in faults(declare))


def test_declarations_with_nested_records_are_taken():
    check_declarations(
        source='entity record; // action in "x"\naction read appliesTo { principal: [User], resource: [record] };',
        person_properties="address?: { city: String, lines: Set<String> }, role?: String",
        client_properties="",
    )
    check_schema(whole_schema(person_properties="address?: { city: String }, role?: String"))


# --- Questions -------------------------------------------------------------------------------------------------------
def test_reasons_are_the_ids_of_the_rules():
    source = f'@id("everybody") {ALL}\n{ALL}\n@id("never") forbid(principal, action == Action::"write", resource);'
    verdict = ask(source)
    assert (verdict.decision, verdict.reasons, verdict.policy_version) == (True, ("p/2", "p/everybody"), 7)
    verdict = ask(source, action="write")
    assert (verdict.decision, verdict.reasons) == (False, ("p/never",))


def test_what_nothing_permits_is_denied_without_a_reason():
    verdict = ask('permit(principal, action == Action::"read", resource);', action="write")
    assert (verdict.decision, verdict.reasons, verdict.errors) == (False, (), ())


def test_a_rule_that_fails_denies_even_where_another_permits():
    verdict = ask(f"{ALL} permit(principal, action, resource) when {{ context.hour > 8 }};")
    assert verdict.decision is False
    assert "p/2" in verdict.errors[0]
    assert ask(f"{ALL} permit(principal, action, resource) when {{ context.hour > 8 }};", context={"hour": 7}).decision


def test_a_forbidding_rule_that_fails_denies():
    """The engine alone would leave it out and permit."""
    assert not ask(f"{ALL} forbid(principal, action, resource) when {{ context.hour > 8 }};").decision


@pytest.mark.parametrize(
    "odd", ["", "'", '"', '\\"', "a\nb", "a\x00b", "ü", "😀", "\u202e", "::", 'User::"x"', "*", " "]
)
def test_ids_are_texts_and_nothing_more(odd):
    quoted = "".join(f"\\u{{{ord(one):x}}}" for one in odd)
    source = f'permit(principal == User::"{quoted}", action, resource == record::"{quoted}");'
    assert ask(source, principal=("User", odd), resource=("record", odd)).decision
    assert not ask(source, principal=("User", odd + "x"), resource=("record", odd)).decision
    assert not ask(source, principal=("User", "bob"), resource=("record", odd)).decision


def test_half_a_surrogate_pair_is_denied():
    verdict = ask(ALL, principal=("User", "\ud800"))
    assert (verdict.decision, len(verdict.errors)) == (False, 1)


@pytest.mark.parametrize(
    "raised", [ValueError, RecursionError, MemoryError, type("PanicException", (BaseException,), {})]
)
def test_whatever_the_engine_raises_is_a_no(monkeypatch, raised):
    def fail(*args, **kwargs):
        raise raised("the engine")

    monkeypatch.setattr(cedarpy, "is_authorized", fail)
    verdict = ask(ALL)
    assert (verdict.decision, verdict.reasons) == (False, ())
    assert raised.__name__ in verdict.errors[0]


def test_a_process_that_ends_is_not_kept_by_the_engine(monkeypatch):
    def end(*args, **kwargs):
        raise SystemExit

    monkeypatch.setattr(cedarpy, "is_authorized", end)
    with pytest.raises(SystemExit):
        ask(ALL)


# --- The rules that can concern a question ---------------------------------------------------------------------------
GROUPS = ("staff", "clerks", "auditors")
ACTIONS, TYPES, PEOPLE = ("read", "write", "delete"), ("record", "invoice", "Application"), ("alice", "bob", "carol")


def random_entities(random, person):
    """A person in some groups, of which one may lie in another."""
    groups = random.sample(GROUPS, k=random.randrange(3))
    nested = random.choice([[], ["auditors"]])
    uids = [{"type": "Group", "id": name} for name in groups]
    return [
        {"uid": {"type": "User", "id": person}, "attrs": {}, "parents": uids},
        {"uid": {"type": "Group", "id": "staff"}, "attrs": {}, "parents": [{"type": "Group", "id": n} for n in nested]},
    ]


def random_rule(random):
    one, other = random.choices(ACTIONS, k=2)
    actions = ["action", f'action == Action::"{one}"', f'action in [Action::"{one}", Action::"{other}"]']
    kind, id_ = random.choice(TYPES), random.choice("12")
    resources = ["resource", f"resource is {kind}", f'resource == {kind}::"{id_}"', f'resource in {kind}::"{id_}"']
    resources.append(f'resource is {kind} in {kind}::"{id_}"')
    group = random.choice(GROUPS)
    principals = ["principal", f'principal == User::"{random.choice(PEOPLE)}"', "principal is User"]
    principals += [f'principal in Group::"{group}"', f'principal is User in Group::"{group}"']
    principals.append(f'principal in User::"{random.choice(PEOPLE)}"')
    scope = ", ".join(random.choice(part) for part in (principals, [*actions, f'action in Action::"{one}"'], resources))
    condition = random.choice(["", "when { context.hour > 3 }", "unless { context has hour && context.hour > 5 }"])
    return f"{random.choice(['permit', 'permit', 'forbid'])}({scope}) {condition};"


@pytest.mark.parametrize("seed", range(6))
def test_asking_the_rules_that_can_concern_is_asking_them_all(seed):
    random = Random(seed)
    source = "\n".join(random_rule(random) for _ in range(60))
    compiled = compile_rules(read_rules(source, policy="p"))
    fewer, decisions = 0, set()
    for _ in range(150):
        person = random.choice([*PEOPLE, "dora"])
        asked = Question(
            {"type": "User", "id": person}, random.choice([*ACTIONS, "sign"]),
            {"type": random.choice([*TYPES, "photo"]), "id": random.choice("123")},
            random.choice([{}, {"hour": 1}, {"hour": 4}, {"hour": 9}, {"hour": "x"}]), random_entities(random, person),
        )  # fmt: skip
        some = evaluate(compiled, asked)
        assert some == evaluate_whole(compiled, asked)
        part = compiled.concerning_question(asked)
        fewer += len(part.rules) < len(compiled.concerning(asked.action, asked.resource["type"]).rules)
        decisions.add((some.decision, bool(some.errors)))
    assert fewer > 50
    assert len(decisions) > 1


def test_names_that_no_rule_names_take_no_room():
    compiled = compile_rules(read_rules('permit(principal, action == Action::"read", resource is record);', policy="p"))
    for number in range(1_000):
        compiled.concerning(f"action{number}", f"type{number}")
    assert len(compiled._parts) == 1


def test_of_the_groups_that_people_are_in_only_so_many_selections_are_kept(monkeypatch):
    monkeypatch.setattr(engine, "PARTS_REMEMBERED", 10)
    rules = [f'permit(principal in Group::"g{number}", action, resource);' for number in range(50)]
    compiled = compile_rules(read_rules("\n".join(rules), policy="p"))
    for number in range(50):
        assert compiled.concerning("read", "record", [("Group", f"g{number}")]).rules == {f"p/{number + 1}"}
    assert len(compiled._parts) == 10


def test_of_a_thousand_rules_only_those_that_can_concern_are_asked():
    rules = [
        f'permit(principal, action == Action::"a{number % 10}", resource is t{number // 100});'
        for number in range(1_000)
    ]
    compiled = compile_rules(read_rules("\n".join(rules), policy="p"))
    assert len(compiled.concerning("a3", "t4").rules) == 10
    assert ask("\n".join(rules), action="a3", resource=("t4", "1")).decision
