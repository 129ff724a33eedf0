"""Signature wrapping: a true signature stays in the message, and somebody else's claims stand where they are read.

XSW 1 to 8 are the classic eight (Somorovsky et al., "On Breaking SAML", 2012); the rest came later. Each attack
is made by code out of an answer that the guard accepts.
"""

import base64
import copy
from collections.abc import Callable

import pytest
from lxml import etree

from tests.fakes.fake_idp import DS, NS, SAML, SAMLP, XENC, encrypt_element, sign_element, signing
from tests.fakes.saml_keys import key_pair
from tests.federation.saml.desk import Desk

Element = etree._Element
MORE = "http://www.w3.org/2001/04/xmldsig-more#"


@pytest.fixture
def desk() -> Desk:
    return Desk()


def one(root: Element, path: str) -> Element:
    found = root.find(path, NS)
    assert found is not None, path
    return found


def forge(element: Element, *, keep_id: bool = False) -> Element:
    """A copy of `element` that speaks of mallory and bears no signature."""
    forged = copy.deepcopy(element)
    forged.tail = None
    for signature in forged.findall(".//ds:Signature", NS):
        parent = signature.getparent()
        assert parent is not None
        parent.remove(signature)
    one(forged, ".//saml:NameID").text = "mallory"
    if not keep_id:
        forged.set("ID", "_forged")
    return forged


def take(element: Element) -> Element:
    """Take `element` out of its place."""
    parent = element.getparent()
    assert parent is not None
    parent.remove(element)
    element.tail = None
    return element


# --- The signed thing moves, a forged one takes its place --------------------------------------------------------


def xsw1_response_inside_its_signature(root: Element) -> Element:
    evil = forge(root)
    signature = copy.deepcopy(one(root, "ds:Signature"))
    original = copy.deepcopy(root)
    take(one(original, "ds:Signature"))
    signature.append(original)
    evil.insert(1, signature)
    return evil


def xsw2_response_before_its_signature(root: Element) -> Element:
    evil = forge(root)
    original = copy.deepcopy(root)
    signature = take(one(original, "ds:Signature"))
    evil.insert(1, original)
    evil.insert(2, signature)
    return evil


def xsw3_forged_assertion_first(root: Element) -> Element:
    root.insert(2, forge(one(root, "saml:Assertion")))
    return root


def xsw3_forged_assertion_last(root: Element) -> Element:
    root.append(forge(one(root, "saml:Assertion")))
    return root


def xsw4_signed_assertion_inside_the_forged_one(root: Element) -> Element:
    original = one(root, "saml:Assertion")
    evil = forge(original)
    take(original)
    evil.append(original)
    root.append(evil)
    return root


def xsw5_signature_in_the_forged_one_and_original_last(root: Element) -> Element:
    original = one(root, "saml:Assertion")
    evil = forge(original)
    evil.insert(1, take(one(original, "ds:Signature")))
    root.insert(list(root).index(original), evil)
    return root


def xsw6_original_inside_the_moved_signature(root: Element) -> Element:
    original = take(one(root, "saml:Assertion"))
    evil = forge(original)
    signature = take(one(original, "ds:Signature"))
    signature.append(original)
    evil.insert(1, signature)
    root.append(evil)
    return root


def xsw7_forged_assertion_in_extensions(root: Element) -> Element:
    extensions = etree.Element(f"{{{SAMLP}}}Extensions")
    extensions.append(forge(one(root, "saml:Assertion"), keep_id=True))
    root.insert(1, extensions)
    return root


def xsw8_original_in_an_object(root: Element) -> Element:
    original = take(one(root, "saml:Assertion"))
    evil = forge(original)
    signature = take(one(original, "ds:Signature"))
    holder = etree.SubElement(signature, f"{{{DS}}}Object")
    holder.append(original)
    evil.insert(1, signature)
    root.append(evil)
    return root


def _hidden_in(path_of_holder: Callable[[Element], Element]) -> Callable[[Element], Element]:
    """The original, signature and all, inside some corner of the forged assertion, which takes its ID too."""

    def attack(root: Element) -> Element:
        original = take(one(root, "saml:Assertion"))
        evil = forge(original, keep_id=True)
        path_of_holder(evil).append(original)
        root.append(evil)
        return root

    return attack


