"""The liar and the clerk: one leaver, ten targets, three of which do not do as they were told.

`python -m tests.faults.liar_and_clerk`, over real processes: HR sends what Entra sends, `active: "False"`. One target
answers 200 and leaves the account as it is, one is down for an hour of an injected clock, one enables the account
again. The worker is killed twice, Redis is emptied. The certificate has to stay red, name all three, and turn green
when they are mended. Then a row of the ledger is edited in the database, and the offline verifier has to name it.
"""

import json
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.fakes.scim_target.running import ScimTarget
from tests.faults.world import World
from tests.faults.zygote import WORKER, Zygote
from tests.services.broker import ROOT
from tests.services.servers import end_when_told

TARGETS = ("crm", "erp", "wiki", "mail", "chat", "code", "pay", "docs", "desk", "data")
LIAR, DOWN, RELAPSING = "pay", "erp", "wiki"
BAD = {LIAR, DOWN, RELAPSING}
HONEST_CORES = ("crm", "pay")
"""These two are scim2-server's own core; the others are its lean double, for the memory of this machine."""
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTRA_DISABLE = {
    "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
    "Operations": [{"op": "Replace", "path": "active", "value": "False"}],
}
VERIFIER = ROOT / "provisioning" / "leaver" / "offline" / "verify_leaver.py"
HOUR = timedelta(hours=1)


class Wrong(Exception):
    """The story went otherwise than it has to; the text says where."""


def main() -> int:
    end_when_told()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="countersign-liar-") as folder, ExitStack() as exits:
        story = Story(Path(folder), exits)
        try:
            story.tell()
        except Wrong as wrong:
            say(f"WRONG: {wrong}")
            return 1
    say(f"{time.monotonic() - began:.0f} s in all. The clerk was right, and nobody got away with a lie.")
    return 0


