"""Targets in the console: registered, probed, given another credential; secrets go in and never come out."""

import pytest
from django.urls import reverse

from broker.delivery.models import Lane
from broker.events.models import Event
from provisioning.outbound.credentials import credential_of
from provisioning.outbound.models import RemoteAccount, RemoteGroup, Target
from tests.broker.console.conftest import console, make_operator, sign_in, viewer_console
from tests.factories import make_application
from tests.provisioning.outbound.desk import TOKEN, Desk

__all__ = ["console", "make_operator", "sign_in", "viewer_console"]
pytestmark = pytest.mark.django_db(transaction=True)
SECRET = "canary-credential-0123456789abcdef"


def entered(application, **changes):
    return {
        "application": application.pk,
        "slug": "crm-scim",
        "name": "CRM accounts",
        "owner": "crm@acme.example",
        "enabled": "on",
        "base_url": "https://crm.acme.example/scim/v2",
        "authentication": "bearer",
        "scope": '{"everyone": true}',
        "mapping_lines": "userName: user_name|email\nemails: email",
        "leaver_policy": "deactivate",
        "adoption": "unmarked",
        "group_strategy": "none",
        "groups": "",
        "breaker_count": "50",
        "breaker_share": "0.1",
        "leaver_deadline": "900",
        "max_connections": "16",
        "credential": SECRET,
        **changes,
    }


def test_a_target_is_registered_and_its_credential_is_nowhere_on_the_page(console):
    answer = console.post(reverse("admin:outbound_target_add"), entered(make_application()))
    assert answer.status_code == 302
    target = Target.objects.get()
    assert target.mapping == {"emails": "email", "userName": "user_name|email"}
    assert credential_of(target) == SECRET
    page = console.get(reverse("admin:outbound_target_change", args=[target.pk])).content.decode()
    assert "sealed, since" in page
    assert "not probed yet" in page
    for place in (page, str(list(Event.objects.values_list("details", flat=True))), target.credential_sealed):
        assert SECRET not in place


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"scope": '{"everyone": 1}'}, "true or false"),
        ({"scope": "[]"}, "mapping"),
        ({"adoption": "all"}, "all is not one of the available choices"),
        ({"mapping_lines": "userName email"}, "a colon"),
        ({"mapping_lines": "emails: email"}, "userName is missing"),
        ({"credential": "two words"}, "no space"),
        ({"credential": ""}, "required"),
        ({"base_url": "http://crm.acme.example/scim/v2"}, "https://"),
        ({"authentication": "client_credentials"}, "token_url"),
        ({"max_connections": "65"}, "64"),
    ],
)
def test_a_form_says_what_is_wrong_and_registers_nothing(console, changes, words):
    answer = console.post(reverse("admin:outbound_target_add"), entered(make_application(), **changes))
    assert answer.status_code == 200
    assert words in answer.content.decode()
    assert SECRET not in answer.content.decode()
    assert not Target.objects.exists()


def test_the_list_shows_what_stands_and_what_does_not(console, desk: Desk):
    alice, bob = desk.person("alice"), desk.person("bob")
    desk.sync(alice)
    desk.sync(bob, carried=False)
    page = console.get(reverse("admin:outbound_target_changelist")).content.decode()
    assert "1 of 2" in page
    assert desk.target.owner in page
    assert console.get(reverse("admin:outbound_remoteaccount_changelist")).status_code == 200
    account = RemoteAccount.objects.get(person=alice)
    page = console.get(reverse("admin:outbound_remoteaccount_change", args=[account.pk])).content.decode()
    assert account.answer_digest in page
    RemoteGroup.objects.create(
        target=desk.target, group_uid=alice.pk, name="sales", aim="present", wanted_at=account.wanted_at
    )
    assert "sales" in console.get(reverse("admin:outbound_remotegroup_changelist")).content.decode()
    group = RemoteGroup.objects.get()
    assert console.get(reverse("admin:outbound_remotegroup_change", args=[group.pk])).status_code == 200


def test_the_probe_button_probes_and_shows_the_evidence(console, desk: Desk):
    address = reverse("admin:outbound_target_probe", args=[desk.target.pk])
    assert "canary" in console.get(address).content.decode()
    assert desk.users() == []
    page = console.post(address, follow=True).content.decode()
    assert "changes accounts by PATCH" in page
    assert "read back that it is closed" in page
    assert desk.users() == []
    assert Event.objects.get(type="target.probed").actor_kind == "operator"


def test_a_probe_that_fails_says_why(console, desk: Desk):
    desk.there.fault("answer", status=401)
    page = console.post(reverse("admin:outbound_target_probe", args=[desk.target.pk]), follow=True).content.decode()
    assert "refuses our credential" in page
    assert TOKEN not in page


def test_another_credential_lets_a_stopped_lane_go_on(console, desk: Desk):
    Lane.objects.update_or_create(name=desk.target.lane, defaults={"state": Lane.State.STOPPED})
    address = reverse("admin:outbound_target_rotate", args=[desk.target.pk])
    assert console.get(address).status_code == 200
    refused = console.post(address, {"credential": "two words"}).content.decode()
    assert "no space" in refused
    assert "two words" not in refused
    assert console.post(address, {"credential": SECRET}).status_code == 302
    desk.target.refresh_from_db()
    assert credential_of(desk.target) == SECRET
    assert Lane.objects.get().state == Lane.State.OPEN
    assert Event.objects.filter(type="target.credential_changed").count() == 1


def test_a_viewer_sees_and_changes_nothing(viewer_console, desk: Desk):
    page = viewer_console.get(reverse("admin:outbound_target_change", args=[desk.target.pk]))
    assert page.status_code == 200
    for name in ("probe", "rotate", "retire"):
        answer = viewer_console.post(reverse(f"admin:outbound_target_{name}", args=[desk.target.pk]))
        assert answer.status_code == 403
    desk.target.refresh_from_db()
    assert desk.target.retired_at is None


def test_a_retired_target_forgets_the_credential(console, desk: Desk):
    console.post(reverse("admin:outbound_target_retire", args=[desk.target.pk]))
    desk.target.refresh_from_db()
    assert (desk.target.enabled, desk.target.credential_sealed) == (False, "")
