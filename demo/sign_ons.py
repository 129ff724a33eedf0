"""Who signed on at Globex, and how strongly."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from demo.authorization import AuthorizationRequest
from demo.people import Employee

PASSWORD = "urn:globex:assurance:1"
SECOND_FACTOR = "urn:globex:assurance:2"
"""The acr values, in Globex's own words: the broker is told by its configuration what they mean."""


@dataclass(frozen=True, slots=True)
class SignedOn:
    """A person who signed on here."""

    employee: Employee
    at: datetime
    second_factor: bool

    @property
    def context(self) -> str:
        """acr"""
        return SECOND_FACTOR if self.second_factor else PASSWORD

    @property
    def methods(self) -> list[str]:
        """amr (RFC 8176)"""
        return ["pwd", "swk", "mfa"] if self.second_factor else ["pwd"]

    def stepped_up(self, now: datetime) -> "SignedOn":
        """The same person, after the second factor too."""
        return replace(self, at=now, second_factor=True)

    def is_fresh_enough(self, asked: AuthorizationRequest, *, now: datetime) -> bool:
        """Whether this answers the request without asking who it is."""
        if asked.prompts & {"login", "select_account"}:
            return False
        return asked.max_age is None or now - self.at <= timedelta(seconds=asked.max_age)

    def is_strong_enough(self, asked: AuthorizationRequest) -> bool:
        """Whether this answers the request without the second factor."""
        return self.second_factor or not wants_second_factor(asked)


def wants_second_factor(asked: AuthorizationRequest) -> bool:
    """The second factor is asked for where nothing weaker would do: acr_values name no other context of ours."""
    return SECOND_FACTOR in asked.contexts and PASSWORD not in asked.contexts
