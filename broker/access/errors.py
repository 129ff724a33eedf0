"""Refusals of decision requests. None of them is a decision: a denial is an answer of status 200."""

from broker.errors import BrokerError


class InvalidAccessRequest(BrokerError):
    """The request, or one item of a batch, is not what the Authorization API knows.

    `message` goes to the caller: the place in its own request and what is expected there, never a value.
    """

    def __init__(self, place: str, expected: str) -> None:
        super().__init__("access.invalid_request", detail=place, expected=expected)
        self.message = f"{place}: {expected} is expected."


class Unauthenticated(BrokerError):
    """The caller did not prove which client it is; why stands in the book. Or only a nonce of ours was missing."""

    def __init__(self, reason: str, *, needs_nonce: bool = False) -> None:
        super().__init__("access.unauthenticated", detail=reason)
        self.needs_nonce = needs_nonce
