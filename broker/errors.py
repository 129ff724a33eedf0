"""The one base of refusals: a public code, and a detail that stays in the house."""

from broker.refusals import Refusal, find_refusal
from broker.wording import in_words


class BrokerError(Exception):
    """A refusal with a code of the public catalogue (`broker.refusals`).

    `code` may leave the house. `detail`, `expected` and `actual` go to the trace and the event only:
    they may hold values that came from outside. What is expected and actual is told in words (`in_words`).
    """

    def __init__(self, code: str, *, detail: str = "", expected: object = "", actual: object = "") -> None:
        self.refusal: Refusal = find_refusal(code)
        self.code = code
        self.detail = detail
        self.expected = in_words(expected)
        self.actual = in_words(actual)
        super().__init__(code)

    @property
    def status(self) -> int:
        """The HTTP status of the answer, always 400 or above."""
        return self.refusal.status
