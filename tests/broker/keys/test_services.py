"""The life of our keys: announced, active, retired, gone; and what is published and signed meanwhile."""

import base64
import threading
from datetime import timedelta

import pytest
import time_machine
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from django.db import IntegrityError, connection, transaction

from broker import limits
from broker.actors import SYSTEM
from broker.errors import BrokerError
from broker.events.models import Event
from broker.keys import jose, services
from broker.keys.models import SigningKey
from broker.keys.ring import KeyRing, ring
from broker.keys.services import (
    announce_key,
    ensure_keys,
    jwks,
    public_keys,
    rotate,
    saml_decryption_keys,
    saml_encryption_certificate,
    saml_signing,
    saml_signing_certificates,
    sign_event_head,
    signing_key,
    verify_event_head,
)

from .conftest import NOW

Use, Algorithm, State = SigningKey.Use, SigningKey.Algorithm, SigningKey.State
TOKEN_RS256 = {"use": Use.TOKEN, "algorithm": Algorithm.RS256}
ANNOUNCED_FOR = limits.KEY_ANNOUNCE
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture(autouse=True)
def made(clock):
    return ensure_keys(SYSTEM)


def token_kid():
    return signing_key(Use.TOKEN, algorithm=Algorithm.RS256).kid


def published_kids():
    return {key["kid"] for key in jwks()["keys"]}


def announce(now=NOW, **kind):
    return announce_key(**({"use": Use.TOKEN, "algorithm": Algorithm.RS256} | kind), now=now, actor=SYSTEM)


def event_types():
    return list(Event.objects.order_by("id").values_list("type", flat=True))


# --- First keys -----------------------------------------------------------------------------------------------------
def test_the_first_keys_are_active_at_once(made):
    assert {(key.use, key.algorithm) for key in made} == set(services.NEEDED)
    assert set(SigningKey.objects.values_list("state", flat=True)) == {State.ACTIVE}
    assert event_types() == ["key.created"] * 4


def test_a_second_call_makes_nothing():
    assert ensure_keys(SYSTEM) == []
    assert SigningKey.objects.count() == 4


def test_no_key_is_made_where_one_ever_was():
    """An installation that lost its active key must not sign with one that nobody could have met."""
    SigningKey.objects.filter(**TOKEN_RS256).update(state=State.RETIRED, retired_at=NOW, gone_at=NOW)
    assert ensure_keys(SYSTEM) == []
    with pytest.raises(BrokerError) as caught:
        token_kid()
    assert caught.value.code == "service.unavailable"


def test_an_event_names_the_key_and_nothing_secret(made):
    event = Event.objects.filter(subject_id=made[0].kid).get()
    assert (event.subject_kind, event.details) == (
        "key",
        {"use": "token", "algorithm": "RS256", "state": "active"},
    )


# --- Storage --------------------------------------------------------------------------------------------------------
def test_no_private_key_is_stored_in_the_open(made):
    for row in SigningKey.objects.all():
        private = services.ring.all()
        assert "PRIVATE" not in row.private_key_sealed
        assert row.private_key_sealed.startswith("k1.")
        assert private


def test_a_private_key_moved_to_another_row_does_not_open(made):
    other = SigningKey.objects.get(use=Use.SAML_SIGNING)
    SigningKey.objects.filter(**TOKEN_RS256).update(private_key_sealed=other.private_key_sealed)
    ring.forget()
    ring._sides.clear()
    with pytest.raises(BrokerError) as caught:
        token_kid()
    assert caught.value.code == "service.unavailable"


def test_two_active_keys_of_a_kind_cannot_be(made):
    row = SigningKey.objects.get(**TOKEN_RS256)
    row.pk, row.kid = None, "another"
    with pytest.raises(IntegrityError), transaction.atomic():
        row.save(force_insert=True)


