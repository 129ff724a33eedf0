"""Fresh keys of ours without the wait: the suite makes each real key once and hands it out again in the next test."""

from itertools import count

import pytest

from broker.keys import services
from broker.keys.models import SigningKey
from broker.keys.values import PrivateKey
from tests.fakes.tokens import ec_key, rsa_key

OURS = 100
"""Numbers from here on are for keys of ours, so that no test takes them for somebody else's."""


def make_keys_once(patch: pytest.MonkeyPatch) -> None:
    """Within `patch`, the n-th key that is made is the suite's n-th key; within one test all are different."""
    numbers = count(OURS)

    def generate(algorithm: SigningKey.Algorithm) -> PrivateKey:
        number = next(numbers)
        return ec_key(number=number) if algorithm == SigningKey.Algorithm.ES256 else rsa_key(number=number)

    patch.setattr(services, "generate_private_key", generate)
