#!/usr/bin/env python3
"""Judge the export of a leaver's case, without a database and without the broker that made it.

    python3 verify_leaver.py EXPORT.json --anchor seals.log [--key THUMBPRINT]
    python3 verify_leaver.py EXPORT.json --digest SHA256    --key THUMBPRINT

Needs Python 3.11 or newer and the library `cryptography`. What you trust comes from elsewhere than the export: the
anchor is one or more lines of the seal log (it is written outside of the database, and shipped elsewhere), or the
digest of one seal; a key is named by its thumbprint, the base64url of the SHA-256 of its SubjectPublicKeyInfo. The
keys that signed the lines of the anchor are trusted without being named.

Exit status: 0 everything was verified; 1 something is wrong, and is named; 2 nothing is wrong, but something could not
be verified (yet), and is named. Whether the leaver's doors are closed is what the certificate says: see its state.
"""

import argparse
import base64
import binascii
import hashlib
import json
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

FORMAT, VERSION = "countersign-leaver-export", 1
EXPORT_TYPE, HEAD_TYPE = "countersign-leaver-export", "countersign-event-head"
ITEM_FORMAT = SEAL_FORMAT = 1
MARK_CHARS = 8
COORDINATE_BYTES = 32
EXPORT_BYTES = 512 * 1024 * 1024
CLOCKS = timedelta(minutes=1)
"""A line of the anchor that is older than the export by less is not missed in it."""
SHAPE: dict[str, type] = {
    "format": str,
    "version": int,
    "made_at": str,
    "certificate": dict,
    "case": dict,
    "items": list,
    "ledger": list,
    "events": list,
    "segments": list,
    "seals": list,
    "book": dict,
    "keys": list,
    "signature": str,
}
INCIDENTS = ("late_at", "lied_at", "returned_at")
OPEN, READ_BACK, ACKNOWLEDGED, NOT_VERIFIABLE = "open", "read_back", "acknowledged", "not_verifiable"
CLOSED_STATES = ("inactive", "absent")
COUNTED = ("total", READ_BACK, ACKNOWLEDGED, NOT_VERIFIABLE, OPEN, "late", "done_late", "until", "state")


class Wrong(Exception):
    """What is not as it ought to be, in words."""


@dataclass
class Anchor:
    """What is known from elsewhere: digests of seals (by number, or 0 where only a digest was given), and keys."""

    lines: list[dict[str, Any]] = field(default_factory=list)
    digest: str = ""
    keys: set[str] = field(default_factory=set)


@dataclass
class Outcome:
    """What the checks came to."""

    passed: list[tuple[str, str]] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)
    unverified: list[tuple[str, str]] = field(default_factory=list)

    @property
    def status(self) -> int:
        return 1 if self.problems else 2 if self.unverified else 0


