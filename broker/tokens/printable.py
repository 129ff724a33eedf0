"""What a value from outside may consist of."""

import re

_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffd]")
"""Control characters, and what a decoder leaves of bytes that were not UTF-8."""


def is_printable(text: str) -> bool:
    """Whether a value may be stored, echoed and compared: no control characters, and UTF-8."""
    return not _UNPRINTABLE.search(text)
