"""The catalogue of refusal codes: stable, complete, and readable by the person who meets one."""

import re
from pathlib import Path

import pytest
from django.conf import settings

from broker.errors import BrokerError
from broker.refusals import CATALOGUE, Mender, Refusal, find_refusal

STATUSES = {400, 401, 403, 404, 405, 406, 409, 412, 413, 415, 422, 428, 429, 500, 501, 502, 503, 504}


def test_no_code_stands_twice() -> None:
    assert len({refusal.code for refusal in CATALOGUE}) == len(CATALOGUE)


@pytest.mark.parametrize("refusal", CATALOGUE, ids=lambda refusal: refusal.code)
def test_each_refusal_says_what_it_means_who_can_mend_it_and_how(refusal: Refusal) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*\.[a-z]+(_[a-z]+)*", refusal.code)
    assert len(refusal.code) <= 64
    assert refusal.status in STATUSES
    assert isinstance(refusal.mender, Mender)
    for text in (refusal.meaning, refusal.remedy):
        assert text.endswith(".")
        assert len(text.split()) > 1
        assert "\n" not in text


@pytest.mark.parametrize("refusal", CATALOGUE, ids=lambda refusal: refusal.code)
def test_no_refusal_blames_a_faultless_party_for_our_own_mistake(refusal: Refusal) -> None:
    # A 502 or 504 is the fault of the one whom we asked (RFC 9110 section 15.6), unless it is ours.
    is_elsewhere = refusal.status in {502, 504} and refusal.code.startswith("target.")
    if refusal.status >= 500:
        assert refusal.mender is Mender.OPERATOR or is_elsewhere


def test_an_unknown_code_is_our_own_fault() -> None:
    with pytest.raises(KeyError):
        find_refusal("no.such_code")
    with pytest.raises(KeyError):
        BrokerError("no.such_code")


def test_an_error_shows_its_code_and_keeps_its_detail_inside() -> None:
    error = BrokerError("saml.issuer", detail="secret detail", expected="https://a", actual="https://b")
    assert str(error) == "saml.issuer"
    assert "secret" not in repr(error)
    assert (error.status, error.expected, error.actual) == (400, "https://a", "https://b")
    assert error.refusal is find_refusal("saml.issuer")


def test_every_code_that_is_raised_stands_in_the_catalogue() -> None:
    raised = re.compile(r"""BrokerError\(\s*["']([^"']+)["']""")
    sources = [
        path for room in ("broker", "federation", "provisioning") for path in Path(settings.ROOT / room).rglob("*.py")
    ]
    codes = {code for path in sources for code in raised.findall(path.read_text())}
    assert len(codes) > 10
    assert codes <= {refusal.code for refusal in CATALOGUE}