class Verification:
    """One export against one anchor. Each check is a method; each sees what the earlier ones established."""

    def __init__(self, export: dict[str, Any], anchor: Anchor) -> None:
        self.export = export
        self.anchor = anchor
        self.outcome = Outcome()
        self.check = ""
        self.keys: dict[str, ec.EllipticCurvePublicKey] = {}
        self.trusted: set[str] = set(anchor.keys)
        self.seal_digests: dict[int, str] = {}
        self.anchored: int | None = None
        self.sealed: dict[int, str] = {}
        """{event id: the digest that a seal holds of it}."""
        self.sealing: dict[int, int] = {}
        """{event id: the seal that holds it}."""
        self.missing: set[int] = set()
        self.unsealed: list[int] = []

    def run(self) -> Outcome:
        """Every check in order; a malformed part is a problem of the check that met it."""
        for check in CHECKS:
            self.check = check.__name__
            before = len(self.outcome.problems)
            try:
                said = check(self) or ""
            except Wrong as wrong:
                self.wrong(str(wrong))
            except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
                self.wrong(f"the export is malformed here ({type(error).__name__}: {error})")
            if len(self.outcome.problems) == before:
                self.outcome.passed.append((self.check, said))
            elif self.check == "check_shape":
                break
        return self.outcome

    def wrong(self, text: str) -> None:
        self.outcome.problems.append((self.check, text))

    def unsure(self, text: str) -> None:
        self.outcome.unverified.append((self.check, text))

    # --- The document -----------------------------------------------------------------------------------------------
    def check_shape(self) -> str:
        """The export is what this program understands, with nothing besides."""
        for name, kind in SHAPE.items():
            if not isinstance(self.export.get(name), kind):
                raise Wrong(f"{name!r} is not there as {kind.__name__}")
        unknown = sorted(set(self.export) - set(SHAPE))
        if unknown:
            raise Wrong(f"there are members that nobody can judge: {', '.join(unknown)}")
        if (self.export["format"], self.export["version"]) != (FORMAT, VERSION):
            raise Wrong(f"this is {self.export['format']} {self.export['version']}, not {FORMAT} {VERSION}")
        return f"{FORMAT} {VERSION}, made {self.export['made_at']}"

    def check_keys(self) -> str:
        """Each key is named by its own thumbprint."""
        for one in self.export["keys"]:
            key, thumbprint = read_key(one)
            if thumbprint != one["kid"]:
                raise Wrong(f"key {one['kid']} has the thumbprint {thumbprint}: it was replaced")
            self.keys[thumbprint] = key
        for line in self.anchor.lines:
            kid = head_signer(line.get("signature", ""))
            if kid in self.keys:
                try:
                    self._verify_head(line["signature"], line["digest"])
                except Wrong:
                    self.wrong(f"the anchor's line of seal {line.get('seal')} is not signed by key {kid}")
                else:
                    self.trusted.add(kid)
        return f"{len(self.keys)} keys"

    def check_signature(self) -> str:
        """The whole export is signed by a key that you trust."""
        header, payload = verify_jws(self.export["signature"], self.keys, EXPORT_TYPE)
        unsigned = {name: value for name, value in self.export.items() if name != "signature"}
        signed = json.loads(payload)
        if signed.get("digest") != digest_of(unsigned):
            raise Wrong("something was changed since it was signed: its digest is another")
        if signed.get("case") != self.export["case"]["id"]:
            raise Wrong("it was signed as the export of another case")
        if header["kid"] not in self.trusted:
            self.unsure(
                f"the export is signed by key {header['kid']}, which neither the anchor nor --key names: compare it"
                " with the published keys of the broker, and name it"
            )
        return f"by key {header['kid']}"

    # --- The book ---------------------------------------------------------------------------------------------------
    def check_chain(self) -> str:
        """Each seal follows from the one before it, and is signed."""
        previous = ""
        for seal in self.export["seals"]:
            number = seal["seal"]
            if "header_digest" in seal:
                if not previous:
                    raise Wrong(f"the chain cannot begin with seal {number}, of which only digests are there")
                header = bytes.fromhex(seal["header_digest"])
                before = previous
            else:
                before = seal["previous_digest"]
                names = ("format", "at", "ids", "count", "until_id")
                header = hashlib.sha256(canonical({name: seal[name] for name in names})).digest()
                if seal["format"] != SEAL_FORMAT:
                    raise Wrong(f"seal {number} has a format that nobody can judge")
            if previous and before != previous:
                self.wrong(
                    f"seal {number} does not continue the one before it: a seal was removed, inserted or changed"
                )
            chained = hashlib.sha256(before.encode() + header + seal["rows_digest"].encode()).hexdigest()
            if "digest" in seal and seal["digest"] != chained:
                self.wrong(f"seal {number} was changed: its digest does not follow from what it says")
            if number in self.seal_digests or (self.seal_digests and number < max(self.seal_digests)):
                self.wrong(f"seal {number} stands out of order")
            self.seal_digests[number] = previous = chained
            if "signature" in seal:
                try:
                    self._verify_head(seal["signature"], chained)
                except Wrong as wrong:
                    self.wrong(f"seal {number} was made anew: its signature does not hold ({wrong})")
        if not self.seal_digests:
            self.unsure("no seal holds any of these events yet: export again after the next seal")
            return "no seal"
        return f"{len(self.seal_digests)} seals, {min(self.seal_digests)} to {max(self.seal_digests)}"

    def check_anchor(self) -> str:
        """The chain runs through a seal that you know from elsewhere."""
        if self.anchor.digest:
            found = [number for number, digest in self.seal_digests.items() if digest == self.anchor.digest]
            if not found:
                self._name_what_the_anchor_misses()
                return ""
            self.anchored = found[0]
        for line in self.anchor.lines:
            number = line.get("seal")
            if number not in self.seal_digests:
                continue
            if line.get("digest") != self.seal_digests[number]:
                self.wrong(f"seal {number} is not the one that your anchor names: the book was sealed anew")
            else:
                self.anchored = max(number, self.anchored or 0)
        if self.anchored is None and not self.outcome.problems:
            self._name_what_the_anchor_misses()
        return f"seal {self.anchored} is the one of your anchor" if self.anchored is not None else ""

    def check_end(self) -> str:
        """Nothing was cut from the book behind the case: it reaches to its newest seal, and was read up to there."""
        if not self.seal_digests:
            return "no seal"
        last, book = max(self.seal_digests), self.export["book"]
        for line in self.anchor.lines:
            if line["seal"] > book["newest_seal"] and moment(line["at"]) < moment(self.export["made_at"]) - CLOCKS:
                self.wrong(f"seal {line['seal']} was made before this export, and the book ended with an earlier one")
        if book["newest_seal"] < last:
            self.wrong(f"the book is said to end with seal {book['newest_seal']}, and seal {last} is there")
        if last < book["newest_seal"]:
            self.unsure(f"the book goes on to seal {book['newest_seal']}, and the export ends with seal {last}")
        if book["read_until"] < last:
            self.unsure(
                f"what stands under the seals after {book['read_until']} was not read for this export: whether events"
                " of the case were removed there, `manage.py leaver export --whole` or `verify_events` finds"
            )
        return f"the book was read up to seal {book['read_until']}"

    def check_segments(self) -> str:
        """What each seal says of the rows under it holds of the digests of these rows."""
        seals = {seal["seal"]: seal for seal in self.export["seals"] if "ids" in seal}
        for segment in self.export["segments"]:
            number = segment["seal"]
            if number not in seals:
                self.wrong(f"there are rows of seal {number}, which is not in the chain")
                continue
            seal, rows = seals[number], segment["rows"]
            ids = [pk for first, last in seal["ids"] for pk in range(first, last + 1)]
            if len(ids) != len(rows) or len(ids) != seal["count"]:
                self.wrong(f"seal {number} holds {seal['count']} events, and {len(rows)} digests are there")
                continue
            joined = hashlib.sha256(b"".join(bytes.fromhex(row) for row in rows)).hexdigest()
            if joined != seal["rows_digest"]:
                self._name_changed(number, ids, rows, segment.get("marks", ""))
            for pk, row in zip(ids, rows, strict=True):
                if pk in self.sealed:
                    self.wrong(f"event {pk} stands under two seals")
                if row:
                    self.sealed[pk], self.sealing[pk] = row, number
                else:
                    self.missing.add(pk)
        return f"{len(self.sealed)} events under {len(self.export['segments'])} seals"

    def check_events(self) -> str:
        """Each event that is shown is the one that its seal holds."""
        seen: set[int] = set()
        late: list[int] = []
        for event in self.export["events"]:
            pk = event["id"]
            if pk in seen:
                self.wrong(f"event {pk} is there twice")
            seen.add(pk)
            if pk not in self.sealed:
                self.unsealed.append(pk)
            elif digest_of(event) != self.sealed[pk]:
                self.wrong(f"event {pk} ({event['type']}) was changed since seal {self.sealing[pk]} was made")
            elif self.anchored is not None and self.sealing[pk] > self.anchored:
                late.append(pk)
        if self.unsealed:
            newest = max((seal.get("at", "") for seal in self.export["seals"]), default="") or "the next seal"
            self.unsure(
                f"not sealed yet: events {numbers(self.unsealed)}; export again after a seal younger than {newest}"
            )
        if late:
            self.unsure(f"your anchor is older than the seals over events {numbers(late)}: name a later line")
        return f"{len(seen) - len(self.unsealed)} events are as they were sealed"

    # --- The case ---------------------------------------------------------------------------------------------------
    def check_numbering(self) -> str:
        """No event of the case is missing, from its opening to the last one."""
        own = self._own_events()
        found = [event["details"]["number"] for event in own]
        said = self.export["case"]["number"]
        for number in range(1, max([said, *found]) + 1):
            if found.count(number) != 1:
                self.wrong(
                    f"event number {number} of the case was removed: the case counts {said}"
                    if number not in found
                    else f"two events say that they are number {number} of the case"
                )
        if found and max(found) > said:
            self.wrong(f"the case counts {said} events, and the book {max(found)}: the case was changed")
        if own and own[0]["type"] != "leaver.opened":
            self.wrong("the first event of the case does not open it")
        return f"{len(own)} events of the case"

    def check_case(self) -> str:
        """The case is the one that the book opened, for an account that the book saw closed."""
        case, own = self.export["case"], self._own_events()
        if not own:
            raise Wrong("no event of the book is about this case")
        opened = own[0]["details"]
        for name, there in (("person", "person"), ("cause_event", "cause"), ("looked_at", "looked_at")):
            if case[name] != opened[there]:
                self.wrong(f"{name} of the case was changed: the book says {opened[there]}")
        if moment(case["left_at"]) != moment(opened["left_at"]):
            self.wrong("left_at of the case was changed")
        cause = self._event(case["cause_event"])
        if cause is None or cause["type"] != "person.deactivated":
            raise Wrong(f"event {case['cause_event']}, by which the account was closed, is not there")
        people = [cause["subject_id"], *cause["details"].get("people", [])]
        if case["person"] not in people:
            self.wrong(f"event {case['cause_event']} closed another person's account")
        if own[-1]["details"]["state"] != case["state"]:
            self.wrong(f"the case says {case['state']}, and the book last said {own[-1]['details']['state']}")
        return f"case {case['id']} of person {case['person']}"

    def check_items(self) -> str:
        """Each item is as the book last knew it, none is missing, and none was added."""
        last: dict[str, tuple[str, int]] = {}
        for event in self._own_events():
            for key, digest in event["details"]["items"].items():
                last[key] = digest, event["id"]
        here: set[str] = set()
        for item in self.export["items"]:
            key = key_of(item)
            if key in here:
                self.wrong(f"item {key} is there twice")
            here.add(key)
            if item["case"] != self.export["case"]["id"]:
                self.wrong(f"item {key} is another case's")
            if key not in last:
                self.wrong(f"item {key} was inserted: no event of the book knows it")
            elif digest_of({"format": ITEM_FORMAT, **item}) != last[key][0]:
                self.wrong(f"item {key} was changed since event {last[key][1]}")
        for key in sorted(set(last) - here):
            self.wrong(f"item {key} was removed: event {last[key][1]} knows it")
        return f"{len(here)} items"

    def check_ledger(self) -> str:
        """Each row of the ledger is as it was settled."""
        said: dict[str, tuple[str, int]] = {}
        for event in sorted(self.export["events"], key=lambda one: one["id"]):
            if event["type"] in ("delivery.settled", "delivery.written_off"):
                for pk, digest in event["details"]["rows"].items():
                    said[pk] = digest, event["id"]
        for entry in self.export["ledger"]:
            row = entry["row"]
            name = str(row["id"])
            if row["settled_at"] is None:
                continue  # Not decided yet: nothing may rely on it, which `check_evidence` sees to.
            if name not in said:
                self.wrong(f"ledger row {name}: no event of the book holds its digest; it was changed, or inserted")
            elif digest_of(row, escaped=False) != said[name][0]:
                self.wrong(f"ledger row {name} was changed since event {said[name][1]}")
            if entry["attempts"] and entry["attempts"][-1]["number"] > row["attempts"]:
                self.wrong(f"ledger row {name} counts {row['attempts']} attempts, and more are shown")
        return f"{len(self.export['ledger'])} rows"

    def check_evidence(self) -> str:
        """What each item claims is borne out by what it relies on."""
        rows = {entry["row"]["id"]: entry["row"] for entry in self.export["ledger"]}
        for item in self.export["items"]:
            try:
                judge(item, self, rows)
            except Wrong as wrong:
                self.wrong(f"item {key_of(item)}: {wrong}")
        return "of every item"

    def check_claim(self) -> str:
        """The certificate says what the items show, and no more."""
        items, certificate = self.export["items"], self.export["certificate"]
        tally = tally_of(items, self.export["case"]["state"])
        follows = "returned" if self.export["case"]["closed_at"] else state_of(items)
        if self.export["case"]["state"] != follows:
            self.wrong(f"the case claims to be {self.export['case']['state']}; its items show {follows}")
        for name in COUNTED:
            if certificate[name] != tally[name]:
                self.wrong(f"the certificate claims {name} {certificate[name]}; its items show {tally[name]}")
        if certificate["statement"] != statement_of(tally):
            self.wrong(f"the certificate claims: {certificate['statement']!r}; its items show: {statement_of(tally)!r}")
        return str(certificate["state"])

    # --- Within the export ------------------------------------------------------------------------------------------
    def _own_events(self) -> list[dict[str, Any]]:
        case = self.export["case"]["id"]
        own = [
            event for event in self.export["events"] if (event["subject_kind"], event["subject_id"]) == ("leaver", case)
        ]
        return sorted(own, key=lambda event: event["details"]["number"])

    def _event(self, pk: object) -> dict[str, Any] | None:
        return next((event for event in self.export["events"] if event["id"] == pk), None)

    def _verify_head(self, signature: str, digest: str) -> None:
        _, payload = verify_jws(signature, self.keys, HEAD_TYPE)
        if payload != json.dumps({"head": digest}).encode():
            raise Wrong("it is over another head")

    def _name_what_the_anchor_misses(self) -> None:
        if not self.seal_digests:
            return
        first, last = min(self.seal_digests), max(self.seal_digests)
        if self.anchor.digest:
            self.wrong(
                f"no seal from {first} to {last} has the digest of your anchor: the book was sealed anew, or the digest"
                " is that of another seal"
            )
            return
        known = sorted(line["seal"] for line in self.anchor.lines if isinstance(line.get("seal"), int))
        of = f"seals {known[0]} to {known[-1]}" if known else "no seal"
        self.unsure(f"the export's chain runs from seal {first} to {last}, and your anchor knows {of}")

    def _name_changed(self, number: int, ids: list[int], rows: list[str], marks: str) -> None:
        named = False
        for index, (pk, row) in enumerate(zip(ids, rows, strict=True)):
            if not row:
                self.wrong(f"event {pk} was removed, although seal {number} holds it")
                named = True
            elif row[:MARK_CHARS] != marks[index * MARK_CHARS : (index + 1) * MARK_CHARS]:
                self.wrong(f"event {pk} was changed since seal {number} was made")
                named = True
        if not named:
            self.wrong(f"one or more events under seal {number} were changed")


