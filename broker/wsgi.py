"""The porch for a WSGI server."""

import gc
import os
from typing import Any

import django
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.urls import get_resolver
from django.utils.http import parse_header_parameters

from broker import limits


class Request(WSGIRequest):
    """A request that is read as UTF-8, whatever charset its Content-Type names.

    Django would decode the query and the form by it, in the request's own making, before any of our code could answer:
    some codecs of Python are none for text, some always raise, some make half a character.
    """

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        raw = meta.get("CONTENT_TYPE", "")
        try:
            # Its parser's work grows with the square of the length.
            self.content_type, self.content_params = parse_header_parameters(raw[: limits.CONTENT_TYPE_CHARS])
        except ValueError:
            # Nobody understands it: whoever wants a form finds none.
            self.content_type, self.content_params = "", {}


class Porch(WSGIHandler):
    """Django's handler, with our reading of requests."""

    request_class = Request


def settle() -> None:
    """Load the views, and put all that was loaded beyond the collector of garbage.

    A full collection looks at every object of the process: 100 ms for what was loaded, in the middle of a request.
    """
    get_resolver().url_patterns  # noqa: B018 - imports every view
    gc.collect()
    gc.freeze()


os.environ.setdefault("DJANGO_SETTINGS_MODULE", "broker.settings")
django.setup(set_prefix=False)
application = Porch()
settle()
