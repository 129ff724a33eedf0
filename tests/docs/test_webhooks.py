"""What docs/webhooks.md shows is true: its webhook is registered, and its examples believe us and nobody else."""

import os
import subprocess

import pytest
from django.utils import timezone

from broker.actors import SYSTEM
from broker.delivery.carrying import carry
from broker.delivery.models import Delivery
from broker.events import catalogue
from broker.events.reading import read_notices
from broker.events.services import record
from broker.notify import services
from broker.notify.models import Subscription
from tests.docs.pages import COMMANDS, Page
from tests.fakes.webhook_receiver import Receiver

pytestmark = pytest.mark.django_db
LANGUAGES = pytest.mark.parametrize("language", ["python", pytest.param("javascript", marks=pytest.mark.node)])


@pytest.fixture
def message(settings, tmp_path):
    """A real message, as the variables of the page's examples; and the page."""
    settings.OUTGOING_NETWORKS = ["127.0.0.0/8"]
    page = Page.read("webhooks.md")
    page.apply(tmp_path)
    subscription = Subscription.objects.get(slug="siem")
    with Receiver() as receiver:
        url = f"http://127.0.0.1:{receiver.port}/countersign"
        services.change_subscription(subscription, actor=SYSTEM, url=url)
        secret = services.rotate_secret(subscription, actor=SYSTEM)
        record(catalogue.PERSON_DEACTIVATED, actor=SYSTEM, subject=("person", "p-1"), reason="left")
        read_notices()
        carry(Delivery.objects.get().lane)
    headers = {
        name.upper().replace("-", "_"): value for name, value in receiver.headers[0].items() if "webhook" in name
    }
    return page, headers | {"BODY": receiver.bodies[0].decode(), "WEBHOOK_SECRET": secret}


@LANGUAGES
def test_the_examples_believe_a_message_of_ours(message, language):
    page, environment = message
    assert page.run(language, **environment) == ["countersign.person.deactivated\n"]


@LANGUAGES
@pytest.mark.parametrize(
    "forged",
    [
        {"BODY": "{}"},
        {"WEBHOOK_ID": "1"},
        {"WEBHOOK_TIMESTAMP": str(int(timezone.now().timestamp()) - 3600)},
        {"WEBHOOK_SIGNATURE": "v1,AAAA"},
        {"WEBHOOK_SECRET": "whsec_AAAA"},
    ],
    ids=lambda forged: next(iter(forged)),
)
def test_the_examples_believe_nothing_that_was_changed(message, language, forged):
    page, environment = message
    (snippet,) = page.snippets(language)
    variables = environment | forged | {"PATH": os.environ["PATH"]}
    done = subprocess.run([*COMMANDS[language], snippet], env=variables, capture_output=True)
    assert done.returncode