CHECKS = (
    Verification.check_shape,
    Verification.check_keys,
    Verification.check_signature,
    Verification.check_chain,
    Verification.check_anchor,
    Verification.check_end,
    Verification.check_segments,
    Verification.check_events,
    Verification.check_numbering,
    Verification.check_case,
    Verification.check_items,
    Verification.check_ledger,
    Verification.check_evidence,
    Verification.check_claim,
)
"""In this order: nothing is believed of the case before the book under it holds."""


# --- What an item relies on -----------------------------------------------------------------------------------------
def judge(item: dict[str, Any], verification: Verification, rows: dict[int, dict[str, Any]]) -> None:
    """Raise Wrong when the item claims more than what it relies on bears out."""
    state, kind = item["state"], item["kind"]
    if state == OPEN:
        return
    if not item["settled_at"]:
        raise Wrong("is settled at no time")
    if moment(item["settled_at"]) > moment(item["deadline"]) and not item["late_at"]:
        raise Wrong("was settled after its deadline and is not marked late")
    if state == NOT_VERIFIABLE:
        if kind not in ("application", "access_token") or not item["until"]:
            raise Wrong("cannot be 'not verifiable until' a time")
        return
    if state == ACKNOWLEDGED and kind == "application":
        row = relied_on(item, "delivery", rows)
        if not row["kind"].startswith("logout.") or row["reference"] != f"participant:{item['reference']}":
            raise Wrong(f"ledger row {row['id']} is about something else")
        return
    if state == ACKNOWLEDGED:
        judge_acceptance(item, verification)
        return
    if state != READ_BACK:
        raise Wrong(f"claims the state {state}, which does not exist")
    if kind == "target":
        judge_target(item, verification.export["case"], rows)
        return
    if digest_of(item["evidence"]) != item["digest"]:
        raise Wrong("the digest is not that of what was read back")
    judge_event(item, verification)