# --- Announced, active, retired, gone -------------------------------------------------------------------------------
def test_a_successor_is_published_before_it_signs():
    first = token_kid()
    successor = announce()
    assert token_kid() == first
    assert published_kids() >= {first, successor.kid}
    rotate(now=NOW + ANNOUNCED_FOR - timedelta(seconds=1), actor=SYSTEM)
    assert token_kid() == first
    assert [key.kid for key in rotate(now=NOW + ANNOUNCED_FOR, actor=SYSTEM)] == [successor.kid]
    assert token_kid() == successor.kid


def test_a_retired_key_stays_published_until_what_it_signed_has_ended(clock):
    first = token_kid()
    announce()
    began = NOW + ANNOUNCED_FOR
    rotate(now=began, actor=SYSTEM)
    clock.move_to(began + limits.KEY_RETIRE - timedelta(seconds=1))
    assert first in published_kids()
    clock.move_to(began + limits.KEY_RETIRE)
    assert first not in published_kids()


def test_a_gone_key_loses_its_private_side_and_keeps_its_public_one(clock):
    first = SigningKey.objects.get(**TOKEN_RS256)
    announce()
    began = NOW + ANNOUNCED_FOR
    rotate(now=began, actor=SYSTEM)
    rotate(now=began + limits.KEY_RETIRE - timedelta(seconds=1), actor=SYSTEM)
    first.refresh_from_db()
    assert first.private_key_sealed
    rotate(now=began + limits.KEY_RETIRE, actor=SYSTEM)
    first.refresh_from_db()
    assert first.private_key_sealed == ""
    assert load_pem_public_key(first.public_key.encode())
    assert event_types()[4:] == ["key.created", "key.retired", "key.activated", "key.erased"]


def test_a_token_verifies_from_announcement_to_end_of_life(clock, expectation, claims):
    now = int(NOW.timestamp())
    token = jose.sign(
        claims(iat=now, exp=now + 300), key=signing_key(Use.TOKEN, algorithm=Algorithm.RS256), typ="at+jwt"
    )
    announce()
    rotate(now=NOW + ANNOUNCED_FOR, actor=SYSTEM)
    assert jose.verify(token, expectation(keys=public_keys(Use.TOKEN)))
    clock.shift(ANNOUNCED_FOR + limits.KEY_RETIRE)
    with pytest.raises(BrokerError) as caught:
        jose.verify(token, expectation(keys=public_keys(Use.TOKEN)))
    assert caught.value.code == "jwt.key"


def test_rotation_without_an_announcement_changes_nothing():
    before = list(SigningKey.objects.order_by("pk").values())
    assert rotate(now=NOW + timedelta(days=400), actor=SYSTEM) == []
    assert list(SigningKey.objects.order_by("pk").values()) == before


def test_rotation_twice_is_rotation_once():
    successor = announce()
    rotate(now=NOW + ANNOUNCED_FOR, actor=SYSTEM)
    assert rotate(now=NOW + ANNOUNCED_FOR, actor=SYSTEM) == []
    assert token_kid() == successor.kid
    assert event_types().count("key.activated") == 1


def test_one_kind_rotates_without_the_others():
    others = set(SigningKey.objects.exclude(**TOKEN_RS256).values_list("kid", "state"))
    announce()
    rotate(now=NOW + ANNOUNCED_FOR, actor=SYSTEM)
    assert set(SigningKey.objects.exclude(**TOKEN_RS256).values_list("kid", "state")) == others


def test_a_second_announcement_gives_the_first_one_back():
    assert announce() == announce(now=NOW + timedelta(hours=1))
    assert SigningKey.objects.filter(state=State.ANNOUNCED).count() == 1


def test_a_failed_event_undoes_the_step_it_tells_of(monkeypatch):
    announce()
    first = token_kid()

    def fail(*args, **kwargs):
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr(services, "record", fail)
        with pytest.raises(RuntimeError):
            rotate(now=NOW + ANNOUNCED_FOR, actor=SYSTEM)
    ring.forget()
    assert token_kid() == first
    assert SigningKey.objects.filter(state=State.RETIRED).count() == 0


