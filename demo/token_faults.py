"""What can be wrong with the answers of Globex's identity provider, on purpose."""

from enum import StrEnum


class TokenFault(StrEnum):
    """A fault; the value is what the form sends."""

    NONE = "none"
    EXPIRED = "expired"
    WRONG_AUDIENCE = "wrong_audience"
    UNKNOWN_KEY = "unknown_key"
    ALTERED = "altered"
    WRONG_NONCE = "wrong_nonce"
    OTHER_ISSUER = "other_issuer"
    MIX_UP = "mix_up"
    OTHER_USERINFO = "other_userinfo"
    FOREIGN_DOMAIN = "foreign_domain"
    DENIED = "denied"


TEXTS = {
    TokenFault.NONE: ("No fault", "Answers are in order."),
    TokenFault.EXPIRED: ("Expired ID token", "Its exp passed five minutes ago."),
    TokenFault.WRONG_AUDIENCE: ("Wrong audience", "The ID token is meant for another client."),
    TokenFault.UNKNOWN_KEY: ("Unknown key", "The ID token is signed with a key that is not among our published ones."),
    TokenFault.ALTERED: ("Altered after signing", "Somebody on the way turned the person into somebody else."),
    TokenFault.WRONG_NONCE: ("Wrong nonce", "The ID token belongs to another sign-on."),
    TokenFault.OTHER_ISSUER: ("Another issuer's ID token", "Its iss names an issuer that is not us."),
    TokenFault.MIX_UP: ("Another issuer's answer", "The code comes back with the iss of somebody else (RFC 9207)."),
    TokenFault.OTHER_USERINFO: ("Userinfo about somebody else", "Its sub is not that of the ID token."),
    TokenFault.FOREIGN_DOMAIN: ("A foreign domain's e-mail", "We claim an address at acme.example, which is not ours."),
    TokenFault.DENIED: ("A refusal of ours", "We answer with access_denied and no code."),
}