def judge_target(item: dict[str, Any], case: dict[str, Any], rows: dict[int, dict[str, Any]]) -> None:
    """The account was read closed after `since`, and so was every later reading."""
    named = [relied_on(item, "delivery", rows)]
    if item["read_again_delivery"] and moment(item["read_again_at"]) >= moment(item["settled_at"]):
        named.append(relied_on(item, "read_again_delivery", rows, is_digest_own=False))
    for row in named:
        subjects = {"scim": f"person:{case['person']}", "leaver.read": f"leaver:{case['id']}"}
        lane = f"target:{item['reference'].partition('@')[0]}"
        if row["lane"] != lane or row["subject"] != subjects.get(row["kind"]):
            raise Wrong(f"ledger row {row['id']} is about something else")
        if row["kind"] == "leaver.read" and row["detail"] not in CLOSED_STATES:
            raise Wrong(f"ledger row {row['id']} read the account as {row['detail']}")
    if item["evidence"].get("active") not in (None, False):
        raise Wrong("the account was read as active")
    if named[0]["kind"] == "scim" and item["evidence"].get("answer") != named[0]["digest"]:
        raise Wrong(f"ledger row {named[0]['id']} was confirmed by another answer than the one that was read")


def relied_on(
    item: dict[str, Any], column: str, rows: dict[int, dict[str, Any]], *, is_digest_own: bool = True
) -> dict[str, Any]:
    """The confirmed row of the ledger that the item names, settled after `since`."""
    row = rows.get(item[column])
    if row is None:
        raise Wrong(f"ledger row {item[column]}, on which it relies, is not there")
    if row["state"] != "confirmed" or not row["digest"]:
        raise Wrong(f"ledger row {row['id']} is {row['state']}, not confirmed")
    if is_digest_own and row["digest"] != item["digest"]:
        raise Wrong(f"ledger row {row['id']} was confirmed by another answer")
    if item["kind"] == "target" and moment(row["settled_at"]) < moment(item["since"]):
        raise Wrong(f"ledger row {row['id']} was settled before the account was to be closed")
    return row


