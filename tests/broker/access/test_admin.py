"""The console's pages of policies and decisions: everything opens, nothing comes into force by one hand."""

import pytest

from broker.access.declaring import current_schema
from broker.access.models import Decision, Policy, PolicySet, PolicyVersion
from broker.access.registering import try_version
from broker.approvals.models import Approval
from broker.approvals.services import approve
from broker.events.models import Event
from tests.broker.access.house import ADA, BOB, PERSON, SCHEMA, ask, draft, in_force, permits, reread, settle
from tests.factories import make_person

pytestmark = pytest.mark.django_db

READ = 'permit(principal, action == Action::"read", resource is record);'
State = PolicyVersion.State


@pytest.fixture
def desk(console):
    """Ada's browser; Bob has an account too."""
    settle()
    return console


@pytest.fixture
def onlooker(viewer_console):
    settle()
    return viewer_console


def page_of(version):
    return f"/admin/access/policyversion/{version.pk}/change/"


def form(**fields):
    return {
        "slug": "erp", "name": "ERP", "owner": "erp@acme.example", "description": "", "resource_types": "record",
        "applications": "", "rules": READ,
    } | fields  # fmt: skip


def act(browser, version, name):
    return browser.post(page_of(version), {"act": name}, follow=True).content.decode()


# --- Policies --------------------------------------------------------------------------------------------------------
def test_a_policy_is_written_tried_and_brought_into_force_by_a_second_operator(desk):
    assert desk.post("/admin/access/policy/add/", form()).status_code == 302
    version = PolicyVersion.objects.get()
    assert (version.state, version.created_by, version.policy.resource_types) == (
        State.DRAFT, "operator:ada@acme.example", ["record"],
    )  # fmt: skip
    assert "is tried beside" in act(desk, version, "try")
    assert "waits for a second operator" in act(desk, version, "activate")
    assert not permits()
    approval = Approval.objects.get()
    shown = desk.get(f"/admin/approvals/approval/{approval.pk}/change/").content.decode()
    assert f"/admin/access/policyversion/in:{version.pk}/change/" in shown
    assert desk.get(f"/admin/access/policyversion/in:{version.pk}/change/").status_code == 200
    approve(approval, actor=BOB)
    assert permits()