def at_once(work):
    """Run `work` in four threads that start together; none of them may raise."""
    start = threading.Barrier(4)
    problems = []

    def run():
        try:
            start.wait(timeout=20)
            work()
        except Exception as error:  # noqa: BLE001 - a thread's problem is told by the assertion below
            problems.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert problems == []


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
def test_rotators_at_the_same_moment_leave_exactly_one_active_key():
    successor = announce()
    at_once(lambda: rotate(now=NOW + ANNOUNCED_FOR, actor=SYSTEM))
    assert SigningKey.objects.get(**TOKEN_RS256, state=State.ACTIVE).kid == successor.kid
    assert event_types().count("key.activated") == 1
    assert event_types().count("key.retired") == 1


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
def test_processes_that_start_at_the_same_moment_make_one_set_of_keys():
    SigningKey.objects.all().delete()
    at_once(lambda: ensure_keys(SYSTEM))
    assert SigningKey.objects.count() == len(services.NEEDED)


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
def test_announcements_at_the_same_moment_make_one_successor():
    at_once(announce)
    assert SigningKey.objects.filter(state=State.ANNOUNCED).count() == 1


# --- Master keys ----------------------------------------------------------------------------------------------------
def test_rotation_seals_private_keys_again_under_the_newest_master_key(settings):
    kid = token_kid()
    settings.BROKER_MASTER_KEYS = {"k2": b"2" * 32, **settings.BROKER_MASTER_KEYS}
    rotate(now=NOW, actor=SYSTEM)
    settings.BROKER_MASTER_KEYS = {"k2": b"2" * 32}
    ring._sides.clear()
    assert token_kid() == kid


def test_a_key_whose_master_key_is_gone_is_left_as_it_is(settings):
    before = set(SigningKey.objects.values_list("private_key_sealed", flat=True))
    settings.BROKER_MASTER_KEYS = {"k2": b"2" * 32}
    rotate(now=NOW, actor=SYSTEM)
    assert set(SigningKey.objects.values_list("private_key_sealed", flat=True)) == before


# --- SAML -----------------------------------------------------------------------------------------------------------
def test_saml_messages_are_signed_by_the_key_of_the_certificate(settings):
    credential = saml_signing()
    certificate = x509.load_der_x509_certificate(credential.certificate)
    signature = credential.private_key.sign(b"message", padding.PKCS1v15(), SHA256())
    certificate.public_key().verify(signature, b"message", padding.PKCS1v15(), SHA256())
    assert certificate.subject.rfc4514_string() == "CN=localhost"
    assert certificate.not_valid_before_utc == NOW
    assert certificate.not_valid_after_utc - NOW == timedelta(days=3650)
    certificate.verify_directly_issued_by(certificate)


def test_metadata_names_the_active_certificate_first_and_then_the_announced_one():
    active = saml_signing().certificate
    assert saml_signing_certificates() == (active,)
    announced = base64.b64decode(announce(use=Use.SAML_SIGNING).certificate)
    assert saml_signing_certificates() == (active, announced)
    rotate(now=NOW + ANNOUNCED_FOR, actor=SYSTEM)
    assert saml_signing_certificates() == (announced,)


def test_what_was_encrypted_to_an_older_certificate_still_opens(clock):
    first = saml_encryption_certificate()
    announce(use=Use.SAML_ENCRYPTION, now=NOW + timedelta(seconds=1))
    assert saml_encryption_certificate() == first
    began = NOW + ANNOUNCED_FOR + timedelta(seconds=1)
    rotate(now=began, actor=SYSTEM)
    assert saml_encryption_certificate() != first
    secret = x509.load_der_x509_certificate(first).public_key().encrypt(b"secret", padding.PKCS1v15())
    clock.move_to(began + limits.KEY_RETIRE_ENCRYPTION - timedelta(seconds=1))
    newest, older = saml_decryption_keys()
    assert older.decrypt(secret, padding.PKCS1v15()) == b"secret"
    assert newest.public_key() != older.public_key()
    clock.move_to(began + limits.KEY_RETIRE_ENCRYPTION)
    assert len(saml_decryption_keys()) == 1