EVENTS_OF = {
    "session": (("session.ended", "session"),),
    "grant": (("grant.revoked", "grant"), ("holdings.revoked", "person")),
    "operator": (("operator.changed", "operator"),),
    "ownership": (("party.changed", ""), ("party.retired", "")),
}
"""{kind of item: (type of event, kind of its subject)}; of what is owned, the reference begins with the subject's."""


def judge_event(item: dict[str, Any], verification: Verification) -> None:
    """The book says that this very thing was closed."""
    kind = item["kind"]
    event = verification._event(item["event"])
    if event is None:
        raise Wrong(f"event {item['event']}, on which it relies, is not there")
    subjects = dict(EVENTS_OF.get(kind, ()))
    if event["type"] not in subjects:
        raise Wrong(f"event {event['id']} is about something else")
    subject = subjects[event["type"]] or item["reference"].partition(":")[0]
    if event["subject_kind"] != subject:
        raise Wrong(f"event {event['id']} is about something else")
    expected = {"person": verification.export["case"]["person"]}.get(subject, item["reference"])
    if kind == "ownership":
        expected = item["evidence"]["subject"]
    if event["subject_id"] != expected:
        raise Wrong(f"event {event['id']} is about another {subject}")


def judge_acceptance(item: dict[str, Any], verification: Verification) -> None:
    """An operator took the responsibility, by name, in an event of their own."""
    digest = digest_of({"format": ITEM_FORMAT, **item})
    for event in verification._own_events():
        is_operators = (event["actor_kind"], event["actor_id"]) == ("operator", item["acknowledged_by"])
        if is_operators and event["details"]["items"].get(key_of(item)) == digest and item["note"]:
            return
    raise Wrong("no event says that an operator acknowledged it")


