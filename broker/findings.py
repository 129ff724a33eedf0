"""What a look at the installation found: the one shape of health checks and of the doctor."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "fault"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at (`name`), how it is, and what mends it.

    Texts hold no secret and no personal value.
    """

    name: str
    level: Level
    text: str
    remedy: str = ""
