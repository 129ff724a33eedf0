"""People written over SCIM: what the directory has of them afterwards, and what is refused."""

import pytest
from django.utils import timezone

from broker.actors import SYSTEM
from broker.directory.models import Identifier, Person
from broker.directory.services import create_person, deactivate_person
from broker.events.models import Event
from provisioning.inbound.models import JournalEntry, Record
from tests.factories import make_organisation
from tests.provisioning.inbound.conftest import ENTERPRISE, USER, assert_refused, effects, last_entry, user

FULL = user(
    "Ada",
    externalId="hr-1815",
    displayName="Ada Lovelace",
    name={"givenName": "Ada", "familyName": "Lovelace"},
    title="Analyst",
    active=True,
    emails=[{"value": "ada@acme.example", "type": "work", "primary": True}],
    phoneNumbers=[{"value": "+44 20 7946 0001", "type": "work"}],
    addresses=[{"type": "work", "locality": "London"}],
    **{ENTERPRISE: {"employeeNumber": "1815", "department": "Engines", "manager": {"value": "nobody-yet"}}},
)


def person_of(shown: dict) -> Person:
    return Person.objects.get(pk=shown["id"])


def test_a_new_user_is_a_person_of_the_sources_organisation(call):
    answer = call("POST", "/Users", FULL)
    shown = answer.json()
    assert answer.status_code == 201
    assert answer["Location"] == shown["meta"]["location"] == f"http://localhost:8000/scim/v2/Users/{shown['id']}"
    assert answer["ETag"] == shown["meta"]["version"] == 'W/"1"'
    person = person_of(shown)
    assert person.organisation == call.source.organisation
    assert (person.name, person.given_name, person.family_name) == ("Ada Lovelace", "Ada", "Lovelace")
    assert person.claims["department"] == ["Engines"]
    assert person.claims["title"] == ["Analyst"]
    assert set(person.identifiers.values_list("kind", "value")) == {("email", "ada@acme.example"), ("user_name", "Ada")}
    assert person.external_id is None
    assert person.provenance["title"][call.source.authority]["values"] == ["Analyst"]


def test_what_was_sent_is_read_back_as_it_was(call):
    shown = call.read(call("POST", "/Users", FULL).json()["id"])
    for name, value in FULL.items():
        assert shown[name] == value


def test_the_journal_says_what_became_of_each_attribute_and_names_no_value(call):
    call("POST", "/Users", FULL)
    entry = last_entry()
    said = effects(entry)
    assert (entry.method, entry.resource, entry.status, entry.code) == ("POST", "Users", 201, "")
    assert said["title"] == said["email"] == said["department"] == "applied"
    assert said["addresses"] == "stored"
    row = str(JournalEntry.objects.filter(pk=entry.pk).values().get())
    for value in ("Lovelace", "ada@acme.example", "Engines", call.token):
        assert value not in row


def test_a_value_of_a_better_source_stays_and_the_conflict_is_told(make_caller):
    organisation = make_organisation()
    first = make_caller(organisation=organisation, match_external_id=True)
    second = make_caller(organisation=organisation, match_external_id=True)
    ada = first.create("ada", externalId="k1", title="Analyst")
    same = second.create("ada@other", externalId="k1", title="Boss")
    assert same["id"] == ada["id"]
    assert person_of(ada).claims["title"] == ["Analyst"]
    entry = last_entry(source=second.source)
    (told,) = [one for one in entry.effects if one["attribute"] == "title"]
    assert told["effect"] == "conflict"
    assert told["by"] == first.source.authority
    assert second.read(ada["id"])["title"] == "Boss"


def test_attributes_that_a_source_may_not_write_are_kept_and_told_to_nobody(make_caller):
    call = make_caller(authoritative_for=["active", "title"])
    shown = call.create("ada", title="Analyst", nickName="Countess")
    assert person_of(shown).claims == {"title": ["Analyst"]}
    assert effects(last_entry())["nickname"] == "not told"
    assert call.read(shown["id"])["nickName"] == "Countess"