# --- What a certificate may claim -----------------------------------------------------------------------------------
def state_of(items: list[dict[str, Any]]) -> str:
    """The state of a case follows from its items."""
    if not items:
        return "nothing_found"
    unsettled = [item for item in items if item["state"] == OPEN]
    if any(item["returned_at"] for item in unsettled):
        return "reopened"
    if any(item["late_at"] for item in unsettled):
        return "late"
    return "open" if unsettled else "green"


def tally_of(items: list[dict[str, Any]], state: str) -> dict[str, Any]:
    """How many items ended how."""
    states = [item["state"] for item in items]
    ends = [item["until"] for item in items if item["state"] == NOT_VERIFIABLE]
    return {
        "state": state,
        "total": len(items),
        **{name: states.count(name) for name in (READ_BACK, ACKNOWLEDGED, NOT_VERIFIABLE, OPEN)},
        "late": sum(bool(item["late_at"]) for item in items if item["state"] == OPEN),
        "done_late": sum(bool(item["late_at"]) for item in items if item["state"] != OPEN),
        "until": max(ends, key=moment, default=None),
    }


def statement_of(tally: dict[str, Any]) -> str:
    """The one sentence that such a tally allows."""
    of_all = f"{tally['open']} of {tally['total']} items are open"
    match tally["state"]:
        case "nothing_found":
            return "Nothing was found that had to be closed. This certifies only what was looked at."
        case "returned":
            return "The person returned; this case is over and certifies nothing of the present."
        case "green":
            ending = f", {tally['done_late']} of them late" if tally["done_late"] else ""
            unseen = (
                f"; {tally[NOT_VERIFIABLE]} cannot be verified and end by {tally['until']}"
                if tally[NOT_VERIFIABLE]
                else ""
            )
            return f"Every one of {tally['total']} items is closed{ending}{unseen}."
        case "reopened":
            return f"Access came back: {of_all}. This is no proof of closing."
        case "late":
            return f"{of_all}, {tally['late']} of them late. This is no proof of closing."
    return f"{of_all}. This is no proof of closing."


