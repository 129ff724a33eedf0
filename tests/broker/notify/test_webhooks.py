"""Webhooks: what happens reaches the address that wants it, signed, in an envelope, and is shown arrived only then."""

import json
from datetime import timedelta
from io import StringIO

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db import transaction
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from broker import limits
from broker.actors import SYSTEM
from broker.delivery.carrying import carry
from broker.delivery.models import Delivery
from broker.errors import BrokerError
from broker.events import catalogue
from broker.events.models import Event
from broker.events.reading import read_notices
from broker.events.services import record
from broker.notify import services
from broker.notify.models import Subscription
from broker.notify.patterns import check_patterns, matches
from broker.registry.cache import parties
from broker.registry.values import BadValue
from tests.broker.console.conftest import console, make_operator, sign_in, viewer_console
from tests.fakes.server import serving
from tests.fakes.webhook_receiver import Receiver

__all__ = ["console", "make_operator", "sign_in", "viewer_console"]

pytestmark = pytest.mark.django_db
State = Delivery.State


@pytest.fixture(autouse=True)
def _loopback(settings):
    settings.OUTGOING_NETWORKS = ["127.0.0.0/8", "::1/128"]


@pytest.fixture
def receiver():
    with Receiver() as running:
        yield running


def subscribe(receiver, *types, slug="siem", **fields):
    fields = {"owner": "soc@acme.example", "url": f"http://127.0.0.1:{receiver.port}/in"} | fields
    subscription, secret = services.create_subscription(slug, actor=SYSTEM, types=list(types or ["person.*"]), **fields)
    receiver.secrets = [secret]
    return subscription, secret


def happen(event_type=catalogue.PERSON_DEACTIVATED, **details):
    return record(event_type, actor=SYSTEM, subject=("person", "p-1"), **details)


def settle_all():
    read_notices()
    for lane in Delivery.objects.values_list("lane", flat=True).distinct():
        carry(lane)


# --- What arrives ----------------------------------------------------------------------------------------------------
def test_an_event_arrives_in_its_envelope_with_a_signature_that_a_stranger_verifies(receiver):
    subscribe(receiver)
    event = happen(reason="left")
    settle_all()
    (message,) = receiver.verified
    assert message == {
        "specversion": "1.0",
        "id": str(event.pk),
        "source": "http://localhost:8000",
        "type": "countersign.person.deactivated",
        "subject": "person/p-1",
        "time": event.at.isoformat().replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "data": {
            "severity": event.severity,
            "actor": {"kind": "system", "id": "countersign"},
            "connection": "", "application": "", "code": "", "trace_id": "",
            "details": {"reason": "left"},
        },
    }  # fmt: skip
    assert Delivery.objects.get().state == State.CONFIRMED
    assert receiver.headers[0]["content-type"] == "application/cloudevents+json"
    assert receiver.headers[0]["webhook-id"] == str(event.pk)


def test_an_event_without_a_subject_has_no_empty_one(receiver):
    subscribe(receiver, "configuration.applied")
    record(catalogue.CONFIGURATION_APPLIED, actor=SYSTEM)
    settle_all()
    assert "subject" not in receiver.verified[0]


def test_an_attempt_is_signed_anew_under_the_same_id(receiver):
    subscribe(receiver)
    happen()
    receiver.statuses = [500, 200]
    settle_all()
    with time_machine.travel(timezone.now() + timedelta(hours=1), tick=False):
        settle_all()
    first, second = receiver.headers
    assert first["webhook-id"] == second["webhook-id"]
    assert first["webhook-timestamp"] < second["webhook-timestamp"]
    assert first["webhook-signature"] != second["webhook-signature"]
    assert Delivery.objects.get().state == State.CONFIRMED


def test_what_nobody_wants_leaves_no_row(receiver):
    subscribe(receiver, "leaver.*")
    happen()
    settle_all()
    assert not Delivery.objects.exists()
    assert not receiver.headers


def test_each_subscription_gets_its_own(receiver):
    subscribe(receiver)
    with Receiver() as other:
        subscribe(other, "person.deactivated", slug="chat")
        happen()
        settle_all()
        assert len(receiver.verified) == len(other.verified) == 1
    assert Delivery.objects.filter(state=State.CONFIRMED).count() == 2


def test_an_event_that_was_rolled_back_is_told_to_nobody(receiver):
    subscribe(receiver)
    with transaction.atomic():
        happen()
        transaction.set_rollback(True)
    settle_all()
    assert not receiver.headers


# --- What does not ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("status", [301, 400, 401, 404, 408, 500, 502])
def test_an_answer_that_is_no_2xx_is_no_arrival(receiver, status):
    subscribe(receiver)
    happen()
    receiver.statuses = [status]
    settle_all()
    assert Delivery.objects.get().state == State.RETRYING


@pytest.mark.parametrize("status", [429, 503])
def test_who_asks_to_wait_is_left_alone_so_long(receiver, status):
    subscribe(receiver)
    happen()
    happen()
    receiver.statuses, receiver.retry_after = [status], "120"
    settle_all()
    assert len(receiver.headers) == 1, "the whole lane waits"
    with time_machine.travel(timezone.now() + timedelta(seconds=110), tick=False):
        settle_all()
    assert len(receiver.headers) == 1
    with time_machine.travel(timezone.now() + timedelta(seconds=600), tick=False):
        settle_all()
    assert len(receiver.verified) == 3


