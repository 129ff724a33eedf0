"""The guard's verdicts: honest answers in every shape, then each refusal with its code."""

import pytest
from broker.errors import BrokerError
from tests.fakes.fake_idp import FLAWS


@pytest.mark.parametrize("sign", ["response", "assertion", "both"])
@pytest.mark.parametrize("encrypt", [None, "gcm", "cbc"])
def test_ok(desk, sign, encrypt):
    v = desk.verify(desk.respond(sign=sign, encrypt=encrypt))
    assert v.subject == "alice"


@pytest.mark.parametrize("sign", ["response", "assertion", "both"])
@pytest.mark.parametrize("flaw", FLAWS)
def test_flaw(desk, refused, sign, flaw):
    assert refused(desk.respond(sign=sign, flaw=flaw)) == FLAWS[flaw]