# --- Digests, keys and signatures -----------------------------------------------------------------------------------
def canonical(value: Any, *, escaped: bool = True) -> bytes:
    """Sorted names, no spaces; `escaped` says whether other letters than ASCII are."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=escaped).encode()


def digest_of(value: Any, *, escaped: bool = True) -> str:
    """Hex SHA-256 of canonical JSON."""
    return hashlib.sha256(canonical(value, escaped=escaped)).hexdigest()


def moment(text: str) -> datetime:
    """A time of the export."""
    at = datetime.fromisoformat(text)
    return at.astimezone(UTC)


def key_of(item: dict[str, Any]) -> str:
    """By which the book names it within the case."""
    return f"{item['kind']}:{item['reference']}"


def numbers(ids: list[int]) -> str:
    """For people, cut after the tenth."""
    return ", ".join(str(pk) for pk in ids[:10]) + (f" and {len(ids) - 10} more" if len(ids) > 10 else "")


def decoded(text: str) -> bytes:
    """Base64url without padding. Raises Wrong."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise Wrong("it is not base64url") from error


def read_key(jwk: dict[str, Any]) -> tuple[ec.EllipticCurvePublicKey, str]:
    """The key and its thumbprint. Raises Wrong for anything but a point of P-256."""
    if (jwk.get("kty"), jwk.get("crv")) != ("EC", "P-256"):
        raise Wrong(f"key {jwk.get('kid')} is no ES256 key")
    x, y = decoded(jwk["x"]), decoded(jwk["y"])
    if len(x) != COORDINATE_BYTES or len(y) != COORDINATE_BYTES:
        raise Wrong(f"key {jwk.get('kid')} is no ES256 key")
    point = ec.EllipticCurvePublicNumbers(int.from_bytes(x), int.from_bytes(y), ec.SECP256R1())
    key = point.public_key()
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return key, base64.urlsafe_b64encode(hashlib.sha256(spki).digest()).rstrip(b"=").decode()


def verify_jws(token: str, keys: dict[str, ec.EllipticCurvePublicKey], typ: str) -> tuple[dict[str, Any], bytes]:
    """Header and payload of a compact JWS by one of `keys` (RFC 7515, ES256). Raises Wrong."""
    parts = token.split(".")
    if len(parts) != 3:
        raise Wrong("the signature is no compact JWS")
    try:
        header = json.loads(decoded(parts[0]))
    except ValueError as error:
        raise Wrong("the signature's header cannot be read") from error
    if not isinstance(header, dict) or header.get("alg") != "ES256" or header.get("typ") != typ or len(header) != 3:
        raise Wrong("the signature is of another kind")
    key = keys.get(str(header.get("kid")))
    if key is None:
        raise Wrong(f"key {header.get('kid')} is not among the export's keys")
    signature = decoded(parts[2])
    if len(signature) != 2 * COORDINATE_BYTES:
        raise Wrong("the signature does not hold")
    halves = (signature[:COORDINATE_BYTES], signature[COORDINATE_BYTES:])
    der = encode_dss_signature(*(int.from_bytes(half) for half in halves))
    try:
        key.verify(der, f"{parts[0]}.{parts[1]}".encode(), ec.ECDSA(SHA256()))
    except InvalidSignature as error:
        raise Wrong("the signature does not hold") from error
    return header, decoded(parts[1])


def head_signer(raw_signature: object) -> str:
    """The kid that a line's signature names, unverified: to find the key by which to judge it."""
    try:
        header = json.loads(decoded(str(raw_signature).partition(".")[0]))
    except (Wrong, ValueError):
        return ""
    return str(header.get("kid", "")) if isinstance(header, dict) else ""