@pytest.mark.parametrize("value", ["soon", "-5", "9" * 400, "Mon, 99 Foo 2026", ""])
def test_a_retry_after_that_says_nothing_is_no_pause_for_ever(receiver, value):
    subscribe(receiver)
    happen()
    receiver.statuses, receiver.retry_after = [429], value
    settle_all()
    with time_machine.travel(timezone.now() + limits.DELIVERY_WAIT_MAX + timedelta(hours=6), tick=False):
        settle_all()
    assert Delivery.objects.get().state == State.CONFIRMED


def test_an_address_that_is_gone_is_switched_off_and_told(receiver):
    subscription, _ = subscribe(receiver)
    happen()
    receiver.statuses = [410]
    settle_all()
    subscription.refresh_from_db()
    assert not subscription.enabled
    assert "410" in subscription.disabled_reason
    assert Delivery.objects.get().state == State.DEAD
    assert Event.objects.filter(type="webhook.disabled").count() == 1
    parties.forget()
    happen()
    settle_all()
    assert Delivery.objects.count() == 1


def test_a_webhook_that_was_retired_meanwhile_gets_nothing(receiver):
    subscription, _ = subscribe(receiver)
    happen()
    read_notices()
    services.retire_subscription(subscription, actor=SYSTEM)
    settle_all()
    assert Delivery.objects.get().state == State.SKIPPED
    assert not receiver.headers


def test_a_successor_under_the_same_slug_gets_nothing_of_before(receiver):
    subscription, _ = subscribe(receiver)
    happen()
    read_notices()
    services.retire_subscription(subscription, actor=SYSTEM)
    with Receiver() as other:
        subscribe(other)
        settle_all()
        assert not other.headers


def test_events_about_webhooks_are_not_sent_by_webhooks(receiver):
    subscribe(receiver, "*")
    read_notices()
    before = Delivery.objects.count()
    record(catalogue.WEBHOOK_REPLAYED, actor=SYSTEM)
    settle_all()
    settle_all()
    assert Delivery.objects.count() == before
    assert len(receiver.verified) == before


def test_a_webhook_is_not_told_that_it_was_not_told(receiver):
    subscribe(receiver, "*")
    receiver.statuses = [410]
    settle_all()
    count = Delivery.objects.count()
    settle_all()
    assert Delivery.objects.count() == count


def test_an_address_inside_is_not_reached(receiver, settings):
    settings.OUTGOING_NETWORKS = []
    subscribe(receiver)
    happen()
    settle_all()
    assert not receiver.headers
    assert Delivery.objects.get().state == State.RETRYING


def test_a_trickling_answer_is_no_arrival(monkeypatch):
    monkeypatch.setattr(limits, "WEBHOOK_SECONDS", 0.3)
    with serving(lambda connection: connection.recv(1) or None) as server:
        subscription, _ = services.create_subscription(
            "slow", actor=SYSTEM, owner="a@acme.example", url=f"http://127.0.0.1:{server.port}/", types=["person.*"]
        )
        happen()
        settle_all()
    assert Delivery.objects.get(lane=services.lane_of(subscription)).state == State.RETRYING


# --- Secrets ---------------------------------------------------------------------------------------------------------
def test_after_a_rotation_both_secrets_verify_and_later_only_the_new_one(receiver):
    subscription, old = subscribe(receiver)
    new = services.rotate_secret(subscription, actor=SYSTEM)
    happen()
    settle_all()
    body, headers = receiver.bodies[0], receiver.headers[0]
    assert Webhook(old).verify(body, headers) == Webhook(new).verify(body, headers)
    later = timezone.now() + limits.WEBHOOK_SECRET_OVERLAP + timedelta(minutes=1)
    with time_machine.travel(later, tick=False):
        happen()
        settle_all()
        with pytest.raises(WebhookVerificationError):
            Webhook(old).verify(receiver.bodies[1], receiver.headers[1])
        Webhook(new).verify(receiver.bodies[1], receiver.headers[1])


def test_a_changed_body_does_not_verify(receiver):
    _, secret = subscribe(receiver)
    happen()
    settle_all()
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(receiver.bodies[0].replace(b"person", b"nobody"), receiver.headers[0])


def test_the_secret_is_stored_sealed_and_stands_in_no_event(receiver):
    subscription, secret = subscribe(receiver)
    services.rotate_secret(subscription, actor=SYSTEM)
    assert secret not in str(Subscription.objects.values().get())
    assert not [event for event in Event.objects.all() if secret in json.dumps(event.details)]


def test_a_secret_that_does_not_open_sends_nothing_unsigned(receiver):
    subscription, _ = subscribe(receiver)
    Subscription.objects.filter(pk=subscription.pk).update(secret_sealed="k1.AAAA")
    happen()
    settle_all()
    assert not receiver.headers
    assert Delivery.objects.get().reason == "webhook.secret"


