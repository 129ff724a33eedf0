"""The certification scenario of AuthZEN 1.0, at all its levels.

Written from its text (repository openid/authzen, certification/authorization-api-1_0-scenario.md): its fixture as our
policies and declarations, its cases through HTTP. Each class is one sub-level of the certification, and each comment
names the section of the scenario.
"""

from typing import Any

import pytest
from django.conf import settings

from tests.broker.access.gateway import Gateway, action, entity, make_gateway

pytestmark = pytest.mark.django_db

POLICY = """
@id("read")
permit (principal is User, action == Action::"read", resource is record)
when { [User::"alice", User::"bob"].contains(principal) };
@id("write")
permit (principal == User::"alice", action == Action::"write", resource is record)
unless { resource has status && resource.status == "archived" };
@id("write-archived")
permit (principal, action == Action::"write", resource is record)
when { principal has role && principal.role == "admin" && resource has status && resource.status == "archived" };
@id("delete-softly")
permit (principal == User::"alice", action == Action::"delete", resource is record)
when { context has action && context.action has soft && context.action.soft == true };
"""
ALICE, BOB = entity("user", "alice"), entity("user", "bob")
ADMIN = entity("user", "bob", role="admin")
ONE, TWO = entity("record", "record-1"), entity("record", "record-2")
ACTIVE, ARCHIVED = entity("record", "record-1", status="active"), entity("record", "record-2", status="archived")
READ, WRITE = action("read"), action("write")
AROUND = {"time": "2025-06-27T18:03-07:00", "ip": "192.168.1.1"}


@pytest.fixture
def gateway() -> Gateway:
    """The fixture of the scenario: two subjects, two records, three actions and what must be decided."""
    return make_gateway(
        resource_types={"record": ["read", "write", "delete"]},
        subjects=[ALICE, ADMIN],
        resources=[ACTIVE, ARCHIVED],
        policy=POLICY,
    )


def decision(gateway: Gateway, subject: Any, act: Any, resource: Any, **more: Any) -> bool:
    answer = gateway.evaluate(subject=subject, action=act, resource=resource, **more)
    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/json"
    body = answer.json()
    assert isinstance(body["decision"], bool)
    assert isinstance(body.get("context", {}), dict)
    return body["decision"]


def decisions(gateway: Gateway, **body: Any) -> list[bool]:
    answer = gateway.evaluate_all(**body)
    assert answer.status_code == 200
    assert "decision" not in answer.json()
    assert all(isinstance(one.get("context", {}), dict) for one in answer.json()["evaluations"])
    return [one["decision"] for one in answer.json()["evaluations"]]


def found(gateway: Gateway, sought: str, **body: Any) -> list[Any]:
    answer = gateway.search(sought, **body)
    assert answer.status_code == 200
    return answer.json()["results"]


class TestBasicCore:
    @pytest.mark.parametrize(
        ("subject", "act", "permitted"),
        [(ALICE, READ, True), (ALICE, WRITE, True), (BOB, READ, True), (BOB, WRITE, False)],
        ids=["rule 1", "rule 2", "rule 3", "rule 4"],
    )
    def test_the_core_rules_of_the_fixture_hold(self, gateway, subject, act, permitted):
        assert decision(gateway, subject, act, ONE) is permitted  # 2.2.1, 2.2.2
        assert decision(gateway, subject, act, ONE, context=AROUND) is permitted  # 2.2.3

    def test_properties_beyond_those_of_the_fixture_are_taken(self, gateway):  # 2.2.8
        subject = entity("user", "alice", department="Sales", role="manager")
        resource = entity("record", "record-1", status="active", owner="bob")
        assert decision(gateway, subject, action("read", method="GET"), resource) is True

    def test_unknown_fields_are_ignored(self, gateway):  # 2.2.9
        assert decision(gateway, ALICE, READ, ONE, foo="bar", futureField={"nested": True}) is True

    @pytest.mark.parametrize("missing", ["subject", "action", "resource"])
    def test_a_missing_field_is_a_bad_request(self, gateway, missing):  # 2.4.1
        body = {"subject": ALICE, "action": READ, "resource": ONE}
        del body[missing]
        assert gateway.evaluate(**body).status_code == 400

    @pytest.mark.parametrize(
        ("name", "part"),
        [("subject", "type"), ("subject", "id"), ("action", "name"), ("resource", "type"), ("resource", "id")],
    )
    def test_a_missing_part_of_a_field_is_a_bad_request(self, gateway, name, part):  # 2.4.2
        body = {"subject": dict(ALICE), "action": dict(READ), "resource": dict(ONE)}
        del body[name][part]
        assert gateway.evaluate(**body).status_code == 400

    @pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/xml", ""])
    def test_another_content_type_is_a_bad_request(self, gateway, content_type):  # 2.4.3
        body = '{"subject":{"type":"user","id":"alice"},"action":{"name":"read"},"resource":{"type":"record","id":"1"}}'
        assert gateway.post("/access/v1/evaluation", body, content_type=content_type).status_code == 400

    @pytest.mark.parametrize("body", ["{", '{"subject": }', "not json", ""])
    def test_a_malformed_or_empty_body_is_a_bad_request(self, gateway, body):  # 2.4.4, 2.4.5
        assert gateway.post("/access/v1/evaluation", body).status_code == 400

    def test_a_field_of_another_type_is_a_bad_request(self, gateway):  # 2.4.6
        assert gateway.evaluate(subject="alice", action=READ, resource=ONE).status_code == 400
        assert gateway.evaluate(subject=ALICE, action={"name": 123}, resource=ONE).status_code == 400

    def test_the_request_id_comes_back_and_none_is_needed(self, gateway):  # 2.5
        body = {"subject": ALICE, "action": READ, "resource": ONE}
        answer = gateway.evaluate(**body, headers={"X-Request-ID": "bfe9eb29-ab87-4ca3-be83-a1d5d8305716"})
        assert answer["X-Request-ID"] == "bfe9eb29-ab87-4ca3-be83-a1d5d8305716"
        assert gateway.evaluate(**body).status_code == 200

    def test_the_same_request_gets_the_same_decision_each_time(self, gateway):  # 2.6
        assert {decision(gateway, ALICE, READ, ONE) for _ in range(5)} == {True}


