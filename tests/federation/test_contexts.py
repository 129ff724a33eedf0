"""Names of authentication contexts mean levels; stronger satisfies weaker; unknown ones are compared as they are."""

import pytest

from federation.contexts import canonical, in_words_of, satisfied, told

PASSWORD = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"
MFA = "https://refeds.org/profile/mfa"
MICROSOFT = "http://schemas.microsoft.com/claims/multipleauthn"


@pytest.mark.parametrize(
    ("reached", "asked", "expected"),
    [
        (MFA, [MFA], MFA),
        (MFA, [PASSWORD], PASSWORD),
        (MFA, [MICROSOFT], MICROSOFT),
        ("phr", [MFA], MFA),
        (PASSWORD, [MFA], None),
        (PASSWORD, [MFA, PASSWORD], PASSWORD),
        ("", [PASSWORD], None),
        ("urn:own", ["urn:own"], "urn:own"),
        ("urn:own", ["urn:other"], None),
        ("urn:own", [PASSWORD], None),
        (MFA, ["urn:own"], None),
        (MFA.upper(), [MFA], None),
    ],
)
def test_what_was_reached_satisfies_what_is_no_stronger(reached, asked, expected):
    assert satisfied(reached, asked) == expected


def test_an_application_is_told_its_own_word_or_the_truth():
    assert told(MFA, [MICROSOFT]) == MICROSOFT
    assert told(PASSWORD, [MFA]) == PASSWORD
    assert told(MFA, []) == MFA


def test_an_identity_providers_own_table_comes_first():
    assert canonical("urn:acme:otp", {"urn:acme:otp": "mfa"}) == MFA
    assert canonical(PASSWORD, {PASSWORD: "mfa"}) == MFA
    assert canonical("urn:acme:otp") == "urn:acme:otp"


def test_an_identity_provider_is_asked_in_its_own_words_weakest_first():
    table = {"urn:acme:key": "phishing_resistant", "urn:acme:otp": "mfa", "urn:acme:pwd": "password"}
    assert in_words_of(table, [MFA]) == ("urn:acme:otp", "urn:acme:key")
    assert in_words_of({}, [MFA]) == (MFA,)
    assert in_words_of(table, ["urn:unknown"]) == ("urn:unknown",)
    assert in_words_of(table, []) == ()
