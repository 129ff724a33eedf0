"""What a registered value may look like."""

import pytest

from broker.registry import values
from broker.registry.values import BadValue


@pytest.mark.parametrize("text", ["acme", "acme-entra", "a", "7even", "a_b", "a" * 64])
def test_a_slug_is_accepted(text: str) -> None:
    assert values.slug(text) == text


@pytest.mark.parametrize("text", ["", "Acme", "-a", "a b", "a/b", "ä", "a" * 65, "a\n", "..", "a.b"])
def test_what_is_no_slug_is_refused(text: str) -> None:
    with pytest.raises(BadValue):
        values.slug(text)


@pytest.mark.parametrize(("text", "name"), [("Acme.Example", "acme.example"), ("xn--bcher-kva.example",) * 2])
def test_a_domain_is_kept_in_lower_case(text: str, name: str) -> None:
    assert values.domain(text) == name


@pytest.mark.parametrize(
    "text",
    [
        "example",
        ".example.org",
        "example.org.",
        "a..b",
        "*.example.org",
        "bücher.example",
        "a b.example",
        "@a.example",
        "-a.example",
        f"{'a' * 64}.example",
        ".".join(["a" * 60] * 5),
        "example.org\n",
        "example.org/",
    ],
)
def test_what_is_no_domain_is_refused(text: str) -> None:
    with pytest.raises(BadValue):
        values.domain(text)


@pytest.mark.parametrize(
    "text",
    [
        "https://crm.acme.example/callback",
        "https://crm.acme.example:8443/callback?tenant=1",
        "http://localhost:8001/callback",
        "http://127.0.0.1/callback",
        "http://[::1]:9000/",
        "http://crm.localhost/callback",
    ],
)
def test_a_redirect_uri_is_accepted_as_it_stands(text: str) -> None:
    assert values.redirect_uri(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/callback",
        "//crm.acme.example/",
        "crm.acme.example",
        "http://crm.acme.example/",
        "http://localhost.evil.example/",
        "https://crm.acme.example/#x",
        "https://crm.acme.example/#",
        "https://*.acme.example/",
        "https://a@crm.acme.example/",
        "https:///callback",
        "https://crm.acme.example:99999/",
        "https://crm.acme.example/a b",
        "https://crm.acme.example\\@evil.example/",
        "https://crm.acme.example/\n",
        "https://[::1/",
        "javascript:alert(1)",
        "data:text/html,x",
        "com.example.app:/callback",
        "https://crm.acme.example/" + "a" * 2048,
    ],
)
def test_what_is_no_redirect_uri_is_refused(text: str) -> None:
    with pytest.raises(BadValue):
        values.redirect_uri(text)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("name_id", "name_id"),
        ("attribute: uid", "attribute: uid"),
        ("attribute:uid", "attribute: uid"),
        ("attribute: urn:oid:0.9.2342.19200300.100.1.1", "attribute: urn:oid:0.9.2342.19200300.100.1.1"),
        ("attribute: objectidentifier with tenantid", "attribute: objectidentifier with tenantid"),
    ],
)
def test_a_subject_rule_has_one_form(text: str, rule: str) -> None:
    assert values.subject_rule(text) == rule


@pytest.mark.parametrize("text", ["", "email", "attribute", "attribute:", "attribute: a b", "NAME_ID", "nameid: x"])
def test_what_is_no_subject_rule_is_refused(text: str) -> None:
    with pytest.raises(BadValue):
        values.subject_rule(text)


@pytest.mark.parametrize(
    "keys",
    [None, [], {}, {"keys": []}, {"keys": ["x"]}, {"keys": [{"kty": "oct", "k": "AQAB"}]}, {"keys": [{}]}]
    + [{"keys": [{"kty": "RSA", member: "AQAB"}]} for member in ("d", "p", "q", "dp", "dq", "qi", "oth", "k")],
)
def test_a_key_set_with_anything_but_public_keys_is_refused(keys: object) -> None:
    with pytest.raises(BadValue):
        values.key_set(keys)


@pytest.mark.parametrize("text", ["https://api.example/", "urn:acme:erp", "api://erp"])
def test_a_resource_identifier_is_an_absolute_uri(text: str) -> None:
    assert values.resource_identifier(text) == text


@pytest.mark.parametrize(
    "text", ["", "erp", "/erp", "https://api.example/#x", "https://api .example/", "urn:" + "a" * 512]
)
def test_what_is_no_resource_identifier_is_refused(text: str) -> None:
    with pytest.raises(BadValue):
        values.resource_identifier(text)


@pytest.mark.parametrize("text", ["openid", "email", "offline_access", "two words", ""])
def test_a_scope_of_a_resource_is_one_word_and_none_of_a_sign_on(text: str) -> None:
    assert values.resource_scope("orders.read") == "orders.read"
    with pytest.raises(BadValue):
        values.resource_scope(text)


def test_long_texts_and_certificates_are_printed_short() -> None:
    shown = values.printable({"metadata": "x" * 5_000, "certificates": [{"fingerprint": "ab", "der": "AA"}]})

    assert shown["metadata"].startswith("sha256:")
    assert shown["certificates"] == ["ab"]
