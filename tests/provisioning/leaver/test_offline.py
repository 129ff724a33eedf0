"""The export verified in a process of its own, and every way of tampering with it that we could think of."""

import base64
import copy
import hashlib
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import time_machine
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.db import connection
from django.utils import timezone

from broker import limits
from broker.actors import SYSTEM, Actor, ActorKind
from broker.delivery.digests import row_digest
from broker.delivery.models import Delivery
from broker.directory.services import reactivate_person
from broker.events import catalogue, sealing
from broker.events.models import Event, Seal
from broker.events.services import record
from broker.keys import jose
from broker.keys.models import SigningKey
from broker.keys.services import announce_key, generate_private_key, rotate, sign_event_head, signing_key
from provisioning.leaver.digests import digest_of
from provisioning.leaver.exporting import SIGNATURE_TYPE
from provisioning.leaver.models import Case, Item
from tests.factories import make_person
from tests.provisioning.leaver.places import Places
from tests.provisioning.leaver.stage import (
    Leaver,
    export,
    make_target,
    seal,
    verify,
    with_account,
    with_grant,
    with_session,
    work,
)

pytestmark = pytest.mark.django_db
Export = dict[str, Any]


@pytest.fixture
def case(leaver: Leaver, log: Path, places: Places, make_operator: Any) -> Case:
    """A green case with an item of every kind but ownership, over two seals with other people's events between."""
    make_operator("boss@acme.example")
    make_operator("alice-ops@acme.example", person=leaver.person)
    something_of_others()
    seal()
    with_session(leaver, tell=True)
    with_grant(leaver)
    with_account(leaver, "crm")
    make_target("erp")
    leaver.leave()
    something_of_others()
    seal()
    something_of_others()
    seal()
    leaver.ask_targets_to_close()
    work()
    something_of_others()
    seal()
    something_of_others()
    seal()
    assert leaver.case.state == "green"
    return leaver.case


def something_of_others() -> None:
    record(catalogue.REQUEST_REFUSED, actor=Actor(ActorKind.CLIENT, "other@acme.example"), code="jwt.expired")


def lines(run: Any) -> str:
    return f"{run.stdout}{run.stderr}"


def refused(run: Any, *words: str) -> None:
    """Exit status 1, and each of `words` is in the lines that say what is wrong."""
    wrong = [line for line in run.stdout.splitlines() if line.strip().startswith("WRONG")]
    assert run.returncode == 1, lines(run)
    for word in words:
        assert any(word in line for line in wrong), f"{word!r} is not in:\n" + "\n".join(wrong)


def sign_again(exported: Export, **key: Any) -> Export:
    """What somebody does who holds our key, or a key of their own."""
    unsigned = {name: value for name, value in exported.items() if name != "signature"}
    material = key.get("material") or signing_key(SigningKey.Use.TOKEN, algorithm=SigningKey.Algorithm.ES256)
    payload = {"case": exported["case"]["id"], "made_at": exported["made_at"], "digest": digest_of(unsigned)}
    return {**unsigned, "signature": jose.sign(json.dumps(payload).encode(), key=material, typ=SIGNATURE_TYPE)}


def row_of(exported: Export, kind: str) -> dict[str, Any]:
    return next(entry["row"] for entry in exported["ledger"] if entry["row"]["kind"] == kind)


def item_of(exported: Export, kind: str) -> dict[str, Any]:
    return next(item for item in exported["items"] if item["kind"] == kind)


def event_of(exported: Export, event_type: str) -> dict[str, Any]:
    return next(event for event in exported["events"] if event["type"] == event_type)