def test_saml_keys_are_not_in_the_jwks():
    tokens = set(SigningKey.objects.filter(use=Use.TOKEN).values_list("kid", flat=True))
    assert published_kids() == tokens


# --- The head of the event book -------------------------------------------------------------------------------------
DIGEST = "ab" * 32


def test_a_signed_head_verifies_long_after_its_key_is_gone(clock):
    signature = sign_event_head(DIGEST)
    announce(algorithm=Algorithm.ES256)
    rotate(now=NOW + ANNOUNCED_FOR, actor=SYSTEM)
    clock.shift(timedelta(days=3000))
    rotate(now=NOW + timedelta(days=3000), actor=SYSTEM)
    ring._sides.clear()
    verify_event_head(DIGEST, signature)


@pytest.mark.parametrize(
    ("digest", "change", "code"),
    [
        ("cd" * 32, lambda signature: signature, "jwt.claim"),
        (DIGEST, lambda signature: signature[:-8] + "AAAAAAAA", "jwt.signature"),
        (DIGEST, lambda signature: "", "jwt.malformed"),
        (DIGEST, lambda signature: signature * 9, "jwt.too_large"),
    ],
)
def test_a_changed_head_or_signature_is_refused(digest, change, code):
    with pytest.raises(BrokerError) as caught:
        verify_event_head(digest, change(sign_event_head(DIGEST)))
    assert caught.value.code == code


def test_a_token_is_no_signature_of_a_head():
    key = signing_key(Use.TOKEN, algorithm=Algorithm.ES256)
    with pytest.raises(BrokerError) as caught:
        verify_event_head(DIGEST, jose.sign({"head": DIGEST}, key=key, typ="at+jwt"))
    assert caught.value.code == "jwt.type"


def test_every_public_key_goes_on_being_known_to_us(clock):
    first = token_kid()
    announce()
    rotate(now=NOW + ANNOUNCED_FOR, actor=SYSTEM)
    clock.move_to(NOW + ANNOUNCED_FOR + limits.KEY_RETIRE)
    assert first not in {key.kid for key in public_keys(Use.TOKEN)}
    assert first in {key.kid for key in services.every_public_key(Use.TOKEN)}
    assert {key.use for key in services.every_public_key(Use.SAML_ENCRYPTION)} == {"enc"}


# --- The ring -------------------------------------------------------------------------------------------------------
def test_warm_keys_cost_no_query(django_assert_num_queries):
    token_kid()
    saml_signing()
    with django_assert_num_queries(0):
        for _ in range(10):
            token_kid()
            jwks()
            saml_signing()
            saml_decryption_keys()


def test_keys_are_read_again_after_the_poll_interval(django_assert_num_queries):
    seconds = [0.0]
    other = KeyRing(clock=lambda: seconds[0])
    other.all()
    successor = announce()
    assert successor.kid not in {key.row.kid for key in other.all()}
    seconds[0] += limits.KEY_POLL_INTERVAL.total_seconds()
    with django_assert_num_queries(1):
        assert successor.kid in {key.row.kid for key in other.all()}


def test_a_private_key_is_opened_once_however_often_rows_are_read():
    material = signing_key(Use.TOKEN, algorithm=Algorithm.RS256)
    ring.forget()
    assert signing_key(Use.TOKEN, algorithm=Algorithm.RS256) is material


def test_an_empty_ring_is_asked_again_at_once():
    SigningKey.objects.all().delete()
    other = KeyRing(clock=lambda: 0.0)
    assert other.all() == ()
    announce()
    assert len(other.all()) == 1


def test_without_a_key_nothing_is_published_rather_than_an_empty_set():
    SigningKey.objects.all().delete()
    ring.forget()
    with pytest.raises(BrokerError) as caught:
        jwks()
    assert caught.value.code == "service.unavailable"
