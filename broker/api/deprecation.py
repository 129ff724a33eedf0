"""What goes away: told in headers with its dates (RFC 9745, RFC 8594), and counted per client that still uses it."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from email.utils import format_datetime

from prometheus_client import Counter

USES = Counter("countersign_deprecated_uses_total", "Uses of what goes away, by name and client", ["name", "client"])


@dataclass(frozen=True, slots=True)
class Deprecated:
    """Something of the API that has a successor: since when it is discouraged, and from when it is gone."""

    name: str
    since: date
    gone: date
    successor: str
    """Address of what replaces it."""

    def __post_init__(self) -> None:
        """Raises ValueError: nobody can move away from what ends as it is announced."""
        if self.gone <= self.since:
            raise ValueError("the end comes after the announcement")

    def headers(self) -> dict[str, str]:
        """Deprecation, Sunset, and Link to the successor."""
        since = int(_midnight(self.since).timestamp())
        return {
            "Deprecation": f"@{since}",
            "Sunset": format_datetime(_midnight(self.gone), usegmt=True),
            "Link": f'<{self.successor}>; rel="successor-version"',
        }


def note_use(deprecated: Deprecated, client_id: str) -> None:
    """Count one use; before the end its callers are known by name."""
    USES.labels(deprecated.name, client_id).inc()


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)
