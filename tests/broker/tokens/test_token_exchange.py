"""Token exchange through HTTP (RFC 8693): what it gives, and that it only ever narrows."""

import pytest

from broker.keys.ring import ring
from tests.broker.tokens.estate import ACCESS_TOKEN, Estate
from tests.broker.tokens.refusals import assert_refused
from tests.flows.stage import unverified_claims as claims_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def estate(db):
    yield Estate()
    ring.forget()


def refused_subject(response, *, reason):
    assert_refused(response, error="invalid_request", code="oauth.subject_token", reason=reason)


def test_a_service_acts_for_a_person_without_becoming_that_person(estate):
    response = estate.exchange(estate.crm, estate.signed_on(), estate.erp)
    body, claims = response.json(), claims_of(response.json()["access_token"])
    assert body["issued_token_type"] == ACCESS_TOKEN
    assert body["token_type"] == "Bearer"
    assert body["scope"] == claims["scope"] == "orders.read orders.write"
    assert "refresh_token" not in body
    assert "id_token" not in body
    assert claims["sub"] == str(estate.desk.person.pk)
    assert claims["client_id"] == "crm"
    assert claims["aud"] == "https://erp.example/api"
    assert claims["act"] == {"sub": "crm", "client_id": "crm"}
    assert response["Cache-Control"] == "no-store"


def test_actors_nest(estate):
    claims = claims_of(estate.at_ledger())
    crm, erp, hr = ({"sub": name, "client_id": name} for name in ("crm", "erp", "hr"))
    assert claims["act"] == {**hr, "act": {**erp, "act": crm}}
    assert claims["sub"] == str(estate.desk.person.pk)
