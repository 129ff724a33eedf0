"""Bodies: JSON that everybody reads alike."""

from typing import Any

from rest_framework.parsers import BaseParser

from broker.api.problems import Problem
from broker.keys.strict_json import NotStrictJson, read_object


class StrictJSONParser(BaseParser):
    """One JSON object: no member twice, no NaN, bounded depth. What two readers could read differently is refused."""

    media_type = "application/json"

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> dict[str, Any]:  # noqa: ARG002 - DRF's signature
        """Raises Problem (api.malformed)."""
        try:
            return read_object(stream.read())
        except NotStrictJson as error:
            raise Problem("api.malformed", detail=str(error)) from error