# --- The program ----------------------------------------------------------------------------------------------------
def read_anchor(path: Path | None, digest: str, keys: list[str]) -> Anchor:
    """What the caller trusts. Raises Wrong."""
    anchor = Anchor(digest=digest.strip().lower(), keys=set(keys))
    if path is not None:
        for line in path.read_text().splitlines():
            try:
                members = json.loads(line)
            except ValueError:
                continue
            if isinstance(members, dict) and isinstance(members.get("seal"), int) and "digest" in members:
                anchor.lines.append(members)
        if not anchor.lines:
            raise Wrong(f"{path} holds no line of a seal log")
    if anchor.digest and (len(anchor.digest) != 64 or set(anchor.digest) - set("0123456789abcdef")):
        raise Wrong("--digest is 64 hexadecimal digits")
    if path is None and not anchor.digest:
        raise Wrong("name an anchor: --anchor with lines of the seal log, or --digest with the digest of a seal")
    return anchor


def read_export(path: Path) -> dict[str, Any]:
    """Raises Wrong."""
    if path.stat().st_size > EXPORT_BYTES:
        raise Wrong(f"{path} is larger than any export")
    try:
        export = json.loads(path.read_bytes(), object_pairs_hook=without_doubles)
    except (ValueError, RecursionError) as error:
        raise Wrong(f"{path} is no JSON: {error}") from error
    if not isinstance(export, dict):
        raise Wrong(f"{path} is no export")
    return export


def without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A member that stands there twice can be read in two ways."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member stands there twice")
    return members


def item_line(item: dict[str, Any]) -> str:
    """One line for people."""
    marks = "".join(f" [{name.removesuffix('_at')}]" for name in INCIDENTS if item.get(name))
    until = f" until {item['until']}" if item["state"] == NOT_VERIFIABLE else ""
    by = f" by {item['acknowledged_by']}" if item["acknowledged_by"] else ""
    proof = f" sha256 {item['digest'][:16]}…" if item["digest"] else ""
    row = f" row {item['delivery']}" if item["delivery"] else ""
    event = f" event {item['event']}" if item["event"] else ""
    shown = {OPEN: "OPEN", READ_BACK: "read back", NOT_VERIFIABLE: "not verifiable"}.get(item["state"], item["state"])
    return f"  {shown + until + by:<16} {item['title']}: {item['code']}{row}{event}{proof}{marks}"


def report(export: dict[str, Any], outcome: Outcome) -> str:
    """Everything, for people."""
    lines = [f"  ok     {name}: {said}" for name, said in outcome.passed]
    lines += [f"  WRONG  {name}: {text}" for name, text in outcome.problems]
    lines += [f"  unsure {name}: {text}" for name, text in outcome.unverified]
    if not any(name == "check_shape" for name, _ in outcome.problems):
        for item in export["items"]:
            try:
                lines.append(item_line(item))
            except (KeyError, TypeError, AttributeError):
                lines.append("  (an item that cannot be read)")
        lines.append(f"Certificate: {export['certificate'].get('state')}. {export['certificate'].get('statement')}")
    lines.append(
        {
            0: "Verified: every link holds.",
            1: f"NOT VERIFIED: {len(outcome.problems)} problems.",
            2: "Nothing is wrong, but not everything could be verified.",
        }[outcome.status]
    )
    return "\n".join(lines) + "\n"


def printable(text: str) -> str:
    """Nothing of an export moves a terminal's cursor or hides behind other letters."""
    return "".join(letter if letter == "\n" or letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def main(arguments: list[str]) -> int:
    """The program; returns its exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("export", type=Path, help="the export of a leaver's case")
    parser.add_argument("--anchor", type=Path, help="lines of the seal log, from where it was shipped to")
    parser.add_argument("--digest", default="", help="the digest of one seal, in place of lines")
    parser.add_argument("--key", action="append", default=[], help="thumbprint (kid) of a key that you trust")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    options = parser.parse_args(arguments)
    try:
        anchor = read_anchor(options.anchor, options.digest, options.key)
        export = read_export(options.export)
    except (Wrong, OSError, UnicodeDecodeError) as error:
        sys.stderr.write(printable(f"{error}\n"))
        return 1
    outcome = Verification(export, anchor).run()
    if options.json:
        told = {
            "status": outcome.status,
            "problems": [{"check": name, "text": text} for name, text in outcome.problems],
            "unverified": [{"check": name, "text": text} for name, text in outcome.unverified],
            "passed": [name for name, _ in outcome.passed],
            "certificate": export.get("certificate"),
        }
        sys.stdout.write(json.dumps(told, indent=2) + "\n")
    else:
        sys.stdout.write(printable(report(export, outcome)))
    return outcome.status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
