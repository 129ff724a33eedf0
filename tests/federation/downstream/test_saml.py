"""The SAML door to applications: what is told of a person, and what a refusal is called over the wire."""

import base64
from typing import Any

import pytest

from broker.actors import SYSTEM
from broker.errors import BrokerError
from broker.keys.models import SigningKey
from broker.keys.ring import ring
from broker.refusals import CATALOGUE
from broker.registry.cache import raise_version
from broker.registry.models import ServiceProvider
from broker.registry.services import every_proved_domain, find_service_provider, find_service_provider_of
from broker.traces.collector import Collector
from federation.claims.models import ReleaseRule
from federation.downstream import saml
from federation.downstream.adapters import downstream_for
from federation.downstream.attributes import attributes_of
from federation.downstream.name_ids import kind_for, pairwise
from federation.downstream.registrations import registered_metadata
from federation.saml.envelope import IdentityProviderRefused
from federation.saml.names import ATTRIBUTE_NAME_BASIC, ATTRIBUTE_NAME_URI, STATUS_RESPONDER
from federation.saml.verified import NameIDPolicy
from federation.saml.writable import is_writable
from tests.factories import make_application, make_keys, make_organisation, make_participant, make_person, make_session
from tests.fakes.fake_idp import EMAIL, PERSISTENT, STATUS, TRANSIENT
from tests.flows.saml_stage import ERP, make_erp

pytestmark = pytest.mark.django_db


@pytest.fixture
def erp() -> ERP:
    return make_erp()


def asked_by(erp: ERP, **changes: Any) -> dict[str, Any]:
    return {
        "protocol": "saml",
        "entity_id": erp.sp.entity_id,
        "acs_url": erp.sp.acs_urls[0],
        "request_id": "_1",
        "relay_state": "state",
        "force": False,
        "passive": False,
        "name_id_format": "",
        "subject": None,
        "comparison": "exact",
        "contexts": [],
    } | changes


def told(**claims: Any) -> dict[str, tuple[str, str, tuple[str, ...]]]:
    """What an application is told of a person with these claims, all of them released: by name."""
    person = make_person(claims=claims)
    application = make_application(release=tuple(claims))
    return {
        one.name: (one.name_format, one.friendly_name, tuple(one.values)) for one in attributes_of(person, application)
    }


def test_the_door_is_known_by_its_protocol() -> None:
    assert downstream_for({"protocol": "saml"}) is saml


# --- What is told ---------------------------------------------------------------------------------------------------
def test_known_claims_bear_their_oids_and_friendly_names() -> None:
    assert told(department=["Sales"], employee_id=["4711"]) == {
        "urn:oid:2.5.4.11": (ATTRIBUTE_NAME_URI, "ou", ("Sales",)),
        "urn:oid:2.16.840.1.113730.3.1.3": (ATTRIBUTE_NAME_URI, "employeeNumber", ("4711",)),
    }


def test_other_claims_bear_their_own_name() -> None:
    assert told(cost_centre=["4711", "4712"]) == {"cost_centre": (ATTRIBUTE_NAME_BASIC, "", ("4711", "4712"))}


@pytest.mark.parametrize("value", ["", "a\x0bb", "\x1b", "\ufffe"], ids=ascii)
def test_a_value_that_xml_cannot_hold_is_left_out(value: str) -> None:
    assert told(cost_centre=[value, "4711"])["cost_centre"][2] == ("4711",)
    assert told(cost_centre=[value]) == {}


@pytest.mark.parametrize("text", ["\0", "\ud800", "a\udfffb", "\uffff"], ids=ascii)
def test_what_no_store_holds_xml_does_not_hold_either(text: str) -> None:
    assert not is_writable(text)
    assert is_writable("tab\t, line\n, é, 🐘")


def test_what_is_not_released_is_not_told(erp: ERP) -> None:
    ReleaseRule.objects.update(claims=[])
    raise_version()
    person = make_person(claims={"department": ["Sales"]})
    assert attributes_of(person, erp.application) == []


# --- Names ----------------------------------------------------------------------------------------------------------
ALLOWED = {
    "transient": {TRANSIENT},
    "persistent": {TRANSIENT, PERSISTENT},
    "email": {TRANSIENT, PERSISTENT, EMAIL},
}


@pytest.mark.parametrize("setting", ALLOWED)
@pytest.mark.parametrize("asked", [TRANSIENT, PERSISTENT, EMAIL])
def test_a_policy_may_ask_for_what_is_set_or_for_less(setting: str, asked: str) -> None:
    face = ServiceProvider(entity_id="https://erp.example", name_id=setting)
    if asked in ALLOWED[setting]:
        kind_for(face, NameIDPolicy(asked))
        return
    with pytest.raises(BrokerError) as caught:
        kind_for(face, NameIDPolicy(asked))
    assert caught.value.code == "saml_idp.name_id"