def segments_of(exported: Export) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Each segment with its seal."""
    seals = {one["seal"]: one for one in exported["seals"]}
    return [(segment, seals[segment["seal"]]) for segment in exported["segments"]]


# --- What holds -----------------------------------------------------------------------------------------------------
def test_a_green_case_is_verified_against_the_seal_log_alone(case: Case, log: Path, tmp_path: Path) -> None:
    run = verify(tmp_path, export(case), anchor=log)
    assert run.returncode == 0, lines(run)
    assert "Verified: every link holds." in run.stdout
    assert "Certificate: green." in run.stdout
    for item in case.items.all():
        assert item.title in run.stdout


def test_it_is_verified_against_one_digest_and_a_named_key(case: Case, tmp_path: Path) -> None:
    key = SigningKey.objects.get(use="token", algorithm="ES256", state="active").kid
    digest = Seal.objects.latest("id").digest
    assert verify(tmp_path, export(case), "--digest", digest, "--key", key).returncode == 0


def test_it_names_nothing_of_other_people(case: Case) -> None:
    text = json.dumps(export(case))
    assert "other@" not in text
    assert "alice@acme.example" not in text


def test_it_is_still_verified_after_our_key_was_rotated(case: Case, log: Path, tmp_path: Path) -> None:
    now = timezone.now()
    announce_key(SigningKey.Use.TOKEN, algorithm=SigningKey.Algorithm.ES256, now=now - timedelta(days=9), actor=SYSTEM)
    rotate(now=now, actor=SYSTEM)
    seal()
    run = verify(tmp_path, export(case), anchor=log)
    assert run.returncode == 0, lines(run)


def test_it_is_verified_after_the_ledger_was_pruned(case: Case, log: Path, tmp_path: Path) -> None:
    Delivery.objects.all().delete()
    run = verify(tmp_path, export(case), anchor=log)
    assert run.returncode == 0, lines(run)


def test_an_open_case_is_verified_as_what_it_is(leaver: Leaver, log: Path, tmp_path: Path, places: Places) -> None:
    with_account(leaver, "crm")
    places.behaviour["target:crm"] = "lies"
    leaver.leave()
    leaver.ask_targets_to_close()
    work()
    with time_machine.travel(timezone.now() + timedelta(hours=2), tick=False):
        work()
        seal()
        run = verify(tmp_path, export(leaver.case), anchor=log)
    assert run.returncode == 0, lines(run)
    assert "Certificate: late." in run.stdout
    assert "target.lied" in run.stdout
    assert "This is no proof of closing." in run.stdout


def test_a_case_in_which_nothing_was_found_certifies_no_closing(leaver: Leaver, log: Path, tmp_path: Path) -> None:
    leaver.leave()
    seal()
    run = verify(tmp_path, export(leaver.case), anchor=log)
    assert run.returncode == 0, lines(run)
    assert "Certificate: nothing_found." in run.stdout


# --- What cannot be verified (yet) ----------------------------------------------------------------------------------
def test_what_is_not_sealed_yet_is_named_and_not_verified(leaver: Leaver, log: Path, tmp_path: Path) -> None:
    with_session(leaver)
    leaver.leave()
    seal()
    with time_machine.travel(timezone.now() + timedelta(seconds=1)):
        reactivate_person(leaver.person, reason="back", actor=SYSTEM)
        work()
        run = verify(tmp_path, export(leaver.case), anchor=log)
    assert run.returncode == 2, lines(run)
    assert "not sealed yet" in run.stdout
    assert "export again" in run.stdout


def test_a_case_of_which_nothing_is_sealed_cannot_be_verified(leaver: Leaver, log: Path, tmp_path: Path) -> None:
    something_of_others()
    seal()
    leaver.leave()
    run = verify(tmp_path, export(leaver.case), anchor=log)
    assert run.returncode == 2, lines(run)
    assert "no seal holds any of these events yet" in run.stdout


def test_an_anchor_older_than_the_seals_verifies_nothing(case: Case, log: Path, tmp_path: Path) -> None:
    old = tmp_path / "old.log"
    old.write_text("".join(log.read_text().splitlines(keepends=True)[:2]))
    run = verify(tmp_path, export(case), anchor=old)
    assert run.returncode == 2, lines(run)
    assert "your anchor knows" in run.stdout


def test_a_digest_without_a_key_does_not_prove_who_signed(case: Case, tmp_path: Path) -> None:
    run = verify(tmp_path, export(case), "--digest", Seal.objects.latest("id").digest)
    assert run.returncode == 2, lines(run)
    assert "neither the anchor nor --key names" in run.stdout


def test_without_an_anchor_it_says_what_it_needs(case: Case, tmp_path: Path) -> None:
    run = verify(tmp_path, export(case))
    assert run.returncode == 1
    assert "name an anchor" in run.stderr


# --- What was changed in the database -------------------------------------------------------------------------------
def test_an_edited_row_of_the_ledger_is_named(case: Case, log: Path, tmp_path: Path) -> None:
    row = Delivery.objects.get(kind="scim")
    Delivery.objects.filter(pk=row.pk).update(status=204)
    refused(verify(tmp_path, export(case), anchor=log), f"ledger row {row.pk} was changed since event")


def test_a_row_of_the_ledger_that_was_made_confirmed_is_named(
    leaver: Leaver, log: Path, tmp_path: Path, places: Places
) -> None:
    with_account(leaver, "crm")
    places.behaviour["target:crm"] = "lies"
    leaver.leave()
    leaver.ask_targets_to_close()
    work()
    row = Delivery.objects.get(kind="scim")
    now = timezone.now()
    Delivery.objects.filter(pk=row.pk).update(
        state="confirmed", settled_at=now, digest="a" * 64, reason="", lease="", lease_until=None
    )
    Item.objects.filter(kind="target").update(
        state="read_back",
        code="inactive",
        settled_at=now,
        digest="a" * 64,
        delivery=row.pk,
        evidence={"lane": row.lane},
    )
    Case.objects.update(state="green")
    seal()
    run = verify(tmp_path, export(leaver.case), anchor=log)
    refused(
        run, f"ledger row {row.pk}: no event of the book holds its digest", "item target:", "was changed since event"
    )


def test_an_edited_item_is_named(case: Case, log: Path, tmp_path: Path) -> None:
    Item.objects.filter(kind="target").update(late_at=None, title="target crm (spotless)")
    refused(verify(tmp_path, export(case), anchor=log), "item target:", "was changed since event")


def test_a_removed_item_is_named(case: Case, log: Path, tmp_path: Path) -> None:
    reference = Item.objects.filter(kind="access_token").get().reference
    Item.objects.filter(kind="access_token").delete()
    refused(verify(tmp_path, export(case), anchor=log), f"item access_token:{reference} was removed")


def test_an_inserted_item_is_named(case: Case, log: Path, tmp_path: Path) -> None:
    item = Item.objects.filter(kind="session").get()
    item.pk, item.reference = None, "another"
    item.save()
    refused(verify(tmp_path, export(case), anchor=log), "item session:another was inserted")


def test_a_case_turned_green_by_hand_is_named(leaver: Leaver, log: Path, tmp_path: Path, places: Places) -> None:
    with_account(leaver, "crm")
    places.behaviour["target:crm"] = "down"
    leaver.leave()
    seal()
    Case.objects.update(state="green")
    run = verify(tmp_path, export(leaver.case), anchor=log)
    refused(run, "its items show open", "the case says green, and the book last said open")


def test_a_case_given_to_another_person_is_named(case: Case, log: Path, tmp_path: Path) -> None:
    Case.objects.update(person=make_person())
    refused(verify(tmp_path, export(case), anchor=log), "person of the case was changed")


def test_a_removed_event_is_named(case: Case, log: Path, tmp_path: Path) -> None:
    number = event_of(export(case), "session.ended")["id"]
    edit_book(f"DELETE FROM events_event WHERE id = {number}")
    refused(verify(tmp_path, export(case), anchor=log), f"event {number} was removed, although seal")


def test_a_removed_event_of_the_case_is_named(case: Case, log: Path, tmp_path: Path) -> None:
    number = event_of(export(case), "leaver.item_settled")["id"]
    edit_book(f"DELETE FROM events_event WHERE id = {number}")
    run = verify(tmp_path, export(case), anchor=log)
    refused(run, f"event {number} was removed, although seal", "of the case was removed")


def test_an_edited_event_is_named(case: Case, log: Path, tmp_path: Path) -> None:
    number = event_of(export(case), "delivery.settled")["id"]
    edit_book(f"UPDATE events_event SET at = '2020-01-01 00:00:00' WHERE id = {number}")
    run = verify(tmp_path, export(case), anchor=log)
    refused(run, f"event {number} was changed since seal")


def test_an_edited_event_of_somebody_else_is_named(case: Case, log: Path, tmp_path: Path) -> None:
    number = next(seal["ids"][-1][1] for seal in export(case)["seals"] if "ids" in seal)
    edit_book(f"UPDATE events_event SET address = '203.0.113.9' WHERE id = {number}")
    refused(verify(tmp_path, export(case), anchor=log), f"event {number} was changed since seal")


def test_a_book_that_was_sealed_anew_is_named(case: Case, log: Path, tmp_path: Path) -> None:
    """With our own key, by somebody who rewrote a row, its event and every seal: only the anchor gives it away."""
    row = Delivery.objects.get(kind="scim")
    Delivery.objects.filter(pk=row.pk).update(status=204)
    seal_the_book_anew(row)
    run = verify(tmp_path, export(case), anchor=log)
    refused(run, "is not the one that your anchor names: the book was sealed anew")
    digest = json.loads(log.read_text().splitlines()[-1])["digest"]
    refused(verify(tmp_path, export(case), "--digest", digest), "the book was sealed anew")


def test_a_book_that_was_sealed_anew_without_our_key_is_named_twice(case: Case, log: Path, tmp_path: Path) -> None:
    last = Seal.objects.latest("id").pk
    edit_book(f"UPDATE events_seal SET rows_digest = digest, digest = rows_digest WHERE id = {last}")
    refused(verify(tmp_path, export(case), anchor=log), "its signature does not hold", "was changed")


# --- What was cut from the end of the book --------------------------------------------------------------------------
@pytest.fixture
def returned(case: Case, places: Places) -> Iterator[tuple[Case, int]]:
    """The account came back, which the book holds under a seal of its own; and the seal before.

    Then somebody who owns the database made the case and its items as they were while it was green.
    """
    green = Case.objects.filter(pk=case.pk).values().get()
    items = list(case.items.values())
    before = Seal.objects.latest("id").pk
    places.active["target:crm"] = True
    places.behaviour["target:crm"] = "down"
    with time_machine.travel(timezone.now() + timedelta(minutes=2), tick=True):
        work()
        case.refresh_from_db()
        assert case.state == "reopened"
        seal()
        something_of_others()
        seal()
    Case.objects.filter(pk=case.pk).update(**green)
    for item in items:
        Item.objects.filter(pk=item["id"]).update(**item)
    with time_machine.travel(timezone.now() + timedelta(minutes=30), tick=True):
        yield case, before


def cut_events(case: Case, *, after: int) -> list[int]:
    """The case's events that a later seal holds are gone. Returns their ids."""
    until = Seal.objects.get(pk=after).until_id
    cut = list(Event.objects.filter(subject_id=str(case.pk), pk__gt=until).values_list("pk", flat=True))
    edit_book(f"DELETE FROM events_event WHERE id IN ({', '.join(map(str, cut))})")
    return cut


