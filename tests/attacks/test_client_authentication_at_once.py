"""Attack: present one assertion many times at one moment. Only rows that the database locks keep this promise."""

from collections import Counter
from typing import Any

import pytest

from broker.keys.ring import ring
from broker.registry.cache import raise_version
from broker.registry.models import Client, CredentialUse
from tests.at_once import at_once
from tests.broker.tokens.desk import post_form
from tests.broker.tokens.gate import Gate
from tests.fakes.assertions import KEY_NUMBER, KID, asserting, assertion
from tests.fakes.fake_op import public_jwk
from tests.fakes.tokens import rsa_key

pytestmark = [
    pytest.mark.services,
    pytest.mark.django_db(transaction=True),
    pytest.mark.urls("tests.broker.tokens.urls"),
]
MANY = 20


@pytest.fixture
def gate(transactional_db: None) -> Any:
    yield Gate()
    ring.forget()


def test_an_assertion_that_is_presented_by_many_at_once_is_used_once(gate: Gate) -> None:
    keys = {"keys": [public_jwk(rsa_key(number=KEY_NUMBER), KID)]}
    Client.objects.filter(pk=gate.service.pk).update(authentication="private_key_jwt", jwks=keys)
    raise_version()
    fields = {"grant_type": "client_credentials", "resource": gate.resource.identifier}
    fields |= asserting(assertion(gate.service.client_id))
    answers = at_once(MANY, lambda: post_form("/oauth/token", fields))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 401: MANY - 1}
    assert {answer.json()["error"] for answer in answers if answer.status_code == 401} == {"invalid_client"}
    assert CredentialUse.objects.get().count == 1


def test_the_first_uses_of_a_day_by_many_at_once_are_one_row(gate: Gate) -> None:
    answers = at_once(MANY, lambda: gate.ask(resource=gate.resource.identifier))
    assert Counter(answer.status_code for answer in answers) == {200: MANY}
    assert CredentialUse.objects.count() == 1
