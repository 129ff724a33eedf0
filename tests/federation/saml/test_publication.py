"""Our own metadata, as strict peers read it."""

from typing import Any

import pytest
from lxml import etree
from saml2.xml.schema import validate

from federation.saml.entity import Contact
from federation.saml.metadata import read_service_provider
from federation.saml.publication import Organisation, write_service_provider
from tests.fakes.fake_idp import NS, PERSISTENT
from tests.fakes.saml_keys import key_pair
from tests.federation.saml.test_signing import KEY, verify_with_xmlsec

FULL: dict[str, Any] = {
    "name_id_formats": (PERSISTENT,),
    "organisation": Organisation("Corp", "Corp & Sons <Ltd>", "https://corp.example"),
    "contacts": (Contact("technical", "Ada", "ada@corp.example"),),
}


def write(**options: Any) -> bytes:
    asked: dict[str, Any] = {
        "entity_id": "https://sso.example/saml/sp/corp/metadata",
        "acs_url": "https://sso.example/saml/sp/corp/acs",
        "signing_certificates": (KEY.certificate,),
        "encryption_certificates": (key_pair("our encryption key").der,),
        "signs_requests": True,
        "signer": KEY,
    }
    return write_service_provider(**(asked | options))


@pytest.mark.parametrize("options", [{}, FULL], ids=["plain", "with everything"])
def test_metadata_is_schema_valid_and_signed(options: dict[str, Any]) -> None:
    raw = write(**options)
    validate(raw.decode().partition("?>")[2])
    verify_with_xmlsec(raw)


def test_what_we_write_reads_as_what_we_are() -> None:
    new = key_pair("our next signing key").der
    read = read_service_provider(write(**FULL, signing_certificates=(KEY.certificate, new)))
    assert read.entity_id == "https://sso.example/saml/sp/corp/metadata"
    assert [one.location for one in read.assertion_consumer_services] == ["https://sso.example/saml/sp/corp/acs"]
    assert [one.der for one in read.signing_certificates] == [KEY.certificate, new]
    assert [one.der for one in read.encryption_certificates] == [key_pair("our encryption key").der]
    assert read.wants_assertions_signed is True
    assert read.organisation == "Corp & Sons <Ltd>"
    assert read.contacts == FULL["contacts"]
    assert read.name_id_formats == (PERSISTENT,)


@pytest.mark.parametrize("signs", [True, False])
def test_whether_requests_are_signed_is_told_truthfully(*, signs: bool) -> None:
    assert read_service_provider(write(signs_requests=signs)).authn_requests_signed is signs


def test_only_ciphers_that_prove_integrity_are_offered() -> None:
    methods = etree.fromstring(write()).iterfind(".//md:EncryptionMethod", NS)
    algorithms = [one.get("Algorithm", "") for one in methods]
    assert algorithms
    assert all(one.endswith(("-gcm", "rsa-oaep-mgf1p")) for one in algorithms)


def test_equal_settings_give_equal_bytes() -> None:
    assert write(**FULL) == write(**FULL)