@pytest.mark.parametrize(
    ("fields", "part"),
    [
        ({"rules": "permit(principal"}, "line 1: unexpected end of input"),
        ({"rules": f"{READ}\n\npermit(principal is Nobody, action, resource is record);"}, "line 3: unrecognized"),
        ({"rules": "permit(principal, action, resource);"}, "confined to"),
        ({"rules": ""}, "required"),
        ({"owner": ""}, "required"),
        ({"slug": "built-in"}, "every set has"),
        ({"slug": "Not a slug"}, "slug"),
        ({"applications": "Not a slug"}, "slug"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_shown_beside_the_form_and_not_saved(desk, fields, part):
    answer = desk.post("/admin/access/policy/add/", form(**fields))
    assert answer.status_code == 200
    assert part in answer.content.decode()
    assert not Policy.objects.exists()


def test_another_text_is_another_version_and_the_same_is_none(desk):
    version = draft(READ + "\n", slug="erp")
    address = f"/admin/access/policy/{version.policy_id}/change/"
    assert READ.split("(")[0] in desk.get(address).content.decode()
    desk.post(address, form(rules=READ.replace("\n", "\r\n"), name="The ERP"))
    assert [one.number for one in PolicyVersion.objects.all()] == [1]
    assert Policy.objects.get().name == "The ERP"
    desk.post(address, form(rules=READ.replace("read", "write")))
    assert PolicyVersion.objects.count() == 2


@pytest.mark.parametrize("name", ["", "fly", "__class__", "retire", "end_trial"])
def test_what_cannot_become_of_a_draft_does_not(desk, name):
    version = draft(READ)
    act(desk, version, name)
    assert reread(version).state == State.DRAFT
    assert not Approval.objects.exists()


def test_asking_twice_is_told(desk):
    version = draft(READ)
    act(desk, version, "activate")
    assert "waits for an approval already" in act(desk, version, "activate")
    assert Approval.objects.count() == 1


def test_a_viewer_looks_and_changes_nothing(onlooker):
    version = draft(READ, slug="erp")
    for address in (
        "policy/",
        f"policy/{version.policy_id}/change/",
        "policyversion/",
        "policyset/",
        "policyschema/",
        "decision/",
    ):
        assert onlooker.get(f"/admin/access/{address}").status_code == 200, address
    assert 'name="act"' not in onlooker.get(page_of(version)).content.decode()
    assert onlooker.post(page_of(version), {"act": "try"}).status_code == 403
    assert onlooker.post("/admin/access/policy/add/", form(slug="crm")).status_code == 403
    assert onlooker.post(f"/admin/access/policy/{version.policy_id}/change/", form()).status_code == 403
    assert reread(version).state == State.DRAFT


@pytest.mark.parametrize(
    "address", ["policy/", "policyversion/1/change/", "decision/", "policyschema/add/", "policyset/1/change/"]
)
def test_nobody_looks_without_signing_in(client, address):
    answer = client.get(f"/admin/access/{address}")
    assert answer.status_code == 302
    assert "/admin/login/" in answer["Location"]


@pytest.mark.parametrize(
    "address",
    [
        "policyversion/99/change/",
        "policyversion/x/change/",
        "policyset/99/change/",
        "policyset/x/change/",
        "decision/x/change/",
    ],
)
def test_what_is_not_there_is_not_shown(desk, address):
    assert desk.get(f"/admin/access/{address}").status_code == 404


def test_a_version_is_shown_with_its_lines_and_what_it_would_change(desk):
    in_force(READ)
    version = try_version(
        draft('// <script>alert(1)</script>\n@id("none")\nforbid(principal, action, resource is record);', slug="none"),
        actor=ADA,
    )
    decided = ask()
    shown = desk.get(page_of(version)).content.decode()
    assert "<script>alert(1)" not in shown
    assert 'id="line-3"' in shown
    assert "would have changed 1 of 1 decisions: 1 to no, 0 to yes" in shown
    assert f"/admin/access/decision/{decided.decision_id}/change/" in shown
    assert "would have changed 1 of 1" in desk.get("/admin/access/policy/").content.decode()
    assert "End the trial" in shown


def test_the_built_in_rules_are_shown_in_each_set(desk):
    version = in_force(READ, slug="reading")
    number = PolicySet.objects.order_by("-number").first().number
    shown = desk.get(f"/admin/access/policyset/{number}/change/").content.decode()
    assert "sign-on-default" in shown
    assert f"/admin/access/policyversion/{version.pk}/change/" in shown
    assert "reading 1 came into force" in desk.get("/admin/access/policyset/").content.decode()


# --- What policies speak of ------------------------------------------------------------------------------------------
def test_declarations_begin_with_those_of_today_and_make_a_new_schema(desk):
    shown = desk.get("/admin/access/policyschema/add/").content.decode()
    assert "entity record" in shown
    fields = {"source": SCHEMA + "entity photo;", "person_properties": PERSON, "client_properties": ""}
    assert desk.post("/admin/access/policyschema/add/", fields).status_code == 302
    assert "entity photo;" in current_schema().source
    declared = desk.get(f"/admin/access/policyschema/{current_schema().pk}/change/")
    assert declared.status_code == 200
    assert '<pre class="cs-message" tabindex="0">' in declared.content.decode()


@pytest.mark.parametrize(
    "fields",
    [{"source": "entity"}, {"person_properties": "x: Y"}, {"client_properties": "active: Bool"}, {"source": ""}],
)
def test_declarations_that_cannot_be_are_not_saved(desk, fields):
    in_force(READ)
    number = current_schema().number
    answer = desk.post(
        "/admin/access/policyschema/add/",
        {"source": SCHEMA, "person_properties": PERSON, "client_properties": ""} | fields,
    )
    assert answer.status_code == 200
    assert "line " in answer.content.decode()
    assert current_schema().number == number


# --- Decisions -------------------------------------------------------------------------------------------------------
def test_a_decision_is_found_by_id_subject_and_resource_and_by_nothing_less(desk):
    in_force(READ)
    person = make_person()
    ours = ask(("user", str(person.pk)), resource=("record", "4711"))
    foreign = ask(("user", "alice@acme.example"), resource=("record", "4712"))

    def found(text):
        shown = desk.get("/admin/access/decision/", {"q": text}).content.decode()
        return {one.decision_id for one in (ours, foreign) if f"/decision/{one.decision_id}/change/" in shown}

    assert found(ours.decision_id) == {ours.decision_id}
    assert found(str(person.pk)) == {ours.decision_id}
    assert found("alice@acme.example") == {foreign.decision_id}
    assert found("user alice@acme.example") == {foreign.decision_id}
    assert found("record 4712") == {foreign.decision_id}
    assert found("record 4711 ") == {ours.decision_id}
    for text in ("alice", "record", "4711", "user", "'", "%", "a" * 5_000):
        assert found(text) == set(), text
    listed = desk.get("/admin/access/decision/", {"resource_type": "record", "decision__exact": "1"}).content.decode()
    assert str(person.pk) in listed
    assert "alice" not in listed


def test_a_decision_is_shown_with_what_it_was_made_from_and_opening_it_is_an_event(desk):
    in_force(READ)
    decided = ask(("user", "alice"), subject_properties={"role": "<b>surgeon</b>"})
    shown = desk.get(f"/admin/access/decision/{decided.decision_id}/change/").content.decode()
    assert "&lt;b&gt;surgeon" in shown
    assert "<b>surgeon" not in shown
    event = Event.objects.get(type="decision.read")
    assert (event.subject_id, event.actor_id) == (decided.decision_id, "ada@acme.example")


def test_a_decision_is_made_again(desk):
    in_force(READ)
    address = f"/admin/access/decision/{ask().decision_id}/change/"
    assert "it is the same: yes" in desk.post(address).content.decode()
    Decision.objects.update(decision=False)
    assert "it differs: yes" in desk.post(address).content.decode()
    Decision.objects.update(sealed="k1.AAAA")
    assert "cannot be made again" in desk.post(address).content.decode()


def test_nobody_writes_a_decision(desk):
    decided = ask()
    assert desk.get("/admin/access/decision/add/").status_code == 403
    assert desk.post(f"/admin/access/decision/{decided.decision_id}/delete/", {"post": "yes"}).status_code == 403
    assert desk.post("/admin/access/policyversion/add/", {}).status_code == 403
    assert desk.post("/admin/access/policyset/1/delete/", {"post": "yes"}).status_code == 403
    assert Decision.objects.count() == 1


def test_the_sidebar_leads_to_the_pages(desk):
    shown = desk.get("/admin/").content.decode()
    for model in ("policy", "policyversion", "policyset", "policyschema", "decision"):
        assert f'href="/admin/access/{model}/"' in shown