def test_an_inactive_user_closes_the_account_and_an_active_one_opens_it(call):
    shown = call.create("ada")
    call.patch(f"/Users/{shown['id']}", {"op": "replace", "path": "active", "value": False})
    assert not person_of(shown).is_active
    assert Event.objects.filter(type="person.deactivated", subject_id=shown["id"]).count() == 1
    call.patch(f"/Users/{shown['id']}", {"op": "replace", "path": "active", "value": True})
    assert person_of(shown).is_active


def test_a_source_does_not_open_what_an_operator_closed(call):
    shown = call.create("ada")
    deactivate_person(person_of(shown), reason="lost laptop", actor=SYSTEM)
    answer = call.patch(f"/Users/{shown['id']}", {"op": "replace", "path": "active", "value": True})
    assert answer.status_code == 200
    assert not person_of(shown).is_active
    assert effects(last_entry())["active"] in {"kept", "conflict"}


def test_to_take_the_word_active_away_opens_no_account(call):
    shown = call.create("ada", active=False)
    call.patch(f"/Users/{shown['id']}", {"op": "remove", "path": "active"})
    assert not person_of(shown).is_active
    call("PUT", f"/Users/{shown['id']}", user("ada"))
    assert not person_of(shown).is_active


def test_a_put_takes_away_what_it_does_not_say(call):
    shown = call("POST", "/Users", FULL).json()
    answer = call("PUT", f"/Users/{shown['id']}", user("Ada", externalId="hr-1815", displayName="Ada Lovelace"))
    assert answer.status_code == 200
    assert answer.json().keys() == {"schemas", "id", "externalId", "userName", "displayName", "active", "meta"}
    person = person_of(shown)
    assert not {"title", "department"} & person.claims.keys() or not any(
        person.claims.get(name) for name in ("title", "department")
    )
    assert not Identifier.objects.filter(person=person, kind="email").exists()


def test_a_put_of_everything_that_was_read_changes_nothing(call):
    shown = call("POST", "/Users", FULL).json()
    again = call("PUT", f"/Users/{shown['id']}", call.read(shown["id"]))
    assert again.status_code == 200
    assert again.json()["meta"] == shown["meta"]
    assert set(effects(last_entry()).values()) <= {"unchanged"}


def test_a_deleted_user_is_gone_for_the_source_and_the_person_stays_closed(call):
    shown = call("POST", "/Users", FULL).json()
    group = call.create_group("Staff", shown["id"])
    assert call("DELETE", f"/Users/{shown['id']}").status_code == 204
    assert_refused(call("GET", f"/Users/{shown['id']}"), 404, "scim.not_found")
    assert call.found('userName eq "ada"') == []
    assert call.members(group["id"]) == set()
    person = person_of(shown)
    assert not person.is_active
    assert not person.identifiers.exists()
    record = Record.objects.get(person=person)
    assert record.document == {"schemas": [USER]}
    assert record.display_name is None


@pytest.mark.parametrize(
    "again",
    [user("somebody-else", externalId="hr-1815"), user("ADA"), user("ada", externalId="hr-1815")],
    ids=["same externalId", "same userName", "both"],
)
def test_who_comes_back_is_the_same_person(call, again):
    shown = call("POST", "/Users", FULL).json()
    call("DELETE", f"/Users/{shown['id']}")
    back = call("POST", "/Users", again)
    assert back.status_code == 201
    assert back.json()["id"] == shown["id"]
    assert back.json()["meta"]["version"] != shown["meta"]["version"]
    assert person_of(shown).is_active
    assert Person.objects.count() == 1


def test_the_same_user_name_under_another_external_id_is_another_human_being(call):
    shown = call("POST", "/Users", FULL).json()
    call("DELETE", f"/Users/{shown['id']}")
    other = call.create("Ada", externalId="hr-2020")
    assert other["id"] != shown["id"]


def test_the_key_of_the_hr_system_meets_a_person_who_is_known_already(make_caller):
    call = make_caller(match_external_id=True)
    known = create_person(call.source.organisation, external_id="hr-1815", actor=SYSTEM)
    assert call("POST", "/Users", FULL).json()["id"] == str(known.pk)