def _add(parent: Element, name: str) -> Element:
    return etree.SubElement(parent, f"{{{SAML}}}{name}")


hidden_in_advice = _hidden_in(lambda evil: _add(evil, "Advice"))
hidden_in_confirmation = _hidden_in(lambda evil: one(evil, ".//saml:SubjectConfirmationData"))
hidden_in_attribute_value = _hidden_in(lambda evil: one(evil, ".//saml:AttributeValue"))
hidden_in_context = _hidden_in(lambda evil: one(evil, ".//saml:AuthnContext"))
hidden_in_name_id = _hidden_in(lambda evil: one(evil, ".//saml:NameID"))


def hidden_in_status_detail(root: Element) -> Element:
    original = one(root, "saml:Assertion")
    evil = forge(original, keep_id=True)
    detail = etree.SubElement(one(root, "samlp:Status"), f"{{{SAMLP}}}StatusDetail")
    detail.append(take(original))
    root.append(evil)
    return root


def hidden_in_key_info(root: Element) -> Element:
    original = one(root, "saml:Assertion")
    signature = copy.deepcopy(one(original, "ds:Signature"))
    evil = forge(original)
    one(signature, "ds:KeyInfo").append(take(original))
    evil.insert(1, signature)
    root.append(evil)
    return root


def signature_of_the_assertion_at_the_response(root: Element) -> Element:
    signature = take(one(root, "saml:Assertion/ds:Signature"))
    one(root, ".//saml:NameID").text = "mallory"
    root.insert(1, signature)
    return root


def signature_deeper_in_the_assertion(root: Element) -> Element:
    one(root, "saml:Assertion/saml:Subject").append(take(one(root, "saml:Assertion/ds:Signature")))
    return root


def signature_in_extensions(root: Element) -> Element:
    extensions = etree.Element(f"{{{SAMLP}}}Extensions")
    extensions.append(take(one(root, "saml:Assertion/ds:Signature")))
    root.insert(1, extensions)
    return root


def second_signature_beside_the_first(root: Element) -> Element:
    signature = one(root, "saml:Assertion/ds:Signature")
    signature.addnext(copy.deepcopy(signature))
    return root


def same_id_on_the_forged_one(root: Element) -> Element:
    root.append(forge(one(root, "saml:Assertion"), keep_id=True))
    return root


def same_id_spelt_otherwise(root: Element) -> Element:
    original = one(root, "saml:Assertion")
    _add(_add(original, "Advice"), "Note").set("Id", str(original.get("ID")))
    return root


def same_id_as_xml_id(root: Element) -> Element:
    original = one(root, "saml:Assertion")
    one(root, "samlp:Status").set("{http://www.w3.org/XML/1998/namespace}id", str(original.get("ID")))
    return root


def encrypted_beside_plain(root: Element) -> Element:
    wrapper = _add(root, "EncryptedAssertion")
    alone = etree.fromstring(etree.tostring(forge(one(root, "saml:Assertion"))))
    wrapper.append(encrypt_element(alone, key_pair("service provider encryption").der))
    return root


def wrapped_in_another_root(root: Element) -> Element:
    outer = etree.Element(f"{{{SAMLP}}}ArtifactResponse", nsmap={"samlp": SAMLP, "saml": SAML})
    outer.append(root)
    return outer


def wrapped_in_soap(root: Element) -> Element:
    outer = etree.Element("{http://schemas.xmlsoap.org/soap/envelope/}Envelope")
    etree.SubElement(outer, "{http://schemas.xmlsoap.org/soap/envelope/}Body").append(root)
    return outer


def bare_assertion(root: Element) -> Element:
    return etree.fromstring(etree.tostring(one(root, "saml:Assertion"), with_tail=False))


def response_of_another_namespace(root: Element) -> Element:
    root.tag = "{urn:oasis:names:tc:SAML:1.0:protocol}Response"
    return root


def forged_assertion_of_another_namespace(root: Element) -> Element:
    evil = forge(one(root, "saml:Assertion"))
    for element in evil.iter():
        element.tag = str(element.tag).replace("SAML:2.0:assertion", "SAML:1.0:assertion")
    root.insert(2, evil)
    return root


