"""Sixteen runs: two foreign identity providers of each protocol, with two foreign applications of each protocol."""

from collections.abc import Callable

import pytest

from tests.peers.broker import SAML_METADATA, Broker
from tests.peers.browser import Browser
from tests.peers.relying_parties import RelyingParty
from tests.peers.service_providers import Python3SAML
from tests.peers.simplesamlphp import Application
from tests.peers.upstreams import (
    LEMONLDAP_OPENID,
    LEMONLDAP_SAML,
    OPENID_PROVIDER,
    OPENID_PROVIDER_JWT,
    SIMPLESAMLPHP,
)

NewBrowser = Callable[..., Browser]
UPSTREAMS = {
    "saml-simplesamlphp": SIMPLESAMLPHP,
    "saml-lemonldap": LEMONLDAP_SAML,
    "oidc-oidc_provider": OPENID_PROVIDER,
    "oidc-lemonldap": LEMONLDAP_OPENID,
}
APPLICATIONS = ("oidc-mozilla", "oidc-openid_client", "saml-python3_saml", "saml-simplesamlphp")
PROTOCOL = "urn:oasis:names:tc:SAML:2.0:protocol"
STATUS = "urn:oasis:names:tc:SAML:2.0:status:"
PERSISTENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"


@pytest.fixture
def addresses(
    broker: Broker,
    mozilla: RelyingParty,
    openid_client: RelyingParty,
    python3_saml: Python3SAML,
    simplesamlphp_application: Application,
) -> dict[str, str]:
    """Where each application tells who came."""
    return {
        "oidc-mozilla": mozilla.at("/whoami"),
        "oidc-openid_client": openid_client.at("/whoami"),
        "saml-python3_saml": python3_saml.at("both"),
        "saml-simplesamlphp": f"{simplesamlphp_application.base}/whoami",
    }


@pytest.mark.parametrize("application", APPLICATIONS)
@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_a_person_arrives(
    upstream: str, application: str, broker: Broker, addresses: dict[str, str], new_browser: NewBrowser
) -> None:
    browser = new_browser(UPSTREAMS[upstream])
    told = browser.visit(addresses[application]).json
    assert told.get("email", told.get("userinfo", {}).get("email")) == UPSTREAMS[upstream].email
    assert browser.passwords_typed == 1


@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_one_session_opens_the_applications_of_both_protocols(
    upstream: str, broker: Broker, addresses: dict[str, str], new_browser: NewBrowser
) -> None:
    browser = new_browser(UPSTREAMS[upstream])
    names = set()
    for number, application in enumerate(APPLICATIONS):
        browser.forget_hops()
        told = browser.visit(addresses[application]).json
        assert browser.went_to(UPSTREAMS[upstream].base) is (number == 0)
        names |= {told["name_id"]} if "name_id" in told else set()
    assert len(names) == 2, "two SAML applications know the person by one name"


@pytest.mark.parametrize("application", ["saml-python3_saml", "saml-simplesamlphp"])
def test_a_persistent_name_stays_and_is_another_persons_never(
    application: str, broker: Broker, addresses: dict[str, str], new_browser: NewBrowser
) -> None:
    same = [new_browser(OPENID_PROVIDER).visit(addresses[application]).json for _time in range(2)]
    other = new_browser(LEMONLDAP_SAML).visit(addresses[application]).json
    assert {one["format"] for one in (*same, other)} == {PERSISTENT}
    assert same[0]["name_id"] == same[1]["name_id"] != other["name_id"]


def test_an_identity_provider_that_wants_a_signature_of_ours_gets_it(
    broker: Broker, addresses: dict[str, str], new_browser: NewBrowser
) -> None:
    told = new_browser(OPENID_PROVIDER_JWT).visit(addresses["saml-python3_saml"]).json
    assert told["email"] == OPENID_PROVIDER_JWT.email


def test_every_attribute_arrives_letter_by_letter(
    broker: Broker, addresses: dict[str, str], new_browser: NewBrowser
) -> None:
    told = new_browser(OPENID_PROVIDER).visit(addresses["saml-python3_saml"]).json["attributes"]
    assert told["urn:oid:2.16.840.1.113730.3.1.241"] == ["alice Ålesund"]
    assert told["urn:oid:1.3.6.1.4.1.5923.1.5.1.1"] == ["engineering", "on call"]


@pytest.mark.parametrize("variant", ["both", "assertion", "response", "encrypted", "unsigned-requests"])
@pytest.mark.parametrize("upstream", ["saml-simplesamlphp", "oidc-oidc_provider"])
def test_each_wish_of_a_strict_application_is_met(
    upstream: str, variant: str, broker: Broker, python3_saml: Python3SAML, new_browser: NewBrowser
) -> None:
    told = new_browser(UPSTREAMS[upstream]).visit(python3_saml.at(variant)).json
    assert told["email"] == UPSTREAMS[upstream].email
    assert told["relay_state"] == python3_saml.at(variant)
    if variant == "response":
        assert told["name_id"] == UPSTREAMS[upstream].email


def test_a_fresh_sign_on_goes_to_the_identity_provider_again(
    broker: Broker, addresses: dict[str, str], new_browser: NewBrowser
) -> None:
    browser = new_browser(SIMPLESAMLPHP)
    browser.visit(addresses["oidc-openid_client"])
    browser.forget_hops()
    told = browser.visit(f"{addresses['saml-simplesamlphp']}?fresh").json
    assert told["email"] == SIMPLESAMLPHP.email
    assert browser.went_to(SIMPLESAMLPHP.base)
    assert browser.passwords_typed == 1


def test_a_second_factor_that_nobody_has_is_refused_by_a_status(
    broker: Broker, python3_saml: Python3SAML, new_browser: NewBrowser
) -> None:
    browser = new_browser(OPENID_PROVIDER)
    page = browser.visit(python3_saml.at("second-factor"))
    assert (page.status, page.json["peer"]) == (403, "python3-saml")
    codes = browser.last_message("SAMLResponse").iter(f"{{{PROTOCOL}}}StatusCode")
    assert [code.get("Value") for code in codes] == [f"{STATUS}Responder", f"{STATUS}NoAuthnContext"]


def test_our_metadata_names_the_scopes_that_we_speak_for(broker: Broker, new_browser: NewBrowser) -> None:
    page = new_browser(SIMPLESAMLPHP).visit(SAML_METADATA)
    for upstream in UPSTREAMS.values():
        assert f">{upstream.slug}.example</shibmd:Scope>" in page.text