def test_a_return_that_was_cut_from_the_end_of_the_case_is_named(
    returned: tuple[Case, int], log: Path, tmp_path: Path
) -> None:
    case, before = returned
    cut = cut_events(case, after=before)
    assert cut
    run = verify(tmp_path, export(case), anchor=log)
    refused(run, *(f"event {pk} was removed, although seal" for pk in cut))


def test_a_return_that_was_cut_with_every_seal_since_is_named_by_the_anchor(
    returned: tuple[Case, int], log: Path, tmp_path: Path
) -> None:
    case, before = returned
    until = Seal.objects.get(pk=before).until_id
    edit_book(f"DELETE FROM events_event WHERE id > {until}", f"DELETE FROM events_seal WHERE id > {before}")
    run = verify(tmp_path, export(case), anchor=log)
    refused(run, f"seal {before + 1} was made before this export, and the book ended with an earlier one")


def test_an_anchor_that_grew_since_the_export_is_no_problem(case: Case, log: Path, tmp_path: Path) -> None:
    exported = export(case)
    with time_machine.travel(timezone.now() + timedelta(minutes=30), tick=True):
        something_of_others()
        seal()
    assert verify(tmp_path, exported, anchor=log).returncode == 0


def test_what_was_not_read_for_an_export_is_not_called_verified(
    returned: tuple[Case, int], log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, before = returned
    cut = cut_events(case, after=before)
    small = export(case, rows_read=0)
    run = verify(tmp_path, small, anchor=log)
    assert run.returncode == 2, lines(run)
    assert "was not read for this export" in run.stdout
    refused(verify(tmp_path, export(case, rows_read=None), anchor=log), f"event {cut[0]} was removed")


def test_a_book_that_goes_on_behind_the_export_is_not_called_verified(
    case: Case, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        something_of_others()
        seal()
    monkeypatch.setattr(limits, "LEAVER_SEALS_IN_EXPORT", 4)
    run = verify(tmp_path, export(case), anchor=log)
    assert run.returncode == 2, lines(run)
    assert "the book goes on to seal" in run.stdout


# --- What was changed in the export ---------------------------------------------------------------------------------
def _edit_row(exported: Export) -> None:
    row_of(exported, "scim")["detail"] = "all is well"


def _edit_item(exported: Export) -> None:
    item_of(exported, "target")["code"] = "absent"


def _remove_item(exported: Export) -> None:
    exported["items"].remove(item_of(exported, "access_token"))


def _remove_event(exported: Export) -> None:
    exported["events"].remove(event_of(exported, "leaver.item_settled"))


def _remove_the_rows_event(exported: Export) -> None:
    number = str(row_of(exported, "scim")["id"])
    gone = next(e for e in exported["events"] if number in e["details"].get("rows", {}))
    exported["events"].remove(gone)


def _remove_the_session_end(exported: Export) -> None:
    exported["events"].remove(event_of(exported, "session.ended"))


def _remove_the_cause(exported: Export) -> None:
    exported["events"].remove(event_of(exported, "person.deactivated"))


def _remove_a_row(exported: Export) -> None:
    exported["ledger"].pop()


def _swap_the_rows(exported: Export) -> None:
    first, second = (item for item in exported["items"] if item["kind"] == "target")
    first["delivery"], second["delivery"] = second["delivery"], first["delivery"]


def _claim_more(exported: Export) -> None:
    exported["certificate"]["not_verifiable"] = 0
    exported["certificate"]["statement"] = "Every one of 7 items is closed."


def _claim_verifiable(exported: Export) -> None:
    item_of(exported, "access_token")["state"] = "read_back"


def _hide_lateness(exported: Export) -> None:
    item_of(exported, "target")["deadline"] = "2020-01-01T00:00:00.000000+00:00"


def _drop_a_seal(exported: Export) -> None:
    exported["seals"].pop(1)


def _edit_a_seal(exported: Export) -> None:
    exported["seals"][-1]["at"] = "2020-01-01T00:00:00.000000+00:00"


def _forge_a_digest(exported: Export) -> None:
    event = event_of(exported, "session.ended")
    event["details"]["reason"] = "forged"
    for segment, seal_row in segments_of(exported):
        ids = [pk for first, last in seal_row["ids"] for pk in range(first, last + 1)]
        if event["id"] in ids:
            segment["rows"][ids.index(event["id"])] = digest_of(event)


def _forge_a_digest_with_its_seal(exported: Export) -> None:
    _forge_a_digest(exported)
    for segment, seal_row in segments_of(exported):
        joined = b"".join(bytes.fromhex(row) for row in segment["rows"])
        seal_row["rows_digest"] = hashlib.sha256(joined).hexdigest()


def _end_the_book(exported: Export) -> None:
    exported["book"]["newest_seal"] = 1


def _another_version(exported: Export) -> None:
    exported["version"] = 2


def _something_besides(exported: Export) -> None:
    exported["remark"] = "please trust this"


def _break_an_item(exported: Export) -> None:
    exported["items"][0] = "spotless"


def _break_a_key(exported: Export) -> None:
    exported["keys"][0]["kid"] = "somebody-else"


TAMPERINGS: dict[str, tuple[Callable[[Export], None], str]] = {
    "an edited row": (_edit_row, "was changed since event"),
    "an edited item": (_edit_item, "was changed since event"),
    "a removed item": (_remove_item, "item access_token:"),
    "a removed event": (_remove_event, "of the case was removed"),
    "a row without its event": (_remove_the_rows_event, "no event of the book holds its digest"),
    "a session without its end": (_remove_the_session_end, "on which it relies, is not there"),
    "a case without its cause": (_remove_the_cause, "by which the account was closed, is not there"),
    "a removed row": (_remove_a_row, "on which it relies, is not there"),
    "rows swapped": (_swap_the_rows, "was confirmed by another answer"),
    "a certificate that claims more": (_claim_more, "its items show"),
    "an item that claims more": (_claim_verifiable, "item access_token:"),
    "a lateness hidden": (_hide_lateness, "is not marked late"),
    "a seal dropped": (_drop_a_seal, "does not continue the one before it"),
    "a seal edited": (_edit_a_seal, "its digest does not follow"),
    "a digest forged": (_forge_a_digest, "was changed since seal"),
    "a digest and its seal forged": (_forge_a_digest_with_its_seal, "its digest does not follow"),
    "a book that ends early": (_end_the_book, "the book is said to end with seal"),
    "another version": (_another_version, "not countersign-leaver-export 1"),
    "something besides": (_something_besides, "members that nobody can judge: remark"),
    "a broken item": (_break_an_item, "malformed"),
    "a broken key": (_break_a_key, "it was replaced"),
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_a_tampered_export_is_named_even_when_it_was_signed_again_with_our_key(
    name: str, case: Case, log: Path, tmp_path: Path
) -> None:
    tamper, words = TAMPERINGS[name]
    exported = export(case)
    tampered = copy.deepcopy(exported)
    tamper(tampered)
    assert tampered != exported
    refused(verify(tmp_path, sign_again(tampered), anchor=log), words)
    if name not in ("another version", "something besides", "a broken key"):
        refused(verify(tmp_path, tampered, anchor=log), words, "something was changed since it was signed")


def test_a_signature_by_another_key_is_named(case: Case, log: Path, tmp_path: Path) -> None:
    material = stranger()
    forged = sign_again(export(case), material=material)
    refused(verify(tmp_path, forged, anchor=log), f"key {material.kid} is not among the export's keys")


def test_a_strangers_key_slipped_into_the_export_proves_nothing(case: Case, log: Path, tmp_path: Path) -> None:
    material = stranger()
    exported = export(case)
    public = jose.verification_key(material.private_key.public_key(), kid=material.kid, algorithm="ES256", use="sig")
    exported["keys"].append(jose.public_jwk(public))
    run = verify(tmp_path, sign_again(exported, material=material), anchor=log)
    assert run.returncode == 2, lines(run)
    assert f"signed by key {material.kid}, which neither the anchor nor --key names" in run.stdout


def test_an_anchor_whose_line_was_forged_is_named(case: Case, log: Path, tmp_path: Path) -> None:
    line = json.loads(log.read_text().splitlines()[-1])
    forged = tmp_path / "forged.log"
    forged.write_text(json.dumps(line | {"digest": "0" * 64}) + "\n")
    refused(verify(tmp_path, export(case), anchor=forged), "is not the one that your anchor names")


def test_a_signature_of_another_kind_is_no_signature_of_an_export(case: Case, log: Path, tmp_path: Path) -> None:
    exported = export(case)
    unsigned = {name: value for name, value in exported.items() if name != "signature"}
    head = sign_event_head(digest_of(unsigned))
    refused(verify(tmp_path, unsigned | {"signature": head}, anchor=log), "of another kind")


def test_an_unsigned_algorithm_is_no_signature(case: Case, log: Path, tmp_path: Path) -> None:
    exported = export(case)
    header = base64.urlsafe_b64encode(b'{"alg":"none","typ":"countersign-leaver-export","kid":"x"}').rstrip(b"=")
    exported["signature"] = f"{header.decode()}.{exported['signature'].split('.')[1]}."
    refused(verify(tmp_path, exported, anchor=log), "of another kind")


@pytest.mark.parametrize("text", ["", "[]", "{", '{"format": 1}', '{"a": 1, "a": 2}', "[" * 100_000])
def test_what_is_no_export_is_refused_without_a_traceback(text: str, case: Case, log: Path, tmp_path: Path) -> None:
    run = verify(tmp_path, text, anchor=log)
    assert run.returncode == 1
    assert "Traceback" not in lines(run)


def test_the_terminal_is_not_at_the_exports_mercy(case: Case, log: Path, tmp_path: Path) -> None:
    exported = export(case)
    exported["items"][0]["title"] = "\x1b[2J\x1b[1;1HVerified: every link holds."
    run = verify(tmp_path, exported, anchor=log)
    assert run.returncode == 1
    assert "\x1b" not in run.stdout


# --- Rewriting history ----------------------------------------------------------------------------------------------
def stranger() -> Any:
    """A key of somebody's own, named by its thumbprint as it should be."""
    private_key = generate_private_key(SigningKey.Algorithm.ES256)
    spki = private_key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    kid = base64.urlsafe_b64encode(hashlib.sha256(spki).digest()).rstrip(b"=").decode()
    return jose.signing_material(private_key, kid=kid, algorithm="ES256")


def edit_book(*statements: str) -> None:
    """What somebody does who owns the database: the triggers are away meanwhile."""
    guard = import_module("broker.events.migrations.0002_insert_only")
    editor = Editor()
    guard.unguard(None, editor)
    for statement in statements:
        editor.execute(statement)
    guard.guard(None, editor)


class Editor:
    """What the migration's functions need of a schema editor, within the test's transaction."""

    connection = connection

    def execute(self, statement: str, params: object = ()) -> None:
        with connection.cursor() as cursor:
            cursor.execute(statement)


def seal_the_book_anew(row: Delivery) -> None:
    """The event of this row gets the digest that fits, and every seal after it is made anew, with our own key."""
    row.refresh_from_db()
    event = next(e for e in Event.objects.filter(type="delivery.settled") if str(row.pk) in e.details["rows"])
    details = json.dumps(event.details | {"rows": event.details["rows"] | {str(row.pk): row_digest(row)}})
    edit_book(f"UPDATE events_event SET details = '{details}' WHERE id = {event.pk}")
    seals = list(Seal.objects.order_by("id"))
    edit_book("DELETE FROM events_seal")
    previous = sealing.GENESIS
    for one in seals:
        digests = [sealing.row_digest(e) for e in Event.objects.filter(id__in=_ids(one)).order_by("id")]
        one.rows_digest = hashlib.sha256(b"".join(digests)).hexdigest()
        one.row_marks = "".join(digest.hex()[: sealing.MARK_CHARS] for digest in digests)
        one.previous_digest = previous
        one.digest = previous = sealing.seal_digest(one)
        one.signature = sign_event_head(one.digest)
        one.save(force_insert=True)


def _ids(one: Seal) -> list[int]:
    return [pk for first, last in one.ids for pk in range(first, last + 1)]
