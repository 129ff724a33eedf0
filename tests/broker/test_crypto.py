"""Sealed fields and keyed hashes: what moves, changes or loses its key does not open."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.crypto import UnsealError, derive_secret, keyed_hash, keyed_hashes, seal, unseal

OLD, NEW = {"k1": b"1" * 32}, {"k2": b"2" * 32}
PLACE = "keys.SigningKey.private_key_sealed.1"


@pytest.fixture(autouse=True)
def _old_master_key(settings):
    settings.BROKER_MASTER_KEYS = OLD


# --- Sealing --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("plaintext", [b"", b"x", b"\x00" * 5000, "später".encode()])
def test_what_is_sealed_opens_in_its_place(plaintext):
    assert unseal(seal(plaintext, context=PLACE), context=PLACE) == plaintext


def test_the_plaintext_is_not_in_the_sealed_value():
    sealed = seal(b"the secret of all secrets", context=PLACE)
    assert b"secret" not in base64.urlsafe_b64decode(sealed.partition(".")[2])


def test_the_same_plaintext_is_sealed_differently_each_time():
    assert len({seal(b"x", context=PLACE) for _ in range(100)}) == 100


@pytest.mark.parametrize("place", ["", PLACE + "2", PLACE[:-1], "keys.SigningKey.private_key_sealed.2", PLACE.upper()])
def test_a_value_that_was_moved_does_not_open(place):
    sealed = seal(b"x", context=PLACE)
    with pytest.raises(UnsealError):
        unseal(sealed, context=place)


def test_every_changed_bit_keeps_a_value_shut():
    key_id, _, body = seal(b"secret", context=PLACE).partition(".")
    raw = base64.urlsafe_b64decode(body)
    for position in range(len(raw)):
        changed = bytearray(raw)
        changed[position] ^= 1
        with pytest.raises(UnsealError):
            unseal(f"{key_id}.{base64.urlsafe_b64encode(changed).decode()}", context=PLACE)


@pytest.mark.parametrize(
    "sealed",
    ["", ".", "k1", "k1.", "k1.AAAA", "k1.!!!!", "k1.ä", "k9.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "AAAA"],
)
def test_what_was_never_sealed_does_not_open(sealed):
    with pytest.raises(UnsealError):
        unseal(sealed, context=PLACE)


@settings(deadline=None)  # a busy machine is no failure
@given(sealed=st.text(max_size=80))
def test_no_text_raises_anything_but_unseal_error(sealed):
    with pytest.raises(UnsealError):
        unseal(sealed, context=PLACE)


def test_a_newer_master_key_seals_and_the_older_still_opens(settings):
    older = seal(b"x", context=PLACE)
    settings.BROKER_MASTER_KEYS = NEW | OLD
    newer = seal(b"x", context=PLACE)
    assert (older[:3], newer[:3]) == ("k1.", "k2.")
    assert unseal(older, context=PLACE) == unseal(newer, context=PLACE) == b"x"


def test_without_its_master_key_nothing_opens(settings):
    sealed = seal(b"x", context=PLACE)
    settings.BROKER_MASTER_KEYS = NEW
    with pytest.raises(UnsealError):
        unseal(sealed, context=PLACE)
    with pytest.raises(UnsealError):
        unseal(sealed.replace("k1.", "k2."), context=PLACE)


def test_the_error_names_the_place_and_no_value():
    sealed = seal(b"x", context=PLACE)
    with pytest.raises(UnsealError) as caught:
        unseal(sealed, context="elsewhere")
    assert str(caught.value) == "elsewhere"


# --- Keyed hashes ---------------------------------------------------------------------------------------------------
def test_a_keyed_hash_is_stable_and_names_its_key():
    first = keyed_hash("value", purpose="client_secret")
    assert first == keyed_hash("value", purpose="client_secret")
    key_id, _, digest = first.partition(":")
    assert (key_id, len(digest)) == ("k1", 64)


def test_another_value_purpose_or_key_gives_another_hash(settings):
    base = keyed_hash("value", purpose="client_secret")
    assert keyed_hash("valuE", purpose="client_secret") != base
    assert keyed_hash("value", purpose="refresh_token") != base
    settings.BROKER_MASTER_KEYS = {"k1": b"another master key, 32 bytes..!!"}
    assert keyed_hash("value", purpose="client_secret") != base


def test_a_row_that_an_older_key_hashed_is_found_by_a_newer_installation(settings):
    older = keyed_hash("value", purpose="client_secret")
    settings.BROKER_MASTER_KEYS = NEW | OLD
    newest, second = keyed_hashes("value", purpose="client_secret")
    assert newest == keyed_hash("value", purpose="client_secret")
    assert newest.startswith("k2:")
    assert second == older == keyed_hash("value", purpose="client_secret", key_id="k1")


def test_a_hash_by_a_key_that_is_gone_cannot_be_made():
    with pytest.raises(KeyError):
        keyed_hash("value", purpose="client_secret", key_id="k9")


# --- Derived secrets ------------------------------------------------------------------------------------------------
def test_a_derived_secret_follows_from_its_parent_purpose_and_key_alone(settings):
    first = derive_secret("parent", purpose="refresh_child")
    assert first == derive_secret("parent", purpose="refresh_child")
    assert len(base64.urlsafe_b64decode(first + "=")) == 32
    assert first != derive_secret("parenT", purpose="refresh_child")
    assert first != derive_secret("parent", purpose="another")
    settings.BROKER_MASTER_KEYS = NEW
    assert first != derive_secret("parent", purpose="refresh_child")
