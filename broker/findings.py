"""What a look at the installation found: the one shape of health checks and of the doctor."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "fault"]
NAMED_MAX = 10
"""Names that one sentence lists."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at (`name`), how it is, and what mends it.

    Texts hold no secret and no personal value.
    """

    name: str
    level: Level
    text: str
    remedy: str = ""


def listed(names: Iterable[str]) -> str:
    """The first of the names, for a sentence, and how many more there are; empty when there are none."""
    found = list(names)
    more = f" and {len(found) - NAMED_MAX} more" if len(found) > NAMED_MAX else ""
    return ", ".join(found[:NAMED_MAX]) + more
