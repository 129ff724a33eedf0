"""What can be wrong with the identity provider's answers, on purpose."""

from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """A fault; the value is what the form sends."""

    NONE = "none"
    EXPIRED = "expired"
    WRONG_AUDIENCE = "wrong_audience"
    CLOCK_AHEAD = "clock_ahead"
    UNKNOWN_KEY = "unknown_key"
    ALTERED = "altered"
    FOREIGN_DOMAIN = "foreign_domain"
    STATUS_ONLY = "status_only"


class Signed(StrEnum):
    """Which element bears a signature."""

    ASSERTION = "assertion"
    RESPONSE = "response"
    BOTH = "both"


TEXTS = {
    Fault.NONE: ("No fault", "Answers are in order."),
    Fault.EXPIRED: ("Expired assertion", "Its NotOnOrAfter passed five minutes ago."),
    Fault.WRONG_AUDIENCE: ("Wrong audience", "It is meant for another service provider."),
    Fault.CLOCK_AHEAD: ("Clock five minutes ahead", "Every time in the answer lies in the future."),
    Fault.UNKNOWN_KEY: ("Unknown key", "It is signed with a key that is not in our metadata."),
    Fault.ALTERED: ("Altered after signing", "Somebody on the way turned the person into somebody else."),
    Fault.FOREIGN_DOMAIN: ("A foreign domain's e-mail", "We claim an address at globex.example, which is not ours."),
    Fault.STATUS_ONLY: ("A refusal of ours", "We answer with a status (AuthnFailed) and no assertion."),
}
SIGNED_TEXTS = {
    Signed.ASSERTION: "The assertion",
    Signed.RESPONSE: "The response around it",
    Signed.BOTH: "Both",
}


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How the identity provider answers just now."""

    fault: Fault = Fault.NONE
    signed: Signed = Signed.ASSERTION
    encrypted: bool = False