def test_a_person_has_one_persistent_name_for_each_application() -> None:
    first, second = make_application(), make_application()
    alice, bob = make_person(), make_person()
    names = [pairwise(person, application) for person in (alice, bob) for application in (first, second)]
    assert len(set(names)) == 4
    assert pairwise(alice, first) == names[0]


# --- Refusals -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("refusal", CATALOGUE, ids=lambda refusal: refusal.code)
def test_every_refusal_has_a_status(refusal: Any) -> None:
    status = saml.status_of(BrokerError(refusal.code))
    assert status[0].startswith(STATUS)
    assert len(status) <= 2


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("signon.login_required", "Responder NoPassive"),
        ("signon.interaction_required", "Responder NoPassive"),
        ("signon.context_not_reached", "Responder NoAuthnContext"),
        ("saml_idp.name_id", "Requester InvalidNameIDPolicy"),
        ("saml.signature", "Responder AuthnFailed"),
        ("signon.expired", "Responder AuthnFailed"),
        ("account.unknown", "Responder RequestDenied"),
        ("authority.scope", "Responder RequestDenied"),
        ("service.unavailable", "Responder"),
    ],
)
def test_a_refusal_is_told_by_its_own_name(erp: ERP, code: str, status: str) -> None:
    answer = saml.refuse(asked_by(erp), BrokerError(code))
    assert answer.fields is not None
    read = erp.sp.read(
        answer.fields, idp_key=saml.saml_signing_certificates()[0], idp=saml.entity_id(), request_id="_1"
    )
    assert " ".join(read.status) == status
    assert (answer.url, read.relay_state) == (erp.sp.acs_urls[0], "state")
    assert read.message.endswith(".")


@pytest.mark.parametrize(
    ("reasons", "passed_on"),
    [
        (("Responder", "NoPassive"), "NoPassive"),
        (("Responder", "NoAuthnContext"), "NoAuthnContext"),
        (("Responder", "AuthnFailed"), "AuthnFailed"),
        (("Requester", "RequestDenied"), "AuthnFailed"),
    ],
)
def test_the_identity_providers_reason_is_passed_on_where_it_is_one_of_ours(
    reasons: tuple[str, ...], passed_on: str
) -> None:
    error = IdentityProviderRefused(tuple(STATUS + one for one in reasons), "their words")
    assert saml.status_of(error) == (STATUS_RESPONDER, STATUS + passed_on)


def test_a_detail_stays_in_the_house(erp: ERP) -> None:
    error = BrokerError("saml.signature", detail="the-detail", expected="the-expected", actual="the-actual")
    answer = saml.refuse(asked_by(erp), error)
    assert answer.fields is not None
    raw = base64.b64decode(answer.fields["SAMLResponse"])
    assert not any(word in raw for word in (b"the-detail", b"the-expected", b"the-actual"))


# --- Answers --------------------------------------------------------------------------------------------------------
def test_another_applications_participant_gets_no_answer(erp: ERP) -> None:
    session = make_session()
    stranger = make_participant(session=session)
    with pytest.raises(BrokerError) as caught:
        saml.respond(asked_by(erp), session=session, participant=stranger, actor=SYSTEM, trace=Collector())
    assert caught.value.code == "signon.application_disabled"


def test_without_a_key_nothing_is_said(erp: ERP) -> None:
    SigningKey.objects.all().delete()
    ring.forget()
    with pytest.raises(BrokerError) as caught:
        saml.refuse(asked_by(erp), BrokerError("signon.expired"))
    assert caught.value.code == "service.unavailable"


def test_metadata_that_cannot_be_read_any_more_is_said_to_be_the_registrations_fault(erp: ERP) -> None:
    ServiceProvider.objects.update(metadata="<none/>")
    raise_version()
    face = find_service_provider(erp.sp.entity_id)
    assert face is not None
    with pytest.raises(BrokerError) as caught:
        registered_metadata(face)
    assert caught.value.code == "saml_idp.metadata"


# --- Finding --------------------------------------------------------------------------------------------------------
def test_a_face_is_found_by_its_entity_id_and_by_its_application(erp: ERP) -> None:
    assert find_service_provider(erp.sp.entity_id) == find_service_provider_of("erp") == erp.face
    assert find_service_provider(erp.sp.entity_id + "/") is None
    assert find_service_provider("") is None
    assert find_service_provider("x" * 1_025) is None
    assert find_service_provider_of("nobody") is None
    assert find_service_provider_of("no slug") is None


def test_only_proved_domains_of_live_organisations_are_scopes() -> None:
    make_keys()
    make_organisation(domains=("b.example", "a.example"))
    gone = make_organisation(domains=("gone.example",))
    gone.retired_at = gone.created_at
    gone.save()
    unproved = make_organisation(domains=("unproved.example",))
    unproved.domains.update(proved_at=None)
    raise_version()
    assert every_proved_domain() == ("a.example", "b.example")