def assertion_in_an_unknown_wrapper(root: Element) -> Element:
    wrapper = etree.SubElement(root, "{urn:example}Wrapper")
    wrapper.append(take(one(root, "saml:Assertion")))
    return root


ASSERTION_ATTACKS = [
    xsw3_forged_assertion_first,
    xsw3_forged_assertion_last,
    xsw4_signed_assertion_inside_the_forged_one,
    xsw5_signature_in_the_forged_one_and_original_last,
    xsw6_original_inside_the_moved_signature,
    xsw7_forged_assertion_in_extensions,
    xsw8_original_in_an_object,
    hidden_in_status_detail,
    hidden_in_key_info,
    signature_of_the_assertion_at_the_response,
    signature_deeper_in_the_assertion,
    signature_in_extensions,
    second_signature_beside_the_first,
    same_id_on_the_forged_one,
    same_id_spelt_otherwise,
    same_id_as_xml_id,
    encrypted_beside_plain,
    wrapped_in_another_root,
    wrapped_in_soap,
    bare_assertion,
    response_of_another_namespace,
    forged_assertion_of_another_namespace,
    assertion_in_an_unknown_wrapper,
]
HIDDEN = {
    "advice": hidden_in_advice,
    "confirmation": hidden_in_confirmation,
    "attribute value": hidden_in_attribute_value,
    "context": hidden_in_context,
    "name id": hidden_in_name_id,
}


@pytest.mark.parametrize("sign", ["assertion", "both"])
@pytest.mark.parametrize("attack", ASSERTION_ATTACKS, ids=lambda attack: attack.__name__)
def test_wrapped_assertion_is_refused(desk: Desk, attack: Callable[[Element], Element], sign: str) -> None:
    raw = desk.respond(sign=sign)
    assert desk.verify(raw).subject == "alice"
    assert desk.code(etree.tostring(attack(etree.fromstring(raw)))) == "saml.structure"


@pytest.mark.parametrize("place", HIDDEN)
def test_assertion_hidden_in_a_forged_one_is_refused(desk: Desk, place: str) -> None:
    raw = etree.tostring(HIDDEN[place](etree.fromstring(desk.respond(sign="assertion"))))
    assert desk.code(raw) == "saml.structure"


@pytest.mark.parametrize("attack", [xsw1_response_inside_its_signature, xsw2_response_before_its_signature])
def test_wrapped_response_is_refused(desk: Desk, attack: Callable[[Element], Element]) -> None:
    raw = etree.tostring(attack(etree.fromstring(desk.respond(sign="response"))))
    assert desk.code(raw) == "saml.structure"


# --- The signature itself is bent --------------------------------------------------------------------------------


def _set(path: str, name: str, value: str | None) -> Callable[[Element], None]:
    def change(signature: Element) -> None:
        element = one(signature, path)
        if value is None:
            del element.attrib[name]
        else:
            element.set(name, value)

    return change


def two_references(signature: Element) -> None:
    reference = one(signature, "ds:SignedInfo/ds:Reference")
    reference.addnext(copy.deepcopy(reference))


def no_reference(signature: Element) -> None:
    take(one(signature, "ds:SignedInfo/ds:Reference"))


def foreign_in_signed_info(signature: Element) -> None:
    etree.SubElement(one(signature, "ds:SignedInfo"), "{urn:example}Thing")


def foreign_in_reference(signature: Element) -> None:
    etree.SubElement(one(signature, ".//ds:Reference"), "{urn:example}Thing")


def with_object(signature: Element) -> None:
    etree.SubElement(signature, f"{{{DS}}}Object")


def with_manifest(signature: Element) -> None:
    etree.SubElement(etree.SubElement(signature, f"{{{DS}}}Object"), f"{{{DS}}}Manifest")


def _transform(algorithm: str, position: int = 1, text: str = "") -> Callable[[Element], None]:
    def change(signature: Element) -> None:
        transform = etree.Element(f"{{{DS}}}Transform", Algorithm=algorithm)
        if text:
            etree.SubElement(transform, f"{{{DS}}}XPath").text = text
        one(signature, ".//ds:Transforms").insert(position, transform)

    return change


