"""Pages by a cursor: the place after the last row, in an order that no insertion shifts."""

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from django.conf import settings
from django.core.exceptions import FieldError, ValidationError
from django.db.models import Field, Model, Q, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from broker import limits
from broker.api.problems import Problem

M = TypeVar("M", bound=Model)
PAGE_PARAMETERS = ("limit", "cursor")


@dataclass(frozen=True, slots=True)
class Order:
    """Columns that together are unique and have no null, the most important first; all in one direction."""

    columns: tuple[str, ...]
    descending: bool = False


def answer_page(
    rows: "QuerySet[M]",
    request: Request,
    *,
    order: Order,
    filters: Mapping[str, str],
    represent: Callable[[M], dict[str, Any]],
) -> Response:
    """One page: `{items, next_cursor}`, and the next one's address in Link (RFC 8288).

    `filters` are {parameter: column}, compared exactly. `limit` is 1 to limits.API_PAGE. Raises Problem for a
    parameter that is unknown, repeated or of no use, also for a cursor that is not ours.
    """
    parameters = read_parameters(request, (*filters, *PAGE_PARAMETERS))
    size = _size(parameters)
    chosen = _filtered(rows, filters, parameters)
    if "cursor" in parameters:
        chosen = chosen.filter(_beyond(rows.model, order, parameters["cursor"]))
    sign = "-" if order.descending else ""
    found = list(chosen.order_by(*(f"{sign}{name}" for name in order.columns))[: size + 1])
    page = found[:size]
    cursor = _cursor(page[-1], order) if len(found) > size else ""
    response = Response({"items": [represent(row) for row in page], "next_cursor": cursor})
    if cursor:
        query = urlencode({**parameters, "cursor": cursor})
        response["Link"] = f'<{address_of(request)}?{query}>; rel="next"'
    return response


def address_of(request: Request) -> str:
    """Where the request went, by our settings."""
    return f"{settings.BROKER_BASE_URL}{quote(request.path)}"


def read_parameters(request: Request, known: tuple[str, ...]) -> dict[str, str]:
    """The query's parameters, each once. Raises Problem for one that is not known: a typo would show everything."""
    parameters: dict[str, str] = {}
    for name, values in request.query_params.lists():
        if name not in known:
            raise Problem("api.invalid", errors=((f"?{name[:100]}", f"use {', '.join(known)}"),))
        if len(values) > 1 or len(values[0]) > limits.API_PARAMETER_CHARS or "\x00" in values[0]:
            raise Problem("api.invalid", errors=((f"?{name}", "once, and not that long"),))
        parameters[name] = values[0]
    return parameters


def _size(parameters: dict[str, str]) -> int:
    text = parameters.get("limit", str(limits.API_PAGE_DEFAULT))
    if not (text.isascii() and text.isdecimal() and len(text) < 5 and 1 <= int(text) <= limits.API_PAGE):
        raise Problem("api.invalid", errors=(("?limit", f"1 to {limits.API_PAGE}"),))
    return int(text)


def _filtered(rows: "QuerySet[M]", filters: Mapping[str, str], parameters: Mapping[str, str]) -> "QuerySet[M]":
    for name, column in filters.items():
        if name not in parameters:
            continue
        choices = [value for value, _ in _column(rows.model, column).flatchoices]
        if choices and parameters[name] not in choices:
            raise Problem("api.invalid", errors=((f"?{name}", f"one of {', '.join(choices)}"),))
        try:
            rows = rows.filter(**{column: parameters[name]})
        except (ValidationError, ValueError) as error:
            raise Problem("api.invalid", errors=((f"?{name}", "nothing can be called this"),)) from error
    return rows


def _cursor(row: Model, order: Order) -> str:
    values = [_column(type(row), name).value_to_string(row) for name in order.columns]
    return base64.urlsafe_b64encode(json.dumps(values).encode()).rstrip(b"=").decode()


def _beyond(model: type[Model], order: Order, cursor: str) -> Q:
    """The rows after the cursor: greater in the first column, or equal in it and greater in the next, and so on."""
    operator = "lt" if order.descending else "gt"
    condition = Q()
    equal: dict[str, Any] = {}
    for name, value in zip(order.columns, _read_cursor(model, order, cursor), strict=True):
        condition |= Q(**equal, **{f"{name}__{operator}": value})
        equal[name] = value
    return condition


def _read_cursor(model: type[Model], order: Order, cursor: str) -> list[Any]:
    try:
        raw = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
        if not isinstance(raw, list) or len(raw) != len(order.columns) or not all(isinstance(v, str) for v in raw):
            raise ValueError("another shape")  # noqa: TRY301 - one error for whatever is no cursor
        return [_read_place(_column(model, name), text) for name, text in zip(order.columns, raw, strict=True)]
    except (binascii.Error, ValueError, ValidationError, RecursionError, OverflowError) as error:
        raise Problem("api.invalid", errors=(("?cursor", "take it from next_cursor, as it is"),)) from error


def _read_place(field: "Field[Any, Any]", text: str) -> Any:
    """A value that the column and every database can hold. Raises ValueError, ValidationError, OverflowError."""
    text.encode()  # half a surrogate pair has no bytes
    value = field.to_python(text)
    if value is None or "\x00" in text or (isinstance(value, int) and abs(value) > limits.API_NUMBER):
        raise ValueError("no value of this column")
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError("a time without its zone")
        return value.astimezone(UTC)
    return value


def _column(model: type[Model], name: str) -> "Field[Any, Any]":
    """The column, also of a row that is pointed to: `client__client_id`."""
    first, _, rest = name.partition("__")
    field = model._meta.get_field(first)
    if rest and isinstance(field.related_model, type):
        return _column(field.related_model, rest)
    if not isinstance(field, Field):
        raise FieldError(f"{name} is no column of {model.__name__}")
    return field
