"""Our credential at a target: what is presented, what is refused, and that it shows nowhere."""

import json

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from broker.actors import SYSTEM
from broker.delivery.models import Delivery, Lane
from provisioning.outbound.connectors.base import TargetError
from provisioning.outbound.credentials import credential_of, reseal_credentials
from provisioning.outbound.doctor import check_targets
from provisioning.outbound.models import Target
from provisioning.outbound.probing import probe
from provisioning.outbound.reading_back import read_back
from provisioning.outbound.registering import change_target
from tests.fakes.scim_target.running import ScimTarget
from tests.provisioning.outbound.desk import TOKEN, Desk

pytestmark = pytest.mark.django_db(transaction=True)
SECRET = "canary-client-secret-of-the-target"


@pytest.fixture
def oauth(tmp_path, db):
    """A target that gives tokens to its clients."""
    with ScimTarget(tmp_path / "oauth.log", fast=True, client=f"countersign:{SECRET}") as there:
        fields = {"authentication": "client_credentials", "token_url": there.token_url}
        yield Desk(there, **fields, token_client_id="countersign", credential=SECRET)


def test_accounts_are_written_with_a_token_of_the_token_endpoint(oauth: Desk):
    people = [oauth.person(name) for name in ("alice", "bob", "carol")]
    oauth.sync(*people)
    assert {one["userName"] for one in oauth.users()} == {"alice", "bob", "carol"}


def test_a_token_that_the_target_refuses_is_asked_for_anew_once(oauth: Desk):
    alice = oauth.person("alice")
    oauth.sync(oauth.person("zoe"))
    oauth.there.fault("answer", status=401, times=1, path="/Users")
    oauth.sync(alice)
    assert (oauth.delivery(alice).state, oauth.lane().state) == (Delivery.State.CONFIRMED, Lane.State.OPEN)
    oauth.there.fault("answer", status=401, path="/Users")
    oauth.sync(alice, force=True)
    assert (oauth.delivery(alice).reason, oauth.lane().state) == ("target.unauthorized", Lane.State.STOPPED)


def test_a_secret_that_the_token_endpoint_refuses_stops_the_lane(oauth: Desk):
    change_target(oauth.target, actor=SYSTEM, credential="another-secret-than-registered")
    alice = oauth.person("alice")
    oauth.sync(alice)
    row = oauth.delivery(alice)
    assert (row.state, row.reason, oauth.lane().state) == (
        Delivery.State.RETRYING,
        "target.no_token",
        Lane.State.STOPPED,
    )
    assert "another-secret" not in row.detail


def test_a_sealed_credential_that_was_moved_to_another_target_does_not_open(desk: Desk):
    other = Desk(desk.there, application=desk.application)
    Target.objects.filter(pk=other.target.pk).update(credential_sealed=desk.target.credential_sealed)
    with pytest.raises(TargetError) as caught:
        credential_of(Target.objects.get(pk=other.target.pk))
    assert caught.value.code == "target.credential"
    assert reseal_credentials() == 0


def test_the_probe_says_what_it_proved_and_leaves_nothing(desk: Desk, capsys):
    call_command("probe_target", desk.target.slug, "--json")
    found = json.loads(capsys.readouterr().out)
    assert (found["method"], found["bulk"], found["closes"], found["paging"]) == ("patch", True, True, "index")
    assert found["said"]["problems"] == []
    assert len(found["evidence"]) > 8
    assert TOKEN not in json.dumps(found)
    assert desk.users() == []


@pytest.mark.parametrize(
    ("traits", "expected"),
    [
        ({"no_patch": True}, {"method": "put"}),
        ({"no_bulk": True}, {"bulk": False}),
        ({"cursor_only": True}, {"paging": "cursor"}),
        ({"no_filter_by_external_id": True}, {"finds_external_id": False}),
        ({"if_match_required": True}, {"wants_if_match": True}),
        ({"lie_on_disable": True}, {"closes": False}),
        ({"lie_on_delete": True}, {"deletes": False}),
    ],
)
def test_what_a_target_cannot_do_is_found_by_trying(there, db, traits, expected):
    there.change(**traits)
    found = probe(Desk(there).target, actor=SYSTEM).as_column()
    assert {name: found[name] for name in expected} == expected


def test_a_canary_that_a_killed_probe_left_is_removed_by_the_next(desk: Desk):
    name = f"countersign-canary-{desk.target.slug}@example.com"
    desk.there.act("create", document={"userName": name, "active": True})
    probe(desk.target, actor=SYSTEM)
    assert desk.users() == []


@pytest.mark.parametrize(
    ("fault", "options", "code"),
    [
        ("answer", {"status": 401}, "target.unauthorized"),
        ("answer", {"status": 500}, "target.error"),
        ("html", {"status": 200}, "target.not_scim"),
        ("redirect", {}, "target.redirect"),
    ],
)
def test_a_probe_that_finds_nothing_says_so(desk: Desk, fault, options, code):
    desk.there.fault(fault, **options)
    with pytest.raises(CommandError, match=code.replace(".", r"\.")):
        call_command("probe_target", desk.target.slug)
    desk.target.refresh_from_db()
    assert desk.target.probed_at is None
    assert desk.target.probe_problem.startswith(code)


def test_reading_back_shows_who_is_there_whether_we_knew_or_not(desk: Desk):
    alice, bob, carol = desk.person("alice"), desk.person("bob"), desk.person("carol")
    desk.sync(alice)
    desk.there.act("create", document={"userName": "bob", "externalId": str(bob.pk), "active": True})
    desk.there.act("disable", external_id=str(alice.pk))
    one, two, three = read_back(desk.target, [alice.pk, bob.pk, carol.pk])
    assert (one.state, one.read_active) == ("disabled", False)
    assert (two.state, two.read_active, two.pk is not None) == ("present", True, True)
    assert (three.state, three.read_active, three.pk, len(three.answer_digest)) == ("absent", None, None, 64)


def test_reading_back_from_a_target_that_is_away_is_an_error_and_no_absence(desk: Desk):
    alice = desk.person("alice")
    desk.sync(alice)
    desk.there.fault("answer", status=500)
    with pytest.raises(TargetError) as caught:
        read_back(desk.target, [alice.pk])
    assert caught.value.code == "target.error"
    assert desk.account(alice).state == "present"


def test_the_doctor_names_targets_that_need_somebody(desk: Desk):
    assert any("never probed" in one.text for one in check_targets())
    Target.objects.update(credential_sealed="")
    assert any(one.level == "fault" and desk.target.slug in one.text for one in check_targets())