def reversed_transforms(signature: Element) -> None:
    transforms = one(signature, ".//ds:Transforms")
    transforms.append(transforms[0])


def no_transforms(signature: Element) -> None:
    take(one(signature, ".//ds:Transforms"))


def no_enveloped_transform(signature: Element) -> None:
    transforms = one(signature, ".//ds:Transforms")
    transforms.remove(transforms[0])


def truncated_hmac(signature: Element) -> None:
    method = one(signature, ".//ds:SignatureMethod")
    method.set("Algorithm", MORE + "hmac-sha256")
    etree.SubElement(method, f"{{{DS}}}HMACOutputLength").text = "0"


def digest_parameters(signature: Element) -> None:
    etree.SubElement(one(signature, ".//ds:DigestMethod"), "{urn:example}Salt")


def foreign_key_info(signature: Element) -> None:
    etree.SubElement(one(signature, "ds:KeyInfo"), "{urn:example}Key")


def key_info_elsewhere(signature: Element) -> None:
    etree.SubElement(one(signature, "ds:KeyInfo"), f"{{{DS}}}RetrievalMethod", URI="http://169.254.169.254/key")


def encrypted_key_info(signature: Element) -> None:
    etree.SubElement(one(signature, "ds:KeyInfo"), f"{{{XENC}}}EncryptedKey")


STRUCTURE = "saml.structure"
ALGORITHM = "saml.algorithm"
BENT: dict[str, tuple[Callable[[Element], None], str]] = {
    "two references": (two_references, STRUCTURE),
    "no reference": (no_reference, STRUCTURE),
    "foreign element in SignedInfo": (foreign_in_signed_info, STRUCTURE),
    "foreign element in Reference": (foreign_in_reference, STRUCTURE),
    "empty URI": (_set(".//ds:Reference", "URI", ""), STRUCTURE),
    "no URI": (_set(".//ds:Reference", "URI", None), STRUCTURE),
    "URI of another element": (_set(".//ds:Reference", "URI", "#_other"), STRUCTURE),
    "URI by xpointer": (_set(".//ds:Reference", "URI", "#xpointer(/)"), STRUCTURE),
    "URI outside": (_set(".//ds:Reference", "URI", "http://example.org/"), STRUCTURE),
    "object": (with_object, STRUCTURE),
    "manifest": (with_manifest, STRUCTURE),
    "XSLT": (_transform("http://www.w3.org/TR/1999/REC-xslt-19991116"), STRUCTURE),
    "XPath": (_transform("http://www.w3.org/TR/1999/REC-xpath-19991116", text="true()"), STRUCTURE),
    "XPath filter": (_transform("http://www.w3.org/2002/06/xmldsig-filter2", text="/"), STRUCTURE),
    "base64": (_transform(DS + "base64", 0), STRUCTURE),
    "enveloped twice": (_transform(DS + "enveloped-signature"), STRUCTURE),
    "reversed transforms": (reversed_transforms, STRUCTURE),
    "no transforms": (no_transforms, STRUCTURE),
    "no enveloped transform": (no_enveloped_transform, STRUCTURE),
    "foreign element in KeyInfo": (foreign_key_info, STRUCTURE),
    "key to be fetched": (key_info_elsewhere, STRUCTURE),
    "encrypted key in KeyInfo": (encrypted_key_info, STRUCTURE),
    "truncated HMAC": (truncated_hmac, STRUCTURE),
    "parameters of a digest": (digest_parameters, STRUCTURE),
    "HMAC": (_set(".//ds:SignatureMethod", "Algorithm", MORE + "hmac-sha256"), ALGORITHM),
    "HMAC-SHA1": (_set(".//ds:SignatureMethod", "Algorithm", DS + "hmac-sha1"), ALGORITHM),
    "RSA-MD5": (_set(".//ds:SignatureMethod", "Algorithm", MORE + "rsa-md5"), ALGORITHM),
    "DSA": (_set(".//ds:SignatureMethod", "Algorithm", DS + "dsa-sha1"), ALGORITHM),
    "no method": (_set(".//ds:SignatureMethod", "Algorithm", ""), ALGORITHM),
    "MD5 digest": (_set(".//ds:DigestMethod", "Algorithm", MORE + "md5"), ALGORITHM),
    "inclusive C14N": (
        _set(".//ds:CanonicalizationMethod", "Algorithm", "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"),
        ALGORITHM,
    ),
    "other method for another key": (
        _set(".//ds:SignatureMethod", "Algorithm", MORE + "ecdsa-sha256"),
        "saml.signature",
    ),
    "other hash": (_set(".//ds:SignatureMethod", "Algorithm", MORE + "rsa-sha512"), "saml.signature"),
}


