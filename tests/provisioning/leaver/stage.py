"""A leaver with everything that one can have, and the clock, the queue and the book around them."""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils import timezone

from broker.actors import SYSTEM, Actor, ActorKind
from broker.delivery.carrying import carry
from broker.delivery.enqueueing import NewDelivery, enqueue
from broker.delivery.models import Delivery, Lane
from broker.directory.models import Identifier, Person
from broker.directory.services import deactivate_person
from broker.events import sealing
from broker.events.reading import read_notices
from broker.sessions.models import Session
from broker.tokens.models import Grant
from provisioning.leaver.exporting import as_text, export_case
from provisioning.leaver.models import Case, Item
from provisioning.leaver.settling import settle_due
from provisioning.outbound.models import RemoteAccount, Target
from tests.factories import (
    make_application,
    make_client,
    make_keys,
    make_participant,
    make_person,
    make_service,
    make_session,
)

VERIFIER = settings.ROOT / "provisioning" / "leaver" / "offline" / "verify_leaver.py"
EMAIL = "alice@acme.example"
OPERATOR = Actor(ActorKind.OPERATOR, "ada@acme.example")
ALONE = """
import sys
for name in ("django", "broker", "federation", "provisioning", "jose", "celery", "tests"):
    sys.modules[name] = None
import runpy
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@dataclass
class Leaver:
    """A person who is about to leave."""

    person: Person

    @property
    def case(self) -> Case:
        return Case.objects.filter(person=self.person).latest("opened_at")

    def item(self, kind: str, place: str = "") -> Item:
        found = self.case.items.filter(kind=kind)
        return found.get(title__contains=place) if place else found.get()

    def leave(self) -> Case:
        """The account is closed, and the readers of the book read it."""
        deactivate_person(self.person, reason="left", actor=SYSTEM)
        work()
        return self.case

    def ask_targets_to_close(self) -> None:
        """What the room of targets does of its own accord when it reads the same event."""
        for account in RemoteAccount.objects.filter(person=self.person).exclude(state="absent"):
            if account.target.leaver_policy != Target.LeaverPolicy.KEEP and account.target.is_in_use:
                row = NewDelivery(lane=account.target.lane, subject=f"person:{self.person.pk}", must_arrive=True)
                enqueue("scim", [row], actor=SYSTEM)


def make_leaver(**fields: Any) -> Leaver:
    """With an e-mail address, and nothing else yet."""
    make_keys()
    person = make_person(**fields)
    Identifier.objects.create(person=person, kind="email", value=EMAIL, comparable=EMAIL, since=timezone.now())
    return Leaver(person)


def with_session(leaver: Leaver, *, tell: bool = False) -> Session:
    """A session in which one application takes part; `tell` says whether it can be told of the end."""
    uri = "https://crm.example/logout" if tell else ""
    client = make_client(application=make_application(name="CRM"), backchannel_logout_uri=uri)
    session = make_session(person=leaver.person, handle=f"handle-{Session.objects.count()}")
    make_participant(session=session, client=client)
    return session


def with_grant(leaver: Leaver, **fields: Any) -> Grant:
    now = timezone.now()
    fields = {"client": make_service(), "created_at": now, "expires_at": now + timedelta(hours=8)} | fields
    return Grant.objects.create(person=leaver.person, **fields)


def make_target(slug: str, **fields: Any) -> Target:
    fields = {"name": slug.upper(), "owner": "it@acme.example", "base_url": f"https://{slug}.example/scim"} | fields
    if "application" not in fields:
        fields["application"] = make_application()
    return Target.objects.create(slug=slug, created_at=timezone.now(), **fields)


def with_account(leaver: Leaver, slug: str, **fields: Any) -> RemoteAccount:
    return RemoteAccount.objects.create(
        target=make_target(slug, **fields),
        person=leaver.person,
        remote_id=f"{slug}-1",
        state="present",
        aim="present",
        wanted_at=timezone.now(),
        read_active=True,
        read_at=timezone.now(),
    )


def work(rounds: int = 4) -> None:
    """Everything that the queue and the scheduler would do now, until nothing is left that is due."""
    for _ in range(rounds):
        read_notices()
        for lane in Lane.objects.values_list("name", flat=True):
            carry(lane)
        read_notices()
        Case.objects.filter(look_at__isnull=False, look_at__lte=timezone.now() + timedelta(seconds=6)).update(
            look_at=timezone.now()
        )
        settle_due(now=timezone.now())


def seal() -> None:
    """Seal everything there is."""
    while sealing.seal_events(timezone.now()) is not None:
        pass


def export(case: Case, **options: Any) -> dict[str, Any]:
    """As it is handed out: through its text."""
    case.refresh_from_db()
    return dict(json.loads(as_text(export_case(case, actor=SYSTEM, **options))))


def verify(folder: Path, exported: dict[str, Any] | str, *arguments: str, anchor: Path | None = None) -> Any:
    """The program in a process of its own, in which nothing of ours can be imported."""
    program, file = folder / "verify_leaver.py", folder / "export.json"
    shutil.copy(VERIFIER, program)
    file.write_text(exported if isinstance(exported, str) else json.dumps(exported))
    command = [sys.executable, "-I", "-W", "error", "-c", ALONE, str(program), str(file)]
    if anchor is not None:
        command += ["--anchor", str(anchor)]
    return subprocess.run([*command, *arguments], cwd=folder, capture_output=True, text=True, timeout=60)


def unfinished() -> int:
    return Delivery.objects.filter(settled_at=None).count()
