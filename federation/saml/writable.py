"""What XML can hold: a text with a control character in it has no spelling there (XML 1.0 section 2.2)."""

import re

_WRITABLE = re.compile("[\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]+")


def is_writable(text: str) -> bool:
    """Whether `text` is not empty, and XML can hold it."""
    return _WRITABLE.fullmatch(text) is not None
