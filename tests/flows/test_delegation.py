"""Delegation from another house: an identity provider's ID token or SAML assertion, exchanged for a token of ours."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from broker import limits
from broker.directory.models import LinkedIdentity, Person
from broker.keys.ring import ring
from broker.registry.cache import raise_version
from broker.registry.models import IdentityProvider
from broker.tokens.models import Grant
from tests.broker.tokens.estate import ACCESS_TOKEN, ID_TOKEN, JWT, SAML2, make_api
from tests.broker.tokens.refusals import assert_refused
from tests.factories import link, make_flow, make_identity_provider, make_organisation
from tests.fakes.fake_op import ALICE, CLIENT_ID
from tests.fakes.saml_keys import key_pair
from tests.fakes.tokens import hs256, ps256, rs256, rsa_key, unsigned
from tests.flows.foreign_stage import Foreigners
from tests.flows.openid_stage import register
from tests.flows.stage import unverified_claims as claims_of

pytestmark = pytest.mark.django_db
ENTITY = "https://crm.example/saml"
BROKER = settings.BROKER_BASE_URL


@pytest.fixture
def stage(fake_op):
    yield Foreigners(fake_op)
    ring.forget()


def refused(response: Any, reason: str, *, what: str = "subject_token") -> None:
    assert_refused(response, error="invalid_request", code=f"oauth.{what}", reason=reason)
    assert not Grant.objects.exists()


def change(row: Any, **fields: Any) -> None:
    type(row).objects.filter(pk=row.pk).update(**fields)
    raise_version()


# --- What it gives --------------------------------------------------------------------------------------------------
def test_an_id_token_of_an_identity_provider_brings_a_token_for_the_linked_person(stage):
    told = int((timezone.now() - timedelta(minutes=2)).timestamp())
    response = stage.exchange(stage.jwt(auth_time=told, acr="urn:mfa", amr=["otp"], nonce="n", at_hash="h"))
    assert response.status_code == 200, response.content
    claims = claims_of(response.json()["access_token"])
    assert claims["sub"] == str(stage.alice.pk)
    assert claims["act"] == {"sub": "nightly", "client_id": "nightly"}
    assert claims["scope"] == "orders.read"
    assert (claims["auth_time"], claims["acr"], claims["amr"]) == (told, "urn:mfa", ["otp"])
    grant = Grant.objects.get()
    assert (grant.identity_provider, grant.session, grant.parent) == (stage.globex, None, None)


def test_a_saml_assertion_for_our_token_endpoint_does_the_same(stage):
    response = stage.exchange(stage.saml())
    assert response.status_code == 200, response.content
    claims = claims_of(response.json()["access_token"])
    assert claims["sub"] == str(stage.alice.pk)
    assert claims["acr"].endswith("PasswordProtectedTransport")
    assert Grant.objects.get().identity_provider == stage.acme


def test_a_saml_assertion_brings_one_token(stage):
    assertion = stage.saml()
    assert stage.exchange(assertion, scope="orders.write").json()["error"] == "invalid_scope"
    assert stage.exchange(assertion).status_code == 200
    assert_refused(stage.exchange(assertion), error="invalid_request", code="oauth.subject_token", reason="replayed")
    assert Grant.objects.count() == 1
    assert stage.exchange(stage.saml()).status_code == 200


def test_it_goes_on_from_there_like_any_other_token(stage):
    hr = make_api("hr", scopes=("people.read",))
    make_flow(stage.erp.client, hr.resource, grant="token_exchange", subject_class="person")
    make_flow(stage.service, stage.erp.resource)
    token = stage.exchange(stage.jwt()).json()["access_token"]
    proof = stage.ask({"grant_type": "client_credentials"}).json()["access_token"]
    stage.service = stage.erp.client
    response = stage.exchange(
        token, ACCESS_TOKEN, resource=hr.resource.identifier, actor_token=proof, actor_token_type=ACCESS_TOKEN
    )
    claims = claims_of(response.json()["access_token"])
    assert [claims["act"]["sub"], claims["act"]["act"]["sub"]] == ["erp", "nightly"]
    assert claims["sub"] == str(stage.alice.pk)


def test_no_token_outlives_what_it_came_from(stage, time_machine):
    now = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)
    time_machine.move_to(now, tick=False)
    seconds = int(now.timestamp())
    response = stage.exchange(stage.jwt(iat=seconds - 200, exp=seconds + 77))
    assert response.json()["expires_in"] == 77
    assert Grant.objects.get().expires_at == now + timedelta(seconds=77)


@pytest.mark.parametrize(
    ("changes", "seconds"),
    [
        ({}, 300),
        ({"session_not_on_or_after": 90}, 90),
        ({"confirmation_not_on_or_after": 60}, 60),
        ({"not_on_or_after": 30, "confirmation_not_on_or_after": 200}, 30),
    ],
)
def test_no_token_outlives_the_earliest_end_of_an_assertion(stage, time_machine, changes, seconds):
    now = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)
    time_machine.move_to(now, tick=False)
    ends = {name: f"{now + timedelta(seconds=left):%Y-%m-%dT%H:%M:%SZ}" for name, left in changes.items()}
    assert stage.exchange(stage.saml(now=now, **ends)).json()["expires_in"] == seconds


def test_nothing_that_the_token_says_of_the_person_is_taken_over(stage):
    stage.exchange(stage.jwt(email="ceo@globex.example", name="The CEO", groups=["admins"]))
    person = Person.objects.get(pk=stage.alice.pk)
    assert person.name == stage.alice.name
    assert not person.identifiers.exists()
    assert not person.memberships.exists()


# --- For whom it was made -------------------------------------------------------------------------------------------
AUDIENCES = {
    "another client of the provider": "another-client",
    "us and another one": [CLIENT_ID, "another-client"],
    "us twice over": [CLIENT_ID, "nightly"],
    "the calling client": "nightly",
    "our issuer": BROKER,
    "nobody": [],
    "the provider": "https://globex.example",
}


@pytest.mark.parametrize("audience", AUDIENCES)
def test_an_id_token_that_was_not_made_for_us_is_refused(stage, audience):
    response = stage.exchange(stage.jwt(aud=AUDIENCES[audience]))
    refused(response, "oidc.claim" if audience == "nobody" else "oidc.issuer")


def test_an_id_token_that_another_party_was_authorized_for_is_refused(stage):
    refused(stage.exchange(stage.jwt(azp="another-client")), "oidc.authorized_party")


def test_an_assertion_for_another_audience_is_refused(stage):
    refused(stage.exchange(stage.saml(audience=ENTITY)), "saml.audience")
    refused(stage.exchange(stage.saml(audiences=None)), "saml.audience")


def test_an_assertion_that_was_sent_to_our_consumer_service_brings_no_token(stage):
    """Whoever sees the answer of a sign-on cannot bring it here."""
    acs_url = f"{BROKER}/saml/sp/{stage.acme.slug}/acs"
    refused(stage.exchange(stage.saml(acs_url=acs_url)), "saml.recipient")
    refused(stage.exchange(stage.saml(recipient=None)), "saml.recipient")


def test_an_assertion_that_answers_a_request_of_ours_brings_no_token(stage):
    refused(stage.exchange(stage.saml(request_id="_a-request-of-ours")), "saml.in_response_to")


def test_a_whole_response_is_no_assertion(stage):
    raw = stage.idp.response(request_id=None, acs_url=f"{BROKER}/oauth/token", audience="x")
    refused(stage.exchange(raw), "saml.structure")


# --- Who is known ---------------------------------------------------------------------------------------------------
def test_somebody_without_a_link_is_nobody_and_is_not_made_known(stage):
    people = Person.objects.count()
    refused(stage.exchange(stage.jwt(sub="bob", email="alice@globex.example")), "account.unknown")
    refused(stage.exchange(stage.saml(subject="bob")), "account.unknown")
    assert (Person.objects.count(), LinkedIdentity.objects.count()) == (people, 2)


def test_a_subject_of_another_provider_with_the_same_name_is_another_one(stage):
    LinkedIdentity.objects.filter(identity_provider=stage.globex).delete()
    link(stage.alice, stage.acme, ALICE["sub"])
    refused(stage.exchange(stage.jwt()), "account.unknown")


def test_a_leaver_is_out(stage):
    change(stage.alice, is_active=False)
    refused(stage.exchange(stage.jwt()), "account.inactive")
    refused(stage.exchange(stage.saml()), "account.inactive")


def test_a_person_who_moved_to_another_organisation_is_not_vouched_for(stage):
    change(stage.alice, organisation=make_organisation())
    refused(stage.exchange(stage.jwt()), "account.organisation")


@pytest.mark.parametrize("fields", [{"enabled": False}, {"retired_at": timezone.now()}])
def test_a_provider_that_is_switched_off_vouches_for_nobody(stage, fields):
    for provider, token, reason in (
        (stage.globex, stage.jwt(), "oidc.issuer"),
        (stage.acme, stage.saml(), "saml.issuer"),
    ):
        change(provider, **fields)
        refused(stage.exchange(token), reason)


def test_a_provider_that_is_switched_off_ends_what_it_vouched_for(stage):
    make_flow(stage.erp.client, stage.erp.resource, grant="token_exchange", subject_class="person")
    token = stage.exchange(stage.jwt()).json()["access_token"]
    change(stage.globex, enabled=False)
    response = stage.exchange(token, ACCESS_TOKEN)
    assert_refused(response, error="invalid_request", code="oauth.subject_token", reason="identity_provider")


def test_an_organisation_that_is_switched_off_vouches_for_nobody(stage):
    change(stage.globex.organisation, enabled=False)
    refused(stage.exchange(stage.jwt()), "oidc.issuer")


def test_a_provider_that_is_registered_twice_is_not_guessed_at(stage):
    register(stage.op, "globex-again")
    refused(stage.exchange(stage.jwt()), "oidc.issuer")
    make_identity_provider(issuer=stage.acme.issuer)
    refused(stage.exchange(stage.saml()), "saml.issuer")


def test_an_issuer_that_nobody_registered_is_refused(stage):
    refused(stage.exchange(stage.jwt(iss="https://evil.example")), "oidc.issuer")
    refused(stage.exchange(stage.jwt(iss=stage.op.issuer + "/")), "oidc.issuer")
    refused(stage.exchange(stage.jwt(iss="a\x00b")), "jwt.malformed")
    refused(stage.exchange(stage.saml(issuer="https://evil.example")), "saml.issuer")
    assert stage.op.count("/jwks") == 0


# --- How it is proven -----------------------------------------------------------------------------------------------
def test_a_token_that_is_not_signed_by_its_provider_is_refused(stage):
    key, kid = next(iter(stage.op.keys.values())), next(iter(stage.op.keys))
    public = b"-----BEGIN PUBLIC KEY-----"
    for sign, header, reason in (
        (unsigned, {"alg": "none"}, "oidc.algorithm"),
        (hs256(public), {"alg": "HS256"}, "oidc.algorithm"),
        (ps256(key), {"alg": "PS256"}, "oidc.algorithm"),
        (rs256(rsa_key(number=9)), {}, "oidc.signature"),
        (rs256(key), {"kid": "another"}, "oidc.key"),
        (rs256(key), {"jwk": {"kty": "oct"}}, "oidc.header"),
        (rs256(key), {"jku": "https://evil.example"}, "oidc.header"),
        (rs256(key), {"crit": ["b64"]}, "oidc.header"),
        (rs256(key), {"typ": "at+jwt"}, "oidc.type"),
        (rs256(key), {"typ": "logout+jwt"}, "oidc.type"),
        (rs256(key), {"typ": "secevent+jwt", "kid": kid}, "oidc.type"),
    ):
        refused(stage.exchange(stage.jwt(sign=sign, header=header)), reason)


KINDS = {
    "an access token": ({"scope": "openid"}, "oidc.type"),
    "an access token of another dialect": ({"scp": ["a"]}, "oidc.type"),
    "an access token for a client": ({"client_id": CLIENT_ID}, "oidc.type"),
    "a bearer token by its own word": ({"typ": "Bearer"}, "oidc.type"),
    "a refresh token by its own word": ({"typ": "Refresh"}, "oidc.type"),
    "a logout token": ({"events": {"http://schemas.openid.net/event/backchannel-logout": {}}}, "oidc.type"),
    "a token about the provider": ({"sub": "…issuer…"}, "oidc.subject"),
    "a client's assertion about itself": ({"sub": CLIENT_ID}, "oidc.subject"),
    "a delegated token": ({"act": {"sub": "mallory"}}, "oidc.claim"),
    "an empty delegation": ({"act": {}}, "oidc.claim"),
    "a token about nobody": ({"sub": ...}, "oidc.claim"),
    "a subject that looks like another": ({"sub": "alice-at-globex\u200b"}, "oidc.subject"),
    "a token without an end": ({"exp": ...}, "oidc.claim"),
    "a token without a beginning": ({"iat": ...}, "oidc.claim"),
    "an expired token": ({"exp": 1}, "oidc.expired"),
    "an old token": ({"iat": 1_600_000_000}, "oidc.lifetime"),
    "a token for ever": ({"exp": 4_000_000_000}, "oidc.lifetime"),
    "a token of tomorrow": ({"nbf": 4_000_000_000}, "oidc.lifetime"),
    "a context without room": ({"acr": "x" * 301}, "oidc.claim"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_id_token_is_refused(stage, kind):
    changes, reason = KINDS[kind]
    changes = {name: stage.op.issuer if value == "…issuer…" else value for name, value in changes.items()}
    refused(stage.exchange(stage.jwt(**changes)), reason)


def test_an_id_token_is_believed_for_ten_minutes(stage, time_machine):
    now = timezone.now().replace(microsecond=0)
    time_machine.move_to(now, tick=False)
    seconds = int(now.timestamp())
    token = stage.jwt(iat=seconds, exp=seconds + 3600)
    time_machine.shift(limits.FOREIGN_SUBJECT_AGE + timedelta(seconds=1))
    refused(stage.exchange(token), "oidc.expired")


def test_an_assertion_that_is_over_by_our_clock_brings_nothing_though_clocks_differ(stage, time_machine):
    now = timezone.now().replace(microsecond=0)
    time_machine.move_to(now, tick=False)
    token = stage.saml(now=now)
    time_machine.shift(timedelta(minutes=5))
    refused(stage.exchange(token), "saml.expired")


FLAWS = {
    "unsigned": ({"sign": "none"}, "saml.unsigned"),
    "signed with another key": ({"key": key_pair("mallory")}, "saml.signature"),
    "signed with SHA-1": ({"signature_method": "rsa-sha1"}, "saml.algorithm"),
    "keyed with our knowledge of the certificate": ({"signature_method": "hmac-sha256"}, "saml.algorithm"),
    "expired": ({"not_on_or_after": "2020-01-01T00:00:00Z"}, "saml.expired"),
    "not yet valid": ({"not_before": "2099-01-01T00:00:00Z"}, "saml.not_yet_valid"),
    "old": ({"assertion_issue_instant": "2020-01-01T00:00:00Z"}, "saml.stale"),
    "of a session that is over": ({"session_not_on_or_after": "2020-01-01T00:00:00Z"}, "saml.expired"),
    "without a bearer": ({"confirmation_method": "urn:oasis:names:tc:SAML:2.0:cm:sender-vouches"}, "saml.confirmation"),
    "without a confirmation": ({"confirmation_method": None}, "saml.confirmation"),
    "confirmed without an end": ({"confirmation_not_on_or_after": None}, "saml.confirmation"),
    "without a subject": ({"subject": None}, "saml.subject"),
    "with a name for once": (
        {"name_id_format": "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"},
        "saml.subject",
    ),
    "without an authentication": ({"authn_statement": False}, "saml.structure"),
    "with a condition that nobody knows": (
        {"extra_condition": '<x:Only xmlns:x="urn:x"/>'},
        "saml.structure",
    ),
}


@pytest.mark.parametrize("flaw", FLAWS)
def test_an_assertion_with_a_flaw_is_refused(stage, flaw):
    options, reason = FLAWS[flaw]
    refused(stage.exchange(stage.saml(**options)), reason)


def test_an_assertion_that_was_changed_after_it_was_signed_is_refused(stage):
    refused(stage.exchange(stage.saml(subject="bob").replace(b">bob<", b">alice<")), "saml.signature")


def test_an_assertion_in_the_advice_of_another_is_refused(stage):
    """Signature wrapping: the signed one is hidden where a verifier finds it, and another one stands outside."""
    signed = stage.saml(subject="bob")
    forged = stage.saml(sign="none").replace(
        b"<saml:AuthnStatement", b"<saml:Advice>" + signed + b"</saml:Advice><saml:AuthnStatement", 1
    )
    refused(stage.exchange(forged), "saml.structure")


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("PHNhbWw+", "saml.encoding"),
        ("P/8=", "saml.encoding"),
        ("A", "saml.encoding"),
        ("PHg-PC94Pg", "saml.structure"),
        ("____", "saml.encoding"),
        ("bm90IHhtbA", "saml.malformed"),
        ("x.y.z", "saml.encoding"),
    ],
)
def test_what_is_no_assertion_in_base64url_is_refused(stage, raw, reason):
    refused(stage.exchange(raw, SAML2), reason)


def test_a_document_type_is_refused(stage):
    refused(stage.exchange(b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>'), "saml.doctype")


def test_each_type_is_refused_under_every_other_name(stage):
    for token, right in ((stage.jwt(), ID_TOKEN), (stage.assertion(), None)):
        for declared in (ACCESS_TOKEN, JWT, ID_TOKEN, SAML2):
            response = stage.exchange(token, declared)
            assert (response.status_code == 200) == (declared == right), (declared, response.content)


# --- Who may act ----------------------------------------------------------------------------------------------------
def test_a_name_in_may_act_is_one_of_the_house_that_wrote_it(stage):
    refused(stage.exchange(stage.jwt(may_act={"sub": "nightly"})), "may_act", what="delegation")
    refused(stage.exchange(stage.jwt(may_act={"sub": "erp", "iss": BROKER})), "may_act", what="delegation")
    ours = stage.exchange(stage.jwt(may_act={"sub": "nightly", "iss": BROKER}))
    assert claims_of(ours.json()["access_token"])["act"]["sub"] == "nightly"


def test_a_provider_whose_keys_are_away_brings_nothing(stage):
    stage.op.raw["/jwks"] = b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"
    refused(stage.exchange(stage.jwt()), "oidc.keys")


def test_a_saml_provider_is_no_openid_provider(stage):
    IdentityProvider.objects.filter(pk=stage.globex.pk).update(protocol="saml")
    raise_version()
    refused(stage.exchange(stage.jwt()), "oidc.issuer")
