"""When two identifiers are the same: applications may not tell them apart."""

import unicodedata


def comparable(value: str) -> str:
    """The form that must be unique: compatibility-normalised and case-folded, so that look-alikes collide."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", value).casefold())
