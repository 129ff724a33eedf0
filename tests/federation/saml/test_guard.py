"""The guard's verdicts on whole answers: every honest shape beside every refusal (security.md's list)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from broker import limits
from federation.saml import names
from federation.saml.guard import IdentityProviderRefused, SubjectRule
from tests.fakes.fake_idp import FLAWS, PASSWORD, PERSISTENT, Draft, build_assertion, instant
from tests.fakes.saml_keys import key_pair
from tests.federation.saml.desk import ACS_URL, AUDIENCE, ENTITY_ID, NOW, REQUEST_ID, Desk

SIGN = ("response", "assertion", "both")


# --- What must be accepted ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("encrypt", [None, "gcm", "gcm128", "gcm192", "cbc", "cbc128"])
@pytest.mark.parametrize("sign", SIGN)
def test_honest_answer_is_accepted_however_signed_and_encrypted(desk: Desk, sign: str, encrypt: str | None) -> None:
    verified = desk.verify(desk.respond(sign=sign, encrypt=encrypt, attributes={"mail": "a@example.org"}))
    assert verified.subject == "alice"
    assert verified.attributes == {"mail": ("a@example.org",)}


def test_claims_are_those_of_the_assertion(desk: Desk) -> None:
    raw = desk.respond(
        sign="both",
        response_id="_response",
        assertion_id="_assertion",
        name_qualifier=ENTITY_ID,
        sp_name_qualifier=AUDIENCE,
        session_index="_s1",
        session_not_on_or_after=instant(NOW + timedelta(hours=8)),
        attributes={"urn:oid:2.5.4.42": "Alice", "groups": ["eng", "ops"]},
        friendly_names={"urn:oid:2.5.4.42": "givenName"},
    )
    verified = desk.verify(raw)
    assert (verified.issuer, verified.response_id, verified.assertion_id) == (ENTITY_ID, "_response", "_assertion")
    assert (verified.subject, verified.subject_format) == ("alice", PERSISTENT)
    assert verified.name_id is not None
    assert (verified.name_id.name_qualifier, verified.name_id.sp_name_qualifier) == (ENTITY_ID, AUDIENCE)
    assert verified.authenticated_at == NOW - timedelta(minutes=1)
    assert (verified.session_index, verified.context) == ("_s1", PASSWORD)
    assert verified.session_not_on_or_after == NOW + timedelta(hours=8)
    assert verified.attributes == {"urn:oid:2.5.4.42": ("Alice",), "groups": ("eng", "ops")}
    assert verified.friendly_names == {"urn:oid:2.5.4.42": "givenName"}


HONEST: dict[str, dict[str, Any]] = {
    "without KeyInfo": {"key_info": False},
    "pretty-printed": {"pretty": True},
    "with InclusiveNamespaces": {"prefix_list": "xs xsi", "attribute_type": "xs:string"},
    "with InclusiveNamespaces of the default namespace": {"prefix_list": "#default saml"},
    "with typed attributes": {"attribute_type": "xs:string"},
    "with a window of 70 minutes": {
        "not_before": instant(NOW - timedelta(minutes=5)),
        "not_on_or_after": instant(NOW + timedelta(minutes=65)),
    },
    "with an authentication of yesterday": {"authn_instant": instant(NOW - timedelta(days=1))},
    "with fractions of seconds": {"issue_instant": "2026-11-23T12:00:00.1234567Z"},
    "with a numeric offset": {"issue_instant": "2026-11-23T13:00:00+01:00"},
    "with times that name no zone": {"issue_instant": "2026-11-23T12:00:00"},
    "without Conditions' times": {
        "not_before": None,
        "not_on_or_after": None,
        "confirmation_not_on_or_after": instant(NOW + timedelta(minutes=5)),
    },
    "without an Issuer on the Response": {"response_issuer": None},
    "without SessionIndex": {"session_index": None},
    "without an authentication context class": {"context": None},
    "without attributes": {"attributes": {}},
    "with several audiences": {"audiences": ["https://other.example", AUDIENCE]},
    "with a second status code": {"status": ("Success", "urn:example:status:fine")},
    "with OneTimeUse": {"extra_condition": f'<saml:OneTimeUse xmlns:saml="{names.SAML}"/>'},
    "with ProxyRestriction": {"extra_condition": f'<saml:ProxyRestriction xmlns:saml="{names.SAML}" Count="0"/>'},
    "with SHA-384": {"signature_method": "rsa-sha384", "digest_method": "sha384"},
    "with SHA-512": {"signature_method": "rsa-sha512", "digest_method": "sha512"},
    "with text outside ASCII": {"name_id": "Ålesund 山田", "attributes": {"cn": "Zoë 🐘 & <b> ]]> \r\n\t"}},
}


@pytest.mark.parametrize("sign", SIGN)
@pytest.mark.parametrize("shape", HONEST)
def test_honest_answer_is_accepted(desk: Desk, shape: str, sign: str) -> None:
    raw = desk.respond(sign=sign, **HONEST[shape])
    assert desk.verify(raw).subject == HONEST[shape].get("name_id", "alice")


@pytest.mark.parametrize("kind", ["p256", "p384", "p521"])
@pytest.mark.parametrize("method", ["ecdsa-sha256", "ecdsa-sha384", "ecdsa-sha512"])
def test_elliptic_curve_signature_is_accepted(desk: Desk, kind: str, method: str) -> None:
    pair = key_pair(f"idp {kind}", kind=kind)
    raw = desk.respond(key=pair, signature_method=method)
    assert desk.verify(raw, verification_certificates=(pair.der,)).subject == "alice"


@pytest.mark.parametrize("order", ["old first", "new first"])
def test_both_certificates_verify_during_a_rollover(desk: Desk, order: str) -> None:
    new = key_pair("idp new key")
    certificates = (desk.idp.key.der, new.der) if order == "old first" else (new.der, desk.idp.key.der)
    for key in (desk.idp.key, new):
        assert desk.verify(desk.respond(key=key), verification_certificates=certificates).subject == "alice"


def test_expired_certificate_still_verifies_for_trust_is_its_registration(desk: Desk) -> None:
    old = key_pair("idp expired", expired=True)
    assert desk.verify(desk.respond(key=old), verification_certificates=(old.der,)).subject == "alice"


def test_attribute_may_be_the_subject_and_the_name_id_be_absent(desk: Desk) -> None:
    raw = desk.respond(subject=None, attributes={"urn:oasis:names:tc:SAML:attribute:subject-id": "a1@example.org"})
    verified = desk.verify(raw, subject=SubjectRule("urn:oasis:names:tc:SAML:attribute:subject-id"))
    assert (verified.subject, verified.name_id) == ("a1@example.org", None)


def test_unsigned_response_may_leave_its_destination_and_request_out(desk: Desk) -> None:
    raw = desk.respond(sign="assertion", destination=None)
    assert desk.verify(raw.replace(f' InResponseTo="{REQUEST_ID}"><saml:Issuer>'.encode(), b"><saml:Issuer>")).subject


def test_one_good_bearer_confirmation_among_others_is_enough(desk: Desk) -> None:
    def add_another(draft: Draft) -> Any:
        assertion = build_assertion(draft)
        subject = assertion.find("{*}Subject")
        other = subject.makeelement(f"{{{names.SAML}}}SubjectConfirmation", Method="urn:oasis:names:tc:SAML:2.0:cm:sv")
        subject.insert(1, other)
        return assertion

    raw = desk.respond(assertion_builder=add_another)
    assert desk.verify(raw).subject == "alice"


# --- What must be refused ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", SIGN)
@pytest.mark.parametrize("flaw", FLAWS)
def test_flaw_is_refused_with_its_code(desk: Desk, flaw: str, sign: str) -> None:
    assert desk.code(desk.respond(sign=sign, flaw=flaw)) == FLAWS[flaw]


SAID_INSIDE = {
    "wrong_audience",
    "expired",
    "not_yet_valid",
    "wrong_recipient",
    "wrong_issuer",
    "stale",
    "transient",
    "no_confirmation",
}


@pytest.mark.parametrize("sign", SIGN)
@pytest.mark.parametrize("encrypt", ["gcm", "cbc"])
@pytest.mark.parametrize("flaw", sorted(SAID_INSIDE))
def test_encryption_skips_no_check(desk: Desk, flaw: str, encrypt: str, sign: str) -> None:
    assert desk.code(desk.respond(sign=sign, encrypt=encrypt, flaw=flaw)) == FLAWS[flaw]


@pytest.mark.parametrize("sign", ["response", "both"])
def test_signed_response_needs_a_destination(desk: Desk, sign: str) -> None:
    assert desk.code(desk.respond(sign=sign, destination=None)) == "saml.destination"


@pytest.mark.parametrize("destination", [ACS_URL + "/", ACS_URL + "?x", ACS_URL.upper(), ACS_URL[:-1], ACS_URL + " "])
def test_destination_and_recipient_are_compared_letter_by_letter(desk: Desk, destination: str) -> None:
    assert desk.code(desk.respond(destination=destination)) == "saml.destination"
    assert desk.code(desk.respond(recipient=destination)) == "saml.recipient"


@pytest.mark.parametrize("issuer", [ENTITY_ID + "/", ENTITY_ID.upper(), " " + ENTITY_ID, ENTITY_ID + "\n", ""])
def test_issuer_is_compared_letter_by_letter(desk: Desk, issuer: str) -> None:
    assert desk.code(desk.respond(issuer=issuer, response_issuer=None)) == "saml.issuer"


def test_issuer_that_names_no_entity_is_refused(desk: Desk) -> None:
    def build(draft: Draft) -> Any:
        assertion = build_assertion(draft)
        assertion[0].set("Format", name_format)
        return assertion

    name_format = names.NAME_ID_ENTITY
    assert desk.verify(desk.respond(assertion_builder=build)).subject == "alice"
    name_format = names.NAME_ID_EMAIL
    assert desk.code(desk.respond(assertion_builder=build)) == "saml.issuer"


@pytest.mark.parametrize(
    ("field", "limit"), [("session_index", limits.SAML_NAME_ID_CHARS), ("context", limits.CONTEXT_CHARS)]
)
def test_identifiers_are_bounded(desk: Desk, field: str, limit: int) -> None:
    assert desk.verify(desk.respond(**{field: "x" * limit})).subject == "alice"
    assert desk.code(desk.respond(**{field: "x" * (limit + 1)})) == "saml.structure"


@pytest.mark.parametrize("field", ["response_id", "assertion_id"])
@pytest.mark.parametrize("value", ["", " _a", "_a b", "#a", "x" * 257, "xpointer(/)"])
def test_identifier_that_is_no_id_is_refused(desk: Desk, field: str, value: str) -> None:
    other = {"response_id": "assertion", "assertion_id": "response"}[field]
    assert desk.code(desk.respond(sign=other, **{field: value})) == "saml.structure"


@pytest.mark.parametrize("version", ["1.1", "2.1", "2", ""])
def test_other_version_is_refused(desk: Desk, version: str) -> None:
    raw = desk.respond(sign="none")
    wanted = f'Version="{version}"'.encode()
    for place in (b"<samlp:Response ", b"<saml:Assertion "):
        before, tag, behind = raw.partition(place)
        assert desk.code(before + tag + behind.replace(b'Version="2.0"', wanted, 1)) == "saml.structure"


def test_message_of_a_refusal_is_cut(desk: Desk) -> None:
    refusal = desk.refusal(desk.respond(status=("Responder",), status_message="x" * 5_000))
    assert len(refusal.detail) == limits.SAML_NAME_ID_CHARS


def test_issuer_of_the_assertion_is_judged_though_the_response_names_the_right_one(desk: Desk) -> None:
    raw = desk.respond(sign="both", issuer="https://other.example", response_issuer=ENTITY_ID)
    assert desk.code(raw) == "saml.issuer"


def test_every_audience_restriction_must_name_us(desk: Desk) -> None:
    tag = "saml:AudienceRestriction"
    second = f'<{tag} xmlns:saml="{names.SAML}"><saml:Audience>x</saml:Audience></{tag}>'
    assert desk.code(desk.respond(extra_condition=second)) == "saml.audience"


def test_second_certificate_of_another_identity_provider_does_not_verify(desk: Desk) -> None:
    other = key_pair("another identity provider")
    assert desk.code(desk.respond(), verification_certificates=(other.der,)) == "saml.signature"


def test_no_certificate_is_no_signature(desk: Desk) -> None:
    assert desk.code(desk.respond(), verification_certificates=()) == "saml.signature"


def test_bad_assertion_signature_is_refused_though_the_response_signature_holds(desk: Desk) -> None:
    raw = desk.respond(sign="both", inner_key=key_pair("somebody else"))
    assert desk.code(raw) == "saml.signature"


def test_bad_response_signature_is_refused_though_the_assertion_signature_holds(desk: Desk) -> None:
    raw = desk.respond(sign="both", key=key_pair("somebody else"), inner_key=desk.idp.key)
    assert desk.code(raw) == "saml.signature"


def test_sha1_passes_only_until_its_dated_exception_ends(desk: Desk) -> None:
    raw = desk.respond(flaw="sha1")
    assert desk.verify(raw, sha1_accepted_until=NOW.date()).subject == "alice"
    assert desk.code(raw, sha1_accepted_until=NOW.date() - timedelta(days=1)) == "saml.algorithm"


def test_refusal_by_the_identity_provider_carries_its_reason(desk: Desk) -> None:
    for sign in ("none", "response"):
        refusal = desk.refusal(desk.respond(flaw="refused", sign=sign))
        assert isinstance(refusal, IdentityProviderRefused)
        assert refusal.code == "saml.status"
        assert refusal.status_codes[1].endswith(":AuthnFailed")
        assert refusal.message == "The password was wrong."


def test_passive_refusal_can_be_told_from_others(desk: Desk) -> None:
    refusal = desk.refusal(desk.respond(sign="none", status=("Responder", "NoPassive")))
    assert isinstance(refusal, IdentityProviderRefused)
    assert names.STATUS_NO_PASSIVE in refusal.status_codes


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"in_response_to": "_other"}, "saml.in_response_to"),
        ({"destination": "https://other.example/acs"}, "saml.destination"),
        ({"response_issuer": "https://other.example"}, "saml.issuer"),
    ],
)
def test_refusal_for_somebody_else_is_not_taken_for_ours(desk: Desk, said: dict[str, Any], code: str) -> None:
    raw = desk.respond(sign="none", status=("Responder",), **said)
    assert desk.code(raw) == code


def test_signed_refusal_with_a_bad_signature_is_refused_as_that(desk: Desk) -> None:
    raw = desk.respond(flaw="refused", sign="response").replace(b"The password was wrong.", b"You are welcome.")
    assert desk.code(raw) == "saml.signature"


@pytest.mark.parametrize("status", ["", "urn:oasis:names:tc:SAML:2.0:status:success", "Success "])
def test_only_the_exact_success_opens_the_way(desk: Desk, status: str) -> None:
    assert desk.code(desk.respond(sign="both", status=(status or "urn:x:",), with_assertion=True)) == "saml.structure"


# --- Clocks ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [59, 60])
def test_clock_ahead_within_the_skew_is_accepted(desk: Desk, seconds: int) -> None:
    raw = desk.respond(now=NOW + timedelta(seconds=seconds), not_before=instant(NOW + timedelta(seconds=seconds)))
    assert desk.verify(raw).subject == "alice"


def test_clock_ahead_by_61_seconds_is_refused(desk: Desk) -> None:
    ahead = instant(NOW + timedelta(seconds=61))
    assert desk.code(desk.respond(not_before=ahead)) == "saml.not_yet_valid"
    assert desk.code(desk.respond(issue_instant=ahead)) == "saml.not_yet_valid"


@pytest.mark.parametrize("field", ["not_on_or_after", "confirmation_not_on_or_after", "session_not_on_or_after"])
def test_end_within_the_skew_is_accepted_and_beyond_it_refused(desk: Desk, field: str) -> None:
    assert desk.verify(desk.respond(**{field: instant(NOW - timedelta(seconds=59))})).subject == "alice"
    for seconds in (60, 61):  # "on or after": the end itself is outside
        assert desk.code(desk.respond(**{field: instant(NOW - timedelta(seconds=seconds))})) == "saml.expired"


@pytest.mark.parametrize(("conditions", "confirmation"), [(-61, 300), (300, -61)])
def test_conditions_and_confirmation_each_end_by_themselves(desk: Desk, conditions: int, confirmation: int) -> None:
    raw = desk.respond(
        not_on_or_after=instant(NOW + timedelta(seconds=conditions)),
        confirmation_not_on_or_after=instant(NOW + timedelta(seconds=confirmation)),
    )
    assert desk.code(raw) == "saml.expired"


def test_start_of_a_confirmation_is_obeyed_where_there_is_one(desk: Desk) -> None:
    def answer(seconds: int) -> bytes:
        def build(draft: Draft) -> Any:
            assertion = build_assertion(draft)
            start = instant(NOW + timedelta(seconds=seconds))
            assertion.find(".//{*}SubjectConfirmationData").set("NotBefore", start)
            return assertion

        return desk.respond(assertion_builder=build)

    assert desk.verify(answer(59)).subject == "alice"
    assert desk.code(answer(61)) == "saml.not_yet_valid"


def test_skew_is_a_setting_with_a_ceiling(desk: Desk) -> None:
    raw = desk.respond(not_on_or_after=instant(NOW - timedelta(seconds=170)))
    assert desk.verify(raw, skew=limits.SAML_SKEW_MAX).subject == "alice"
    with pytest.raises(ValueError, match="skew"):
        replace(desk.expectation, skew=limits.SAML_SKEW_MAX + timedelta(seconds=1))
    with pytest.raises(ValueError, match="skew"):
        replace(desk.expectation, skew=timedelta(seconds=-1))


@pytest.mark.parametrize("sign", SIGN)
def test_answer_of_ten_minutes_is_accepted_and_an_older_one_refused(desk: Desk, sign: str) -> None:
    assert desk.verify(desk.respond(sign=sign, issue_instant=instant(NOW - timedelta(minutes=10)))).subject == "alice"
    raw = desk.respond(sign=sign, issue_instant=instant(NOW - timedelta(minutes=10, seconds=1)))
    assert desk.code(raw) == "saml.stale"


def test_old_response_around_a_fresh_assertion_is_stale(desk: Desk) -> None:
    old, fresh = instant(NOW - timedelta(minutes=11)), instant(NOW)
    raw = desk.respond(issue_instant=old, assertion_issue_instant=fresh)
    assert desk.code(raw) == "saml.stale"


def test_old_assertion_in_a_fresh_response_is_stale(desk: Desk) -> None:
    raw = desk.respond(sign="both", assertion_issue_instant=instant(NOW - timedelta(minutes=11)))
    assert desk.code(raw) == "saml.stale"


def test_authentication_instant_counts_only_where_it_was_asked_for(desk: Desk) -> None:
    raw = desk.respond(authn_instant=instant(NOW - timedelta(minutes=5)))
    assert desk.verify(raw, authenticated_after=NOW - timedelta(minutes=6)).subject == "alice"
    assert desk.verify(raw, authenticated_after=NOW - timedelta(minutes=4, seconds=1)).subject == "alice"
    assert desk.code(raw, authenticated_after=NOW - timedelta(minutes=3)) == "saml.authentication_too_old"


def test_context_must_be_one_of_those_that_were_asked_for(desk: Desk) -> None:
    raw = desk.respond()
    assert desk.verify(raw, contexts=("urn:example:mfa", PASSWORD)).context == PASSWORD
    assert desk.code(raw, contexts=("urn:example:mfa",)) == "saml.context"
    assert desk.code(desk.respond(context=None), contexts=("urn:example:mfa",)) == "saml.context"


@pytest.mark.parametrize("field", ["issue_instant", "not_before", "not_on_or_after", "authn_instant"])
@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-11-23",
        "2026-13-23T12:00:00Z",
        "2026-11-23T12:00:60Z",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        "2026-11-23T12:00:00+99:00",
        "\N{FULLWIDTH DIGIT TWO}026-11-23T12:00:00Z",
        " 2026-11-23T12:00:00Z",
    ],
)
def test_time_that_is_none_is_refused_and_breaks_nothing(desk: Desk, field: str, text: str) -> None:
    assert desk.code(desk.respond(**{field: text})) == "saml.structure"


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"issue_instant": "0001-01-01T00:00:00Z"}, "saml.stale"),
        ({"issue_instant": "9999-12-31T23:59:59Z"}, "saml.not_yet_valid"),
        ({"not_before": "9999-12-31T23:59:59Z"}, "saml.not_yet_valid"),
        ({"not_on_or_after": "0001-01-01T00:00:00Z"}, "saml.expired"),
        ({"session_not_on_or_after": "0001-01-01T00:00:00Z"}, "saml.expired"),
    ],
)
def test_ends_of_the_calendar_are_times_like_others(desk: Desk, said: dict[str, Any], code: str) -> None:
    assert desk.code(desk.respond(**said)) == code


def test_assertion_without_end_is_accepted_while_it_is_young(desk: Desk) -> None:
    raw = desk.respond(not_before="0001-01-01T00:00:00Z", not_on_or_after="9999-12-31T23:59:59Z")
    assert desk.verify(raw).subject == "alice"
    assert desk.code(raw, now=NOW + timedelta(minutes=11)) == "saml.stale"


def test_assertion_is_remembered_longer_than_it_could_be_accepted(desk: Desk) -> None:
    raw = desk.respond(
        issue_instant=instant(NOW + timedelta(seconds=60)), not_on_or_after=instant(NOW + timedelta(days=1))
    )
    until = desk.verify(raw).valid_until
    assert desk.code(raw, now=until, skew=limits.SAML_SKEW_MAX) == "saml.stale"


# --- Expectations and traces -------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["issuer", "audience", "acs_url", "request_id"])
def test_expectation_cannot_be_empty(desk: Desk, field: str) -> None:
    with pytest.raises(ValueError, match=field):
        replace(desk.expectation, **{field: ""})


def test_expectation_needs_a_time_with_a_zone(desk: Desk) -> None:
    with pytest.raises(ValueError, match="zone"):
        replace(desk.expectation, now=datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None))


def test_trace_names_each_check_and_the_one_that_failed(desk: Desk) -> None:
    desk.verify(desk.respond())
    checks = [entry for entry in desk.trace.entries if entry["type"] == "check"]
    assert all(entry["passed"] for entry in checks)
    assert {"response signature signature value", "assertion audience", "subject subject text"} <= {
        entry["name"] for entry in checks
    }
    desk.refusal(desk.respond(flaw="wrong_audience"))
    failed = [entry for entry in desk.trace.entries if entry.get("passed") is False]
    assert [entry["name"] for entry in failed] == ["assertion audience"]
    assert failed[0]["expected"] == AUDIENCE
    assert "somebody-else" in failed[0]["actual"]


@pytest.mark.parametrize("flaw", FLAWS)
def test_every_refusal_leaves_exactly_one_failed_check_in_the_trace(desk: Desk, flaw: str) -> None:
    desk.refusal(desk.respond(flaw=flaw))
    assert [entry["passed"] for entry in desk.trace.entries if entry["type"] == "check"].count(False) == 1


@pytest.mark.parametrize(
    ("flaw", "check"),
    [
        ("sha1", "response signature signature method"),
        ("sha1_digest", "response signature digest method"),
        ("changed_subject", "response signature digest"),
        ("unknown_key", "response signature signature value"),
        ("two_assertions", "response children"),
        ("refused_with_assertion", "response one kind"),
        ("wrong_issuer", "response issuer"),
        ("wrong_recipient", "assertion bearer confirmation"),
        ("transient", "subject name id format"),
        ("unsigned", "signed"),
        ("refused", "status"),
        ("cut_off", "SAML answer is readable"),
    ],
)
def test_check_that_fails_is_the_one_that_says_what_is_wrong(desk: Desk, flaw: str, check: str) -> None:
    desk.refusal(desk.respond(flaw=flaw))
    assert [entry["name"] for entry in desk.trace.entries if entry.get("passed") is False] == [check]


def test_trace_shows_the_message_without_signatures_and_ciphertexts(desk: Desk) -> None:
    desk.verify(desk.respond(sign="both", encrypt="gcm"))
    messages = [entry["text"] for entry in desk.trace.entries if entry["type"] == "message"]
    assert len(messages) == 2
    assert "characters of cipher value" in messages[0]
    assert "characters of signature" in messages[1]
    assert "alice" in messages[1]