def test_without_that_setting_an_external_id_meets_nobody(call):
    known = create_person(call.source.organisation, external_id="hr-1815", actor=SYSTEM)
    assert call("POST", "/Users", FULL).json()["id"] != str(known.pk)


def test_a_rename_follows(call):
    shown = call.create("ada", emails=[{"value": "ada@acme.example", "primary": True}])
    call.patch(
        f"/Users/{shown['id']}",
        {"op": "replace", "path": "userName", "value": "ada.king"},
        {"op": "replace", "path": "emails[primary eq true].value", "value": "ada.king@acme.example"},
    )
    assert [one["id"] for one in call.found('userName eq "ada.king"')] == [shown["id"]]
    assert call.found('userName eq "ada"') == []
    assert [one["id"] for one in call.found('emails eq "ada.king@acme.example"')] == [shown["id"]]
    assert Identifier.objects.get(person=shown["id"], kind="email").value == "ada.king@acme.example"


# Refusals


@pytest.mark.parametrize("name", ["Ada", "ADA", "ada", "\uff21da"], ids=["same", "upper", "lower", "wide letter"])
def test_a_user_name_is_one_users_in_whatever_case(call, name):
    call.create("Ada")
    assert_refused(call("POST", "/Users", user(name)), 409, "scim.uniqueness", "uniqueness")
    assert Person.objects.count() == 1


def test_an_external_id_is_one_users(call):
    call.create("ada", externalId="k1")
    assert_refused(call("POST", "/Users", user("bob", externalId="k1")), 409, "scim.uniqueness", "uniqueness")
    bob = call.create("bob", externalId="K1")
    taken = {"op": "replace", "path": "externalId", "value": "k1"}
    assert_refused(call.patch(f"/Users/{bob['id']}", taken), 409, "scim.uniqueness", "uniqueness")
    assert call.read(bob["id"])["externalId"] == "K1"


def test_a_user_name_of_another_source_is_free(call, make_caller):
    call.create("ada")
    assert make_caller().create("ada")


@pytest.mark.parametrize("attribute", ["password", "roles", "entitlements", "x509Certificates", "shoeSize"])
def test_what_nobody_may_write_is_refused_and_nothing_is_written(call, attribute):
    value = "secret" if attribute in {"password", "shoeSize"} else [{"value": "YWRtaW4="}]
    assert_refused(call("POST", "/Users", user("ada", **{attribute: value})), 400, "scim.mutability", "mutability")
    assert not Person.objects.exists()
    shown = call.create("ada")
    assert_refused(
        call("PUT", f"/Users/{shown['id']}", user("ada", **{attribute: value})), 400, "scim.mutability", "mutability"
    )
    answer = call.patch(f"/Users/{shown['id']}", {"op": "replace", "value": {attribute: value}})
    assert_refused(answer, 400, "scim.mutability", "mutability")
    assert call.read(shown["id"])["meta"]["version"] == 'W/"1"'


def test_a_part_of_an_attribute_that_is_not_known_is_refused(call):
    body = user("ada", name={"givenName": "Ada", "shoeSize": "39"})
    assert_refused(call("POST", "/Users", body), 400, "scim.mutability", "mutability")