class TestBasicProperties:
    @pytest.mark.parametrize(
        ("subject", "act", "resource", "permitted"),
        [
            (ALICE, WRITE, ARCHIVED, False),  # 2.2.4
            (ADMIN, WRITE, ARCHIVED, True),  # 2.2.5
            (ALICE, action("delete", soft=True), ONE, True),  # 2.2.6
            (ALICE, action("delete", soft=False), ONE, False),  # 2.2.7
        ],
        ids=["rule 5", "rule 6", "rule 7", "rule 8"],
    )
    def test_the_rules_about_properties_hold(self, gateway, subject, act, resource, permitted):
        assert decision(gateway, subject, act, resource) is permitted


class TestBatchCore:
    def test_defaults_make_one_decision_per_item(self, gateway):  # 3.2.1, 3.3
        answer = decisions(gateway, subject=ALICE, action=READ, evaluations=[{"resource": ONE}, {"resource": TWO}])
        assert len(answer) == 2
        assert answer[0] is True

    def test_decisions_stand_in_the_order_of_the_request(self, gateway):  # 3.2.2
        items = [{"action": READ}, {"action": WRITE}]
        assert decisions(gateway, subject=BOB, resource=ONE, evaluations=items) == [True, False]
        assert decisions(gateway, subject=BOB, resource=ONE, evaluations=items[::-1]) == [False, True]

    def test_items_may_say_everything_themselves(self, gateway):  # 3.2.5
        items = [
            {"subject": ALICE, "action": READ, "resource": ONE},
            {"subject": BOB, "action": WRITE, "resource": ONE},
        ]
        assert decisions(gateway, evaluations=items) == [True, False]

    def test_a_context_is_inherited_or_replaced(self, gateway):  # 3.2.6
        items = [
            {"resource": ONE},
            {"resource": TWO, "context": {"time": "2025-06-27T19:00-07:00", "source": "batch-override"}},
        ]
        assert len(decisions(gateway, subject=ALICE, action=READ, context=AROUND, evaluations=items)) == 2

    def test_an_item_that_lacks_something_is_denied_and_the_others_are_not(self, gateway):  # 3.4.1
        answer = gateway.evaluate_all(
            subject=ALICE,
            action=READ,
            options={"evaluations_semantic": "execute_all"},
            evaluations=[{"resource": ONE}, {}],
        )
        assert answer.status_code == 200
        good, bad = answer.json()["evaluations"]
        assert (good["decision"], bad["decision"]) == (True, False)
        assert bad["context"]["error"]["status"] == 400

    @pytest.mark.parametrize("more", [{}, {"evaluations": []}], ids=["absent", "empty"])
    def test_without_items_it_is_a_single_evaluation(self, gateway, more):  # 3.4.2, 3.4.3
        answer = gateway.evaluate_all(subject=ALICE, action=READ, resource=ONE, **more)
        assert answer.status_code == 200
        assert answer.json()["decision"] is True
        assert "evaluations" not in answer.json()


class TestBatchProperties:
    def test_properties_are_looked_at_item_by_item(self, gateway):  # 3.2.3, 3.2.4
        items = [{"resource": ACTIVE}, {"resource": ARCHIVED}]
        assert decisions(gateway, subject=ALICE, action=WRITE, evaluations=items) == [True, False]
        people = [{"subject": ALICE}, {"subject": ADMIN}]
        assert decisions(gateway, action=WRITE, resource=ARCHIVED, evaluations=people) == [False, True]

    def test_an_empty_item_inherits_all_and_an_entity_is_replaced_whole(self, gateway):  # 3.2.7
        items = [{}, {"resource": ARCHIVED}]
        assert decisions(gateway, subject=ALICE, action=WRITE, resource=ACTIVE, evaluations=items) == [True, False]


