"""Points in time as SAML reads and writes them: xs:dateTime in UTC (SAML core 1.3.3)."""

import re
from datetime import UTC, datetime, timedelta, timezone

from broker.errors import BrokerError

_FORM = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,30}))?(?:(Z)|([+-])(\d\d):(\d\d))?", re.ASCII)


def parse_instant(text: str, *, name: str) -> datetime:
    """The moment that `text` names, in UTC; `name` says whose it is when it cannot be read.

    Fractions of a second may be there or not and are cut to microseconds. Without a zone the time is UTC, as
    the specification has it; Z and numeric offsets are what is sent. Raises saml.structure.
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise BrokerError("saml.structure", expected=f"{name} as a time in UTC", actual=text[:100])
    year, month, day, hour, minute, second, fraction, _, sign, offset_hours, offset_minutes = match.groups()
    zone = UTC
    try:
        if sign:
            offset = timedelta(hours=int(offset_hours), minutes=int(offset_minutes))
            zone = timezone(offset if sign == "+" else -offset)
        microsecond = int((fraction or "0")[:6].ljust(6, "0"))
        return datetime(
            int(year), int(month), int(day), int(hour), int(minute), int(second), microsecond, zone
        ).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BrokerError("saml.structure", expected=f"{name} as a time in UTC", actual=text) from error


def write_instant(moment: datetime) -> str:
    """An aware `moment` in UTC, cut to seconds: what every reader understands."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