@pytest.mark.parametrize(
    ("operation", "code", "scim_type"),
    [
        ({"op": "replace", "path": "password", "value": "x"}, "scim.mutability", "mutability"),
        ({"op": "replace", "path": "id", "value": "x"}, "scim.mutability", "mutability"),
        ({"op": "replace", "path": "groups", "value": [{"value": "x"}]}, "scim.mutability", "mutability"),
        ({"op": "replace", "value": {"id": "another"}}, "scim.mutability", "mutability"),
        ({"op": "replace", "path": "shoeSize", "value": "39"}, "scim.path", "invalidPath"),
        ({"op": "replace", "path": "emails[", "value": "x"}, "scim.path", "invalidPath"),
        ({"op": "remove"}, "scim.no_target", "noTarget"),
        ({"op": "remove", "path": "userName"}, "scim.mutability", "mutability"),
        ({"op": "replace", "path": "userName", "value": "  "}, "scim.value", "invalidValue"),
        ({"op": "replace", "path": "userName", "value": ["a"]}, "scim.value", "invalidValue"),
        ({"op": "move", "path": "title", "value": "x"}, "scim.value", "invalidValue"),
        ({"op": "add", "path": "title"}, "scim.value", "invalidValue"),
        ({"op": "replace", "path": "active", "value": "perhaps"}, "scim.value", "invalidValue"),
        (
            {"op": "replace", "path": 'emails[type eq "work"].value', "value": "a@b.example"},
            "scim.no_target",
            "noTarget",
        ),
    ],
    ids=lambda value: str(value.get("path", value)) if isinstance(value, dict) else None,
)
def test_a_patch_that_cannot_be_done_changes_nothing(call, operation, code, scim_type):
    shown = call.create("ada", title="Analyst")
    first = {"op": "replace", "path": "title", "value": "Boss"}
    assert_refused(call.patch(f"/Users/{shown['id']}", first, operation), 400, code, scim_type)
    assert call.read(shown["id"])["title"] == "Analyst"
    assert person_of(shown).claims["title"] == ["Analyst"]


@pytest.mark.parametrize(
    "body",
    [user(""), user("   "), {"schemas": [USER]}, user("a" * 401), user("a\u0007b"), user("ada", externalId="e" * 401)],
    ids=["empty", "blank", "none", "long", "control", "long externalId"],
)
def test_a_user_that_cannot_be_named_is_refused(call, body):
    assert_refused(call("POST", "/Users", body), 400, "scim.value", "invalidValue")
    assert not Person.objects.exists()


def test_a_value_that_the_directory_cannot_keep_is_refused_whole(call):
    answer = call("POST", "/Users", user("ada", locale="a\u0007b"))
    assert_refused(answer, 400, "authority.value", "invalidValue")
    assert not Person.objects.exists()


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_another_sources_user_does_not_exist(call, make_caller, method):
    shown = call.create("ada")
    other = make_caller()
    unknown = "00000000-0000-4000-8000-000000000000"
    operation = {"op": "replace", "path": "title", "value": "Boss"}
    body = {"PUT": user("eve"), "PATCH": {"schemas": [PATCH_SCHEMA], "Operations": [operation]}}.get(method)
    answers = [
        other(method, f"/Users/{one}", body) for one in (shown["id"], unknown, "not-a-uuid", shown["id"].upper())
    ]
    for answer in answers:
        assert_refused(answer, 404, "scim.not_found")
    details = {one.json()["detail"].partition(" [")[0] for one in answers}
    assert len(details) == 1
    assert call.read(shown["id"])["userName"] == "ada"


PATCH_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_what_was_changed_meanwhile_is_not_overwritten(call, method):
    shown = call.create("ada")
    call.patch(f"/Users/{shown['id']}", {"op": "replace", "path": "title", "value": "Analyst"})
    operation = {"op": "replace", "path": "title", "value": "Boss"}
    body = {"PUT": user("ada"), "PATCH": {"schemas": [PATCH_SCHEMA], "Operations": [operation]}}.get(method)
    stale = call(method, f"/Users/{shown['id']}", body, **{"If-Match": shown["meta"]["version"]})
    assert_refused(stale, 412, "scim.precondition")
    assert call.read(shown["id"])["title"] == "Analyst"
    fresh = call(method, f"/Users/{shown['id']}", body, **{"If-Match": 'W/"2"'})
    assert fresh.status_code in {200, 204}


def test_what_was_not_changed_is_not_sent_again(call):
    shown = call.create("ada")
    answer = call("GET", f"/Users/{shown['id']}", **{"If-None-Match": shown["meta"]["version"]})
    assert (answer.status_code, answer.content) == (304, b"")


def test_a_refusal_is_in_the_journal_with_its_trace(call):
    call.create("ada")
    answer = call("POST", "/Users", user("ada"))
    entry = last_entry()
    assert (entry.status, entry.code) == (409, "scim.uniqueness")
    assert entry.trace_id == answer["Countersign-Trace"]
    assert entry.effects == []
    assert entry.at <= timezone.now()