class TestSearchCore:
    @pytest.mark.parametrize("more", [{}, {"context": AROUND}], ids=["plain", "with context"])
    def test_a_search_for_subjects(self, gateway, more):  # 4.2.1, 4.2.2
        assert found(gateway, "subject", subject={"type": "user"}, action=READ, resource=ONE, **more) == [ALICE, BOB]

    def test_an_id_of_the_subject_that_is_sought_is_ignored(self, gateway):  # 4.2.3
        assert found(gateway, "subject", subject=ALICE, action=READ, resource=ONE) == [ALICE, BOB]

    @pytest.mark.parametrize("more", [{}, {"context": AROUND}], ids=["plain", "with context"])
    def test_a_search_for_resources(self, gateway, more):  # 4.3.1, 4.3.2
        assert found(gateway, "resource", subject=ALICE, action=READ, resource={"type": "record"}, **more) == [ONE, TWO]

    def test_an_id_of_the_resource_that_is_sought_is_ignored(self, gateway):  # 4.3.3
        assert found(gateway, "resource", subject=ALICE, action=READ, resource=ONE) == [ONE, TWO]

    @pytest.mark.parametrize("more", [{}, {"context": AROUND}], ids=["plain", "with context"])
    def test_a_search_for_actions(self, gateway, more):  # 4.4.1, 4.4.2
        assert found(gateway, "action", subject=ALICE, resource=ONE, **more) == [READ, WRITE]

    def test_a_search_goes_page_by_page_with_the_token_alone(self, gateway):  # 4.5
        asked = {"subject": {"type": "user"}, "action": READ, "resource": ONE}
        first = gateway.search("subject", **asked, page={"limit": 1}).json()
        assert first["results"] == [ALICE]
        assert first["page"]["next_token"]
        last = gateway.search("subject", **asked, page={"token": first["page"]["next_token"]}).json()
        assert last["results"] == [BOB]
        assert last["page"] == {"next_token": "", "count": 1}

    @pytest.mark.parametrize(
        ("sought", "body"),
        [
            ("action", {"subject": entity("user", "nonexistent-user"), "resource": ONE}),
            ("resource", {"subject": entity("user", "nobody"), "action": READ, "resource": {"type": "record"}}),
            ("subject", {"subject": {"type": "user"}, "action": READ, "resource": entity("parcel", "1")}),
            ("subject", {"subject": {"type": "spaceship"}, "action": READ, "resource": ONE}),
            ("resource", {"subject": ALICE, "action": READ, "resource": {"type": "spaceship"}}),
            ("action", {"subject": ALICE, "resource": entity("spaceship", "1")}),
        ],
    )
    def test_an_unknown_id_or_type_finds_nothing(self, gateway, sought, body):  # 4.6
        assert found(gateway, sought, **body) == []

    @pytest.mark.parametrize(
        ("sought", "body"),
        [
            ("subject", {"subject": {"type": "user"}, "resource": ONE}),
            ("resource", {"action": READ, "resource": {"type": "record"}}),
            ("action", {"subject": ALICE}),
            ("subject", {"subject": {"type": "user"}, "action": READ, "resource": {"type": "record"}}),
            ("resource", {"subject": {"type": "user"}, "action": READ, "resource": {"type": "record"}}),
            ("action", {"subject": {"type": "user"}, "resource": ONE}),
            ("action", {"subject": ALICE, "resource": {"type": "record"}}),
        ],
    )
    def test_a_missing_field_is_a_bad_request(self, gateway, sought, body):  # 4.7
        assert gateway.search(sought, **body).status_code == 400


class TestSearchProperties:
    def test_subjects_by_the_resource_s_properties(self, gateway):  # 4.2.4
        assert found(gateway, "subject", subject={"type": "user"}, action=WRITE, resource=ARCHIVED) == [BOB]

    def test_resources_by_the_subject_s_properties(self, gateway):  # 4.3.4
        assert found(gateway, "resource", subject=ADMIN, action=WRITE, resource={"type": "record"}) == [TWO]

    def test_actions_by_properties_of_both(self, gateway):  # 4.4.3
        assert WRITE in found(gateway, "action", subject=ADMIN, resource=ARCHIVED)


class TestDiscovery:
    def test_the_metadata_names_this_decision_point_and_its_endpoints(self, gateway):  # 6
        answer = gateway.http.get("/.well-known/authzen-configuration")
        assert answer.status_code == 200
        assert answer["Content-Type"] == "application/json"
        body = answer.json()
        assert body.pop("policy_decision_point") == settings.BROKER_BASE_URL
        assert sorted(body) == [
            "access_evaluation_endpoint",
            "access_evaluations_endpoint",
            "search_action_endpoint",
            "search_resource_endpoint",
            "search_subject_endpoint",
        ]
        for address in body.values():
            assert address.startswith(f"{settings.BROKER_BASE_URL}/access/v1/")
            assert gateway.post(address.removeprefix(settings.BROKER_BASE_URL), "{}").status_code == 400

    def test_addresses_are_https_where_we_are(self, gateway, settings):
        settings.BROKER_BASE_URL = "https://sso.acme.example"
        body = gateway.http.get("/.well-known/authzen-configuration").json()
        assert all(address.startswith("https://sso.acme.example") for address in body.values())
