"""What one attempt leaves behind while it runs: hops, checks with expected and actual, messages, notes."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import NoneType
from typing import Any, ClassVar

from broker.wording import in_words

UNCHANGING = (str, int, datetime, timedelta, NoneType)


@dataclass(slots=True)
class Collector:
    """Records of one HTTP request of one attempt, in order.

    Nothing here may raise: a trace explains a refusal and never causes one. Values are cut to `VALUE_CHARS`.
    """

    hop: str = ""
    _kept: list[dict[str, Any]] = field(default_factory=list)

    VALUE_CHARS: ClassVar[int] = 2_000
    MESSAGE_CHARS: ClassVar[int] = 64_000
    ENTRIES_MAX: ClassVar[int] = 200

    def check(self, name: str, *, passed: bool, expected: object = "", actual: object = "") -> None:
        """Record one named check and how it went. `expected` and `actual` are shown to operators."""
        expected, actual = self._keep(expected), self._keep(actual)
        self._add({"type": "check", "name": name, "passed": passed, "expected": expected, "actual": actual})

    def message(self, title: str, text: str) -> None:
        """Record a decoded message. The caller has redacted it: no secret, no signature value, no token."""
        self._add({"type": "message", "title": self._cut(title), "text": self._cut(text, self.MESSAGE_CHARS)})

    def note(self, text: str, /, **values: object) -> None:
        """Record a fact, with its values."""
        self._add({"type": "note", "text": self._cut(text), "values": {key: self._cut(v) for key, v in values.items()}})

    @property
    def entries(self) -> list[dict[str, Any]]:
        """What was recorded, in order, in words."""
        return [
            entry | {name: self._cut(entry[name]) for name in ("expected", "actual") if name in entry}
            for entry in self._kept
        ]

    def _add(self, entry: dict[str, Any]) -> None:
        # A failed check is why somebody will read this: it is never the one that is left out.
        if len(self._kept) < self.ENTRIES_MAX or entry.get("passed") is False:
            self._kept.append(entry)

    def _keep(self, value: object) -> object:
        """What cannot change is put into words when somebody reads it, which nobody does of most requests."""
        return value if isinstance(value, UNCHANGING) else self._cut(value)

    def _cut(self, value: object, chars: int = VALUE_CHARS) -> str:
        if type(value) is str and value.isascii():
            return value[:chars]
        try:
            text = in_words(value)
        except Exception:  # noqa: BLE001 - whatever a foreign object raises, the attempt goes on
            text = f"({type(value).__name__} without a text)"
        # JSON from outside can hold half a surrogate pair, which no encoding would take.
        return text[:chars].encode("utf-8", "backslashreplace").decode()


class Unheard(Collector):
    """Takes everything and keeps nothing: for what is asked very often, and leaves no trace whatever the answer."""

    def check(self, name: str, *, passed: bool, expected: object = "", actual: object = "") -> None:
        """See Collector."""

    def message(self, title: str, text: str) -> None:
        """See Collector."""

    def note(self, text: str, /, **values: object) -> None:
        """See Collector."""