@pytest.mark.parametrize("sign", ["response", "assertion"])
@pytest.mark.parametrize("name", BENT)
def test_bent_signature_is_refused(desk: Desk, name: str, sign: str) -> None:
    bend, code = BENT[name]
    root = etree.fromstring(desk.respond(sign=sign))
    bend(one(root, ".//ds:Signature"))
    assert desk.code(etree.tostring(root)) == code


@pytest.mark.parametrize(
    ("name", "check"),
    [
        ("two references", "one reference"),
        ("no reference", "one reference"),
        ("no transforms", "reference children"),
        ("HMAC", "signature method"),
        ("MD5 digest", "digest method"),
    ],
)
def test_bent_signature_is_refused_before_anything_is_computed(desk: Desk, name: str, check: str) -> None:
    root = etree.fromstring(desk.respond())
    BENT[name][0](one(root, ".//ds:Signature"))
    desk.refusal(etree.tostring(root))
    assert desk.trace.entries[-1]["name"] == f"response signature {check}"


@pytest.mark.parametrize("value", ["", "AAAA", "A", "!!!!", "AAAA====", "\N{GREEK SMALL LETTER ALPHA}AAA"])
@pytest.mark.parametrize("path", [".//ds:SignatureValue", ".//ds:DigestValue"])
def test_value_that_is_no_signature_is_refused(desk: Desk, path: str, value: str) -> None:
    root = etree.fromstring(desk.respond())
    one(root, path).text = value
    assert desk.code(etree.tostring(root)) in ("saml.structure", "saml.signature")


def test_key_in_the_message_is_never_used(desk: Desk) -> None:
    mallory = key_pair("mallory")
    raw = desk.respond(key=mallory, key_info=True, subject="mallory")
    assert base64.b64encode(mallory.der)[:40] in raw.replace(b"\n", b"")
    assert desk.code(raw) == "saml.signature"


@pytest.mark.parametrize("position", ["before", "after"])
def test_certificate_of_the_true_key_beside_a_forged_signature_is_never_trusted(desk: Desk, position: str) -> None:
    root = etree.fromstring(desk.respond(key=key_pair("mallory")))
    holder = one(root, ".//ds:X509Data")
    true = etree.Element(f"{{{DS}}}X509Certificate")
    true.text = base64.b64encode(desk.idp.key.der).decode()
    holder.insert(0 if position == "before" else 1, true)
    assert desk.code(etree.tostring(root)) == "saml.signature"


def test_hmac_made_with_the_public_key_is_refused(desk: Desk) -> None:
    # What a verifier that lets the message choose the algorithm would accept.
    root = etree.fromstring(desk.respond(sign="none"))
    sign_element(root, signing(desk.idp.key, method="hmac-sha256"))
    assert desk.code(etree.tostring(root)) == "saml.algorithm"