# --- Replay ----------------------------------------------------------------------------------------------------------
def test_a_replay_sends_what_happened_since_under_the_same_ids(receiver):
    with time_machine.travel("2026-11-01T00:00Z", tick=False):
        happen()
    with time_machine.travel("2026-11-02T00:00Z", tick=False):
        wanted = [happen(), happen()]
        record(catalogue.CONFIGURATION_APPLIED, actor=SYSTEM)
    subscribe(receiver)
    out = StringIO()
    call_command("replay_webhooks", "siem", "--since", "2026-11-01T12:00", stdout=out)
    settle_all()
    assert [one["id"] for one in receiver.verified] == [str(event.pk) for event in wanted]
    assert out.getvalue() == "2 events wait for siem; the worker sends them.\n"
    assert Event.objects.get(type="webhook.replayed").details["count"] == 2


def test_a_replay_of_nothing_is_no_success(receiver):
    subscribe(receiver)
    with pytest.raises(CommandError, match="nothing is sent"):
        call_command("replay_webhooks", "siem", "--since", "2026-11-01T12:00")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(["nobody", "--since", "2026-11-01"], "there is no webhook"), (["siem", "--since", "yesterday"], "is no moment")],
)
def test_a_replay_that_is_asked_for_wrongly_says_how(receiver, arguments, says):
    subscribe(receiver)
    with pytest.raises(CommandError, match=says):
        call_command("replay_webhooks", *arguments)


def test_a_replay_is_bounded(receiver, monkeypatch):
    monkeypatch.setattr(limits, "WEBHOOK_REPLAY_EVENTS", 2)
    subscription, _ = subscribe(receiver)
    since = timezone.now() - timedelta(minutes=1)
    happen()
    happen()
    assert services.replay(subscription, since=since, actor=SYSTEM) == 2
    happen()
    with pytest.raises(BrokerError, match=r"webhook\.replay_too_long"):
        services.replay(subscription, since=since, actor=SYSTEM)


def test_a_webhook_that_is_switched_off_is_not_replayed(receiver):
    subscription, _ = subscribe(receiver, enabled=False)
    with pytest.raises(BrokerError, match=r"webhook\.disabled"):
        services.replay(subscription, since=timezone.now(), actor=SYSTEM)


# --- Registering -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("patterns", [[], ["nobody.*"], ["person"], ["*.deactivated"], ["token.issued"], ["webhook.*"]])
def test_patterns_that_match_nothing_are_refused(patterns):
    with pytest.raises(BadValue):
        check_patterns(patterns)


def test_patterns():
    assert matches("person.*", "person.created")
    assert not matches("person.*", "personal.created")
    assert not matches("*", "token.issued"), "written without notices"
    assert not matches("*", "webhook.disabled")


@pytest.mark.parametrize(
    "fields",
    [
        {"url": "http://siem.example/in"},
        {"url": "ftp://siem.example"},
        {"url": "https://user:secret@siem.example/in"},
        {"owner": "nobody"},
        {"types": []},
    ],
)
def test_a_webhook_that_cannot_be_is_not_registered(fields):
    fields = {"owner": "soc@acme.example", "url": "https://siem.example/in", "types": ["*"]} | fields
    with pytest.raises(BadValue):
        services.create_subscription("siem", actor=SYSTEM, **fields)
    assert not Subscription.objects.exists()


def test_two_under_one_slug_are_refused(receiver):
    subscribe(receiver)
    with pytest.raises(BadValue):
        subscribe(receiver)


# --- The console -----------------------------------------------------------------------------------------------------
def test_the_console_registers_one_and_shows_its_secret_once(console: Browser):
    add = reverse("admin:notify_subscription_add")
    form = {"slug": "siem", "name": "SIEM", "owner": "soc@acme.example", "url": "https://siem.example/in"}
    answer = console.post(add, form | {"enabled": "on", "type_lines": "person.*\nleaver.late"}, follow=True)
    assert answer.status_code == 200
    subscription = Subscription.objects.get()
    assert subscription.types == ["person.*", "leaver.late"]
    rotate = reverse("admin:notify_subscription_rotate_secret", args=[subscription.pk])
    assert "whsec_" not in console.get(rotate).content.decode()
    shown = console.post(rotate).content.decode()
    assert shown.count("whsec_") == 1
    page = console.get(reverse("admin:notify_subscription_change", args=[subscription.pk])).content.decode()
    assert "whsec_" not in page
    assert "nothing sent yet" in page


def test_the_console_refuses_what_the_service_refuses(console: Browser):
    form = {"slug": "siem", "name": "SIEM", "owner": "soc@acme.example", "url": "http://siem.example/in"}
    answer = console.post(reverse("admin:notify_subscription_add"), form | {"type_lines": "person.*"})
    assert answer.status_code == 200
    assert not Subscription.objects.exists()


def test_a_viewer_makes_no_secret(viewer_console: Browser, receiver):
    subscription, _ = subscribe(receiver)
    rotate = reverse("admin:notify_subscription_rotate_secret", args=[subscription.pk])
    assert viewer_console.post(rotate).status_code == 403