class Story:
    """One telling, in one folder."""

    def __init__(self, folder: Path, exits: ExitStack) -> None:
        self._folder = folder
        self._world = exits.enter_context(World(folder))
        self._exits = exits
        self._targets: dict[str, ScimTarget] = {}
        self._token = ""
        self._zygote: Zygote
        self._worker = 0
        self._remote_name = f"ada-{secrets.token_hex(3)}@acme.example"

    def tell(self) -> None:
        self._open()
        self._hire()
        self._leave()
        self._stay_red()
        self._mend()
        self._edit()

    # -- The acts -------------------------------------------------------

    def _open(self) -> None:
        say(f"1. A broker (web, worker, PostgreSQL, Redis), HR, and {len(TARGETS)} targets.")
        world = self._world
        world.become_product()
        from tests.factories import make_application, make_organisation
        from tests.faults.targets import make_source, make_target

        for slug in TARGETS:
            log = self._folder / f"{slug}.log"
            self._targets[slug] = self._exits.enter_context(
                ScimTarget(log, fast=slug not in HONEST_CORES, token=f"token-of-{slug}")
            )
            make_target(
                slug,
                self._targets[slug],
                application=make_application(slug=slug, name=slug.upper()),
                token=f"token-of-{slug}",
            )
        self._token = make_source("hr", organisation=make_organisation(), dialect="entra")
        self._exits.enter_context(world.web())
        self._zygote = world.zygote()
        self._worker = self._begin_worker()

    def _hire(self) -> None:
        ada = {
            "schemas": [USER],
            "userName": self._remote_name,
            "externalId": "4711",
            "active": "True",
            "name": {"familyName": "Lovelace"},
        }
        status, said = self._hr("POST", "/Users", ada)
        check(status == 201, f"HR's POST was answered {status}: {said}")
        self._person = said["id"]
        took = self._world.wait_until(lambda: self._active() == set(TARGETS), what="the joiner is at ten targets")
        say(f"2. HR hires Ada; {took:.1f} s later all ten targets show her active.")

    def _leave(self) -> None:
        self._targets[LIAR].change(lie_on_disable=True)
        self._targets[DOWN].kill()
        say(f'3. "{LIAR}" will lie, "{DOWN}" is down. HR sends PATCH {json.dumps(ENTRA_DISABLE["Operations"])}.')
        began = time.monotonic()
        status, said = self._hr("PATCH", f"/Users/{self._person}", ENTRA_DISABLE)
        check(status in (200, 204), f"HR's PATCH was answered {status}: {said}")
        self._kill_worker("at once")
        self._world.empty_redis()
        self._worker = self._begin_worker()
        time.sleep(0.4)
        self._kill_worker("0.4 s into its second life, Redis emptied before")
        self._worker = self._begin_worker()
        honest = set(TARGETS) - BAD | {RELAPSING}
        self._world.wait_until(lambda: not self._active() & honest, what="eight targets closed the account")
        say(f"   {time.monotonic() - began:.1f} s after HR's request {len(honest)} targets have closed the account.")

    def _stay_red(self) -> None:
        from provisioning.leaver.models import Item

        world = self._world
        self._until("the liar was found out", lambda: self._item(LIAR).lied_at is not None)
        self._tell_certificate("4. The liar was found out.")
        world.clock.advance(timedelta(minutes=20))
        self._until("what is open is late", lambda: all(self._item(slug).late_at for slug in (LIAR, DOWN)))
        self._tell_certificate("   20 minutes later, and the two are late.")
        self._targets[RELAPSING].act("enable", user_name=self._remote_name)
        say(f'   "{RELAPSING}" enables the account again, by itself.')
        world.clock.advance(HOUR - timedelta(minutes=20) + timedelta(minutes=1))
        self._until("the relapse was found", lambda: self._item(RELAPSING).returned_at is not None)
        self._tell_certificate("   An hour later.")
        items = {slug: self._item(slug) for slug in TARGETS}
        red = {slug for slug, item in items.items() if item.state == Item.State.OPEN or item.returned_at}
        check(red >= BAD, f"not named: {BAD - red}")
        check(self._case().is_red, f"the certificate is {self._case().state}")

    def _mend(self) -> None:
        from provisioning.leaver.models import Case

        self._targets[LIAR].mend()
        self._targets[DOWN].start()
        say(f'5. "{LIAR}" was repaired, "{DOWN}" is back, "{RELAPSING}" is told again.')
        for _ in range(10):
            self._world.clock.advance(timedelta(minutes=10))
            if self._is_soon(lambda: self._case().state == Case.State.GREEN, seconds=8):
                break
        self._tell_certificate("")
        check(self._case().state == Case.State.GREEN, f"the certificate is {self._case().state}")
        check(not self._active(), f"still active at {self._active()}, and the certificate is green")
        closed = self._closed_in_logs()
        check(len(closed) == len(TARGETS), f"by their own logs closed at {sorted(closed)} only")
        say(f"   By their own logs all {len(closed)} targets have closed the account.")

    def _edit(self) -> None:
        self._world.clock.advance(timedelta(minutes=2))
        exported = self._export_sealed()
        say("6. The offline verifier, alone with the export and the last line of the seal log:")
        self._verify(exported, expected=0)
        row = next(row["row"]["id"] for row in exported["ledger"] if row["row"]["state"] == "confirmed")
        from django.db import connection

        with connection.cursor() as cursor:
            cursor.execute("UPDATE delivery_delivery SET status = 204, attempts = attempts + 1 WHERE id = %s", [row])
        say(f"   Somebody edits row {row} of the ledger in the database. Exported anew:")
        said = self._verify(self._export_sealed(), expected=1)
        check(f"ledger row {row} " in said, f"the verifier does not name row {row}")

    # -- Who acts -------------------------------------------------------

    def _hr(self, method: str, path: str, document: Mapping[str, Any]) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/scim+json"}
        answer = self._world.ask(method, f"/scim/v2{path}", content=json.dumps(document), headers=headers)
        return answer.status_code, answer.json() if answer.content else None

    def _begin_worker(self) -> int:
        return self._zygote.begin(f"{WORKER} --beat --schedule {self._folder}/beat")

    def _kill_worker(self, when: str) -> None:
        check(self._zygote.kill(self._worker), "the worker had ended by itself")
        say(f"   kill -9 of the worker, {when}.")

    def _active(self) -> set[str]:
        """Where the account is there and active, by the targets' own logs."""
        from tests.fakes.scim_target.effects import replay

        held = set()
        for slug, target in self._targets.items():
            for document in replay(target.effects())["User"].values():
                if document["userName"] == self._remote_name and document.get("active", True):
                    held.add(slug)
        return held

    def _closed_in_logs(self) -> set[str]:
        """Where the last thing that happened to the account, by our doing, is that it was closed."""
        closed = set()
        for slug, target in self._targets.items():
            effects = [effect for effect in target.effects() if effect["type"] == "User" and effect["act"] != "lie"]
            if effects and effects[-1]["by"] == "client" and effects[-1]["document"].get("active") is False:
                closed.add(slug)
        return closed

    # -- The clerk ------------------------------------------------------

    def _case(self) -> Any:
        from provisioning.leaver.models import Case

        return Case.objects.filter(person=self._person).latest("opened_at")

    def _item(self, slug: str) -> Any:
        return self._case().items.get(kind="target", reference__endswith=slug)

    def _tell_certificate(self, title: str) -> None:
        from provisioning.leaver.certificate import certify

        case = self._case()
        items = list(case.items.all())
        if title:
            say(title)
        say(f"   Certificate: {str(case.state).upper()}. {certify(case, items).statement}")
        for item in items:
            if item.kind == "target" and (item.is_open or item.late_at or item.lied_at or item.returned_at):
                marks = [name for name in ("late", "lied", "returned") if getattr(item, f"{name}_at")]
                say(f"     {item.title}: {item.state}, {item.code} ({', '.join(marks) or 'in time'})")

    def _until(self, what: str, is_so: Callable[[], bool]) -> None:
        from django.core.exceptions import ObjectDoesNotExist

        def holds() -> bool:
            try:
                return is_so()
            except ObjectDoesNotExist:
                return False

        self._world.wait_until(holds, what=what, seconds=60, pause=0.2)

    def _is_soon(self, is_so: Callable[[], bool], *, seconds: float) -> bool:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if is_so():
                return True
            time.sleep(0.2)
        return False

    def _export_sealed(self) -> dict[str, Any]:
        """The export once everything in it is under a seal."""
        from broker.actors import SYSTEM
        from provisioning.leaver.exporting import as_text, export_case

        exported: dict[str, Any] = json.loads(as_text(export_case(self._case(), actor=SYSTEM)))
        newest = max(event["id"] for event in exported["events"])
        self._until("the book is sealed", lambda: _is_sealed(newest))
        return dict(json.loads(as_text(export_case(self._case(), actor=SYSTEM))))

    def _verify(self, exported: Mapping[str, Any], *, expected: int) -> str:
        """What the program says, in a folder with the export and the anchor and without anything of ours."""
        folder = self._folder / f"outside-{secrets.token_hex(4)}"
        folder.mkdir()
        shutil.copy(VERIFIER, folder)
        (folder / "export.json").write_text(json.dumps(exported))
        (folder / "anchor").write_text(self._world.seal_log.read_text().splitlines()[-1] + "\n")
        command = [sys.executable, "-I", "verify_leaver.py", "export.json", "--anchor", "anchor"]
        done = subprocess.run(command, cwd=folder, env={}, capture_output=True, text=True, timeout=60)
        said = (done.stdout + done.stderr).strip()
        lines = [line.strip() for line in said.splitlines()]
        say(f"     {sum(line.startswith('ok ') for line in lines)} checks are good.")
        for line in lines:
            if not line.startswith(("ok ", "read back ")):
                say(f"     {line}")
        check(done.returncode == expected, f"the verifier's status is {done.returncode}, not {expected}")
        return said


def _is_sealed(event_id: int) -> bool:
    from broker.events.models import Seal

    newest = Seal.objects.order_by("-pk").values_list("until_id", flat=True).first()
    return newest is not None and newest >= event_id


def check(is_so: bool, otherwise: str) -> None:
    if not is_so:
        raise Wrong(otherwise)


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