@pytest.mark.parametrize("kind", ["p256", "p384"])
def test_ecdsa_signature_in_another_encoding_is_refused(desk: Desk, kind: str) -> None:
    pair = key_pair(f"idp {kind}", kind=kind)
    root = etree.fromstring(desk.respond(key=pair, signature_method="ecdsa-sha256"))
    value = base64.b64decode("".join((one(root, ".//ds:SignatureValue").text or "").split()))
    for bent in (
        value + b"\0",
        b"\0" + value,
        value[:-1],
        bytes(len(value)),
        b"\0" * 2 + value,
        value[: len(value) // 2],
    ):
        one(root, ".//ds:SignatureValue").text = base64.b64encode(bent).decode()
        assert desk.code(etree.tostring(root), verification_certificates=(pair.der,)) == "saml.signature"


def test_rsa_key_below_2048_bits_is_refused_though_its_signature_holds(desk: Desk) -> None:
    weak = key_pair("weak", bits=1024)
    assert desk.code(desk.respond(key=weak), verification_certificates=(weak.der,)) == "saml.algorithm"


def test_weak_certificate_does_not_stand_in_the_way_of_a_good_one(desk: Desk) -> None:
    weak = key_pair("weak", bits=1024)
    certificates = (weak.der, desk.idp.key.der)
    assert desk.verify(desk.respond(), verification_certificates=certificates).subject == "alice"
    assert desk.code(desk.respond(key=weak), verification_certificates=certificates) == "saml.signature"


# --- What is said between the lines ------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", ["response", "assertion", "both"])
@pytest.mark.parametrize("path", [".//saml:NameID", ".//saml:AttributeValue", ".//saml:Audience", ".//saml:Issuer"])
def test_comment_cannot_cut_a_signed_text(desk: Desk, path: str, sign: str) -> None:
    root = etree.fromstring(desk.respond(sign=sign, subject="alice@example.org.mallory.example"))
    element = one(root, path)
    comment = etree.Comment("")
    comment.tail, element.text = (element.text or "")[5:], (element.text or "")[:5]
    element.append(comment)
    assert desk.code(etree.tostring(root)) == "saml.comment"


def test_comment_between_documents_parts_is_refused_too(desk: Desk) -> None:
    raw = desk.respond()
    assert desk.code(b"<!-- a -->" + raw) == "saml.comment"
    assert desk.code(raw + b"<!-- a -->") == "saml.comment"
    assert desk.code(b"<?a b?>" + raw) == "saml.processing_instruction"


def test_text_in_two_pieces_is_read_whole(desk: Desk) -> None:
    raw = desk.respond().replace(b">alice<", b">al<![CDATA[ice]]><")
    assert desk.verify(raw).subject == "alice"


def test_child_in_a_name_id_is_refused(desk: Desk) -> None:
    raw = desk.respond(sign="none", subject="alice")
    root = etree.fromstring(raw)
    name_id = one(root, ".//saml:NameID")
    etree.SubElement(name_id, "{urn:example}x").tail = "@example.org"
    sign_element(root, signing(desk.idp.key))
    assert desk.code(etree.tostring(root)) == "saml.structure"


def test_text_behind_the_signature_is_signed_too(desk: Desk) -> None:
    raw = desk.respond(sign="assertion")
    assert desk.code(raw.replace(b"</ds:Signature>", b"</ds:Signature> ")) == "saml.signature"


@pytest.mark.parametrize("sign", ["response", "both"])
def test_namespace_changed_outside_the_prefix_list_changes_nothing(desk: Desk, sign: str) -> None:
    raw = desk.respond(sign=sign)
    changed = raw.replace(b"<samlp:Response ", b'<samlp:Response xmlns:x="urn:example:x" ', 1)
    assert desk.verify(changed) == desk.verify(raw)


def test_namespace_of_the_prefix_list_is_signed(desk: Desk) -> None:
    raw = desk.respond(sign="response", prefix_list="xs", attribute_type="xs:string")
    assert desk.verify(raw).subject == "alice"
    changed = raw.replace(b'xmlns:xs="http://www.w3.org/2001/XMLSchema"', b'xmlns:xs="urn:example:x"')
    assert desk.code(changed) == "saml.signature"


def test_prefix_bound_to_another_namespace_is_refused(desk: Desk) -> None:
    raw = desk.respond(sign="response")
    assert desk.code(raw.replace(SAML.encode(), b"urn:oasis:names:tc:SAML:2.0:assertions")) == "saml.structure"


def test_relative_namespace_breaks_nothing(desk: Desk) -> None:
    raw = desk.respond(sign="response").replace(b"<saml:Subject>", b'<saml:Subject xmlns:r="relative">')
    assert desk.code(raw) in ("saml.structure", "saml.signature")


def test_unsigned_part_around_a_signed_assertion_gives_no_claim(desk: Desk) -> None:
    raw = desk.respond(sign="assertion", response_id="_before")
    assert desk.verify(raw.replace(b"_before", b"_after")) == desk.verify(raw)
