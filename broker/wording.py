"""Values as people read them: what was expected and what came, in traces and on pages."""

from datetime import UTC, datetime, timedelta

_UNITS = (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1))
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_JSON_KINDS: dict[type, str] = {
    str: "a text",
    bool: "true or false",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "an object",
    type(None): "null",
}


def in_words(value: object) -> str:
    """Texts as they are; points in time in UTC, durations in units, several values side by side, nothing as "none"."""
    match value:
        case str():
            return str(value)
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case datetime():
            return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
        case timedelta():
            return _duration(value)
        case set() | frozenset():
            return ", ".join(sorted(in_words(one) for one in value)) or "none"
        case list() | tuple():
            glue = "; " if any(isinstance(one, list | tuple | set | frozenset) for one in value) else ", "
            return glue.join(in_words(one) for one in value) or "none"
    return str(value)


def json_kind(value: object) -> str:
    """What a value is called in JSON, with its article."""
    return _JSON_KINDS.get(type(value), "something else")


def _duration(value: timedelta) -> str:
    left = round(abs(value.total_seconds()))
    parts = []
    for name, seconds in _UNITS:
        count, left = divmod(left, seconds)
        if count:
            parts.append(f"{count} {name}{'' if count == 1 else 's'}")
    return ("minus " if value < timedelta(0) else "") + (" ".join(parts) or "0 seconds")


def as_cell(text: str) -> str:
    """A text for a spreadsheet, which would compute what begins like a formula: names and values come from outside."""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text
