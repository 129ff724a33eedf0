"""The public catalogue of refusal codes: what each means, who can mend it, and how.

A code is stable: once published it is neither renamed nor given another meaning.
`docs/refusals.md` is written from this table (`manage.py write_docs`).
"""

from dataclasses import dataclass
from enum import StrEnum


class Mender(StrEnum):
    """Who can mend the cause of a refusal."""

    PERSON = "you"
    APPLICATION = "the application's team"
    IDENTITY_PROVIDER = "the identity provider's team"
    OPERATOR = "Countersign's operators"


@dataclass(frozen=True, slots=True)
class Refusal:
    """One row of the catalogue."""

    code: str
    status: int
    meaning: str
    mender: Mender
    remedy: str


_PERSON, _APP, _IDP, _OPS = Mender.PERSON, Mender.APPLICATION, Mender.IDENTITY_PROVIDER, Mender.OPERATOR

CATALOGUE: tuple[Refusal, ...] = (
    # SAML as a service provider (federation/saml/guard.py and federation/upstream/saml.py)
    Refusal(
        "saml.too_large",
        413,
        "The identity provider's answer is larger than 256 KiB.",
        _IDP,
        "Send fewer attributes, group memberships above all.",
    ),
    Refusal(
        "saml.encoding",
        400,
        "The identity provider's answer is not valid base64 or not UTF-8 XML.",
        _IDP,
        "Send the answer by HTTP-POST as base64 of UTF-8 XML, uncompressed.",
    ),
    Refusal(
        "saml.malformed",
        400,
        "The identity provider's answer is not well-formed XML.",
        _IDP,
        "Look at the message in the trace; a proxy may have changed it.",
    ),
    Refusal(
        "saml.doctype",
        400,
        "The answer contains a document type declaration or an entity.",
        _IDP,
        "Send XML without DOCTYPE and entities.",
    ),
    Refusal(
        "saml.processing_instruction",
        400,
        "The answer contains a processing instruction.",
        _IDP,
        "Send XML without processing instructions.",
    ),
    Refusal("saml.comment", 400, "The answer contains an XML comment.", _IDP, "Send XML without comments."),
    Refusal(
        "saml.structure",
        400,
        "The answer is not built as SAML allows; it may have been rearranged.",
        _IDP,
        "Send one Response with exactly one assertion, each signature a direct child of what it signs.",
    ),
    Refusal(
        "saml.algorithm",
        400,
        "The answer is signed or encrypted with an algorithm that is not accepted.",
        _IDP,
        "Sign with RSA or ECDSA and SHA-256 or stronger; encrypt with AES and RSA-OAEP.",
    ),
    Refusal(
        "saml.unsigned",
        400,
        "Neither the answer nor its assertion is signed.",
        _IDP,
        "Sign the response, the assertion or both.",
    ),
    Refusal(
        "saml.signature",
        400,
        "A signature does not fit the keys that this identity provider registered.",
        _IDP,
        "Compare the signing certificate with the one in the console; after a rollover, send the new metadata.",
    ),
    Refusal(
        "saml.decryption",
        400,
        "The encrypted assertion could not be opened and verified.",
        _IDP,
        "Encrypt for the certificate in our current metadata, and sign inside the encryption.",
    ),
    Refusal(
        "saml.issuer",
        400,
        "The answer comes from another issuer than the one that was asked.",
        _IDP,
        "Compare the entityID in the trace with the one registered here.",
    ),
    Refusal(
        "saml.destination",
        400,
        "The answer is addressed to another place.",
        _IDP,
        "Load our metadata again: Destination must be our assertion consumer service.",
    ),
    Refusal(
        "saml.recipient",
        400,
        "The assertion is confirmed for another recipient.",
        _IDP,
        "Load our metadata again: Recipient must be our assertion consumer service.",
    ),
    Refusal(
        "saml.in_response_to",
        400,
        "The answer belongs to another request.",
        _PERSON,
        "Start the sign-on again from the application.",
    ),
    Refusal(
        "saml.audience",
        400,
        "The assertion is meant for another service provider.",
        _IDP,
        "Set the audience to our entityID as it stands in our metadata.",
    ),
    Refusal(
        "saml.expired",
        400,
        "The assertion is no longer valid.",
        _IDP,
        "Compare the clocks of both sides; then start again.",
    ),
    Refusal(
        "saml.not_yet_valid",
        400,
        "The assertion is not valid yet.",
        _IDP,
        "Compare the clocks: the identity provider's seems to be ahead.",
    ),
    Refusal(
        "saml.stale",
        400,
        "The answer was issued too long ago.",
        _PERSON,
        "Start the sign-on again from the application.",
    ),
    Refusal(
        "saml.authentication_too_old",
        400,
        "A fresh authentication was asked for, and an older one came.",
        _IDP,
        "Obey ForceAuthn and send the true AuthnInstant.",
    ),
    Refusal(
        "saml.context",
        400,
        "The way of authentication that was asked for was not reached.",
        _IDP,
        "Map the requested authentication context, or relax the application's demand.",
    ),
    Refusal(
        "saml.confirmation",
        400,
        "The assertion has no usable bearer confirmation.",
        _IDP,
        "Send a bearer SubjectConfirmation with Recipient, InResponseTo and NotOnOrAfter.",
    ),
    Refusal(
        "saml.subject",
        400,
        "The answer names no usable subject.",
        _IDP,
        "Release the NameID or the attribute that the subject rule of this identity provider names.",
    ),
    Refusal(
        "saml.attributes",
        400,
        "The answer carries too many or too large attributes.",
        _IDP,
        "Release fewer attributes.",
    ),
    Refusal(
        "saml.status",
        403,
        "The identity provider refused the sign-on.",
        _IDP,
        "The trace shows its status and message.",
    ),
    Refusal(
        "saml.replayed",
        400,
        "This answer was used before.",
        _PERSON,
        "Start the sign-on again from the application.",
    ),
    Refusal(
        "saml.unsolicited",
        400,
        "An answer came that nobody asked for, or too late.",
        _PERSON,
        "Start the sign-on again from the application.",
    ),
    Refusal(
        "saml.metadata",
        400,
        "The metadata is not usable.",
        _IDP,
        "Send SAML 2.0 metadata with the role, its endpoints and a signing certificate.",
    ),
    # Accounts and authority
    Refusal(
        "authority.scope",
        403,
        "The identity provider spoke for a domain that is not its organisation's.",
        _OPS,
        "If the domain is the organisation's, prove it in the console; else mend the identity provider.",
    ),
    Refusal(
        "authority.identifier_taken",
        403,
        "This e-mail or name already belongs to another person.",
        _OPS,
        "Compare both people in the console; the one who left may have to give it up.",
    ),
    Refusal(
        "account.unknown",
        403,
        "No account is known for this sign-on, and none may be made.",
        _OPS,
        "Create the person first, or allow new people for this identity provider.",
    ),
    Refusal("account.inactive", 403, "This account is closed.", _OPS, "Open the account again if that is right."),
    Refusal(
        "account.organisation",
        403,
        "This account belongs to another organisation.",
        _OPS,
        "Link the account to an identity provider of its own organisation.",
    ),
    # The sign-on under way
    Refusal(
        "signon.unknown",
        400,
        "This sign-on is not known or already over.",
        _PERSON,
        "Start again from the application.",
    ),
    Refusal("signon.expired", 400, "This sign-on took too long.", _PERSON, "Start again from the application."),
    Refusal(
        "signon.other_browser",
        400,
        "The answer came to a browser that did not start this sign-on.",
        _PERSON,
        "Allow cookies for this site and start again from the application.",
    ),
    Refusal(
        "signon.no_identity_provider",
        400,
        "No identity provider is known for this sign-on.",
        _OPS,
        "Register the e-mail domain with an identity provider, or enable one.",
    ),
    Refusal(
        "signon.identity_provider_disabled",
        403,
        "This identity provider is switched off.",
        _OPS,
        "Enable it in the console.",
    ),
    Refusal(
        "signon.application_disabled",
        403,
        "This application is switched off.",
        _OPS,
        "Enable it in the console.",
    ),
    Refusal(
        "signon.context_not_reached",
        403,
        "The sign-on was not as strong as the application demands.",
        _IDP,
        "Let the identity provider ask for the second factor, and say so in its authentication context.",
    ),
    Refusal(
        "signon.bad_parameter",
        400,
        "A parameter of the request is not usable.",
        _APP,
        "The trace names the parameter.",
    ),
    Refusal(
        "signon.return_target",
        400,
        "The place to return to is not one of ours.",
        _APP,
        "Send no RelayState, or a target that is registered.",
    ),
    # OAuth and OpenID Connect
    Refusal(
        "oauth.invalid_request",
        400,
        "A parameter is missing, repeated or malformed.",
        _APP,
        "The trace names the parameter.",
    ),
    Refusal(
        "oauth.unknown_client",
        400,
        "This client is not registered.",
        _APP,
        "Compare the client_id with the console.",
    ),
    Refusal(
        "oauth.redirect_uri",
        400,
        "The redirect_uri is not registered for this client.",
        _APP,
        "Register it exactly as it is sent, letter by letter.",
    ),
    Refusal(
        "oauth.unsupported_response_type",
        400,
        "Only the authorization code flow is offered.",
        _APP,
        "Send response_type=code.",
    ),
    Refusal("oauth.response_mode", 400, "This response_mode is not offered.", _APP, "Use query or form_post."),
    Refusal(
        "oauth.pkce_required",
        400,
        "This client must send a PKCE code_challenge with S256.",
        _APP,
        "Send code_challenge and code_challenge_method=S256.",
    ),
    Refusal("oauth.nonce_required", 400, "A client without PKCE must send a nonce.", _APP, "Send nonce."),
    Refusal(
        "oauth.invalid_scope",
        400,
        "A scope is unknown or not allowed for this client.",
        _APP,
        "Ask for openid and scopes that the console lists for the client.",
    ),
    Refusal(
        "oauth.request_object",
        400,
        "Request objects and request_uri are not accepted.",
        _APP,
        "Send plain parameters.",
    ),
    Refusal(
        "oauth.login_required",
        400,
        "prompt=none was asked, but a sign-on page is needed.",
        _APP,
        "Send the person without prompt=none.",
    ),
    Refusal(
        "oauth.invalid_client",
        401,
        "The client did not authenticate.",
        _APP,
        "Compare client_id, secret and authentication method with the console.",
    ),
    Refusal(
        "oauth.unsupported_grant_type",
        400,
        "This grant_type is not offered.",
        _APP,
        "Use authorization_code or refresh_token.",
    ),
    Refusal(
        "oauth.unauthorized_client",
        400,
        "This client may not use this grant.",
        _APP,
        "Allow the grant for the client in the console.",
    ),
    Refusal(
        "oauth.invalid_grant",
        400,
        "The code or refresh token is not valid.",
        _APP,
        "Start a new sign-on; a code works once and for 60 seconds.",
    ),
    Refusal(
        "oauth.invalid_token",
        401,
        "The access token is not valid.",
        _APP,
        "Fetch a new token; the trace names the reason.",
    ),
    Refusal(
        "oauth.insufficient_scope",
        403,
        "The access token does not carry the needed scope.",
        _APP,
        "Ask for scope openid.",
    ),
    Refusal(
        "oauth.server_error",
        503,
        "The token service cannot answer just now.",
        _OPS,
        "Try again; the health page names what is away.",
    ),
    Refusal(
        "oauth.invalid_target",
        400,
        "Tokens for this resource are not offered.",
        _APP,
        "Send no resource parameter.",
    ),
    # JWTs of others and our own (broker/keys/jose.py)
    Refusal("jwt.malformed", 401, "The token is not a well-formed JWT.", _APP, "Send the token unchanged."),
    Refusal("jwt.too_large", 401, "The token is too large.", _APP, "Put fewer claims into the token."),
    Refusal(
        "jwt.header",
        401,
        "The token's header holds a member that is not accepted.",
        _APP,
        "Send alg, kid and typ only.",
    ),
    Refusal("jwt.type", 401, "The token is of another type.", _APP, "Send the token that this endpoint expects."),
    Refusal(
        "jwt.algorithm",
        401,
        "The token is signed with another algorithm than agreed.",
        _APP,
        "Compare the algorithm with the registration.",
    ),
    Refusal(
        "jwt.key",
        401,
        "The token names a key that is not known.",
        _APP,
        "Publish the key before signing with it.",
    ),
    Refusal("jwt.signature", 401, "The token's signature does not hold.", _APP, "Send the token unchanged."),
    Refusal("jwt.issuer", 401, "The token comes from another issuer.", _APP, "Use a token of the right issuer."),
    Refusal(
        "jwt.audience",
        401,
        "The token is meant for somebody else.",
        _APP,
        "Ask for a token with the right audience.",
    ),
    Refusal("jwt.expired", 401, "The token is no longer valid.", _APP, "Fetch a new token."),
    Refusal(
        "jwt.lifetime",
        401,
        "The token's times are missing, contradictory or too far apart.",
        _APP,
        "Send iat and exp as seconds, and a short lifetime.",
    ),
    Refusal(
        "jwt.claim",
        401,
        "A claim of the token is missing or has another form.",
        _APP,
        "The trace names the claim.",
    ),
    # The house
    Refusal(
        "request.malformed",
        400,
        "The request cannot be read.",
        _APP,
        "The trace names what is wrong with it.",
    ),
    Refusal("request.too_large", 413, "The request is too large.", _APP, "Send less."),
    Refusal(
        "request.too_many",
        429,
        "Too many requests came from this place.",
        _APP,
        "Wait for as long as Retry-After says.",
    ),
    Refusal(
        "request.host",
        400,
        "The request is addressed to another host.",
        _OPS,
        "Open the published address; a proxy in front must keep the Host header.",
    ),
    Refusal("request.forbidden", 403, "This page is not open to you.", _OPS, "Ask for the role that it needs."),
    Refusal("request.not_found", 404, "There is no such page.", _PERSON, "Check the address."),
    Refusal(
        "request.method",
        405,
        "This address does not take this method.",
        _APP,
        "Use a method that Allow names.",
    ),
    Refusal(
        "request.csrf",
        403,
        "The form did not come from our own page.",
        _PERSON,
        "Allow cookies for this site, load the page again and repeat.",
    ),
    Refusal(
        "service.unavailable",
        503,
        "Something that we need is away.",
        _OPS,
        "Try again soon; the health page names what is away.",
    ),
    Refusal("service.fault", 500, "We made a mistake.", _OPS, "The trace id leads the operators to it."),
    Refusal(
        "outgoing.refused",
        502,
        "An outbound request was not allowed or did not succeed.",
        _OPS,
        "The trace names the address and the reason.",
    ),
)

_BY_CODE = {refusal.code: refusal for refusal in CATALOGUE}


def find_refusal(code: str) -> Refusal:
    """The row of `code`. Raises KeyError for a code that is not in the catalogue: that is our own fault."""
    return _BY_CODE[code]
